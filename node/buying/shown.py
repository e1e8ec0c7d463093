"""What a node shows of a lease, taken for true only where its hash is what was asked for.

The node stores terms and documents for everybody; a buyer signs by them. So each is compared with the id
that it must hash to before anything else is done with it.
"""

from ledger.chain.documents import document_hash
from ledger.chain.typed_data import Domain, lease_id
from ledger.market.errors import Broken
from ledger.market.identity import Digest, LeaseId, text
from ledger.market.job import Job, job_from_plain
from ledger.market.lease import LeaseTerms
from ledger.market.wire import terms_from_plain
from node.buying.client import NodeClient, Plain


def shown_terms(view: Plain, lease: LeaseId, domain: Domain) -> LeaseTerms:
    """The terms in the node's view of a lease; `Broken` "terms-mismatch" where they are another's."""
    terms = terms_from_plain(view["terms"])
    if lease_id(domain, terms) != lease:
        raise Broken("terms-mismatch", "The node shows other terms than the lease's.", "Leave it.")
    return terms


def shown_job(node: NodeClient, name: Digest) -> Job | None:
    """The job of that hash, which the node shows to its parties; None where it shows another document."""
    plain = node.get(f"/v1/documents/{text(name)}", signed=True)
    return job_from_plain(plain) if document_hash(plain) == name else None
