"""A running job that goes on: longer, larger, or both, without its container noticing.

The buyer signs one more bid that names the open lease; the market closes that one with its receipt and
opens the next in the same call, on the same offer (PROTOCOL "Continuing leases"). What was not used of the
first escrow comes back, the next one is taken from the balance: so this is the top-up of a running job too.
"""

from dataclasses import dataclass, replace

from ledger.chain.typed_data import receipt_message
from ledger.market.demand import wanted
from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, Digest, LeaseId, from_text, text
from ledger.market.job import Job
from ledger.market.lease import Lease
from ledger.market.money import MILLISECONDS, rate_of
from ledger.market.offer import Offer
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.wire import bid_from_plain, offer_from_plain
from node.buying.buyer import Buyer, SubmittedJob
from node.buying.client import Plain
from node.buying.shown import shown_job, shown_terms
from node.buying.usage_lines import AgreedLines, read_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What shall be different: `by` seconds more than are left, milli-cores, MiB, the limit price; None
    leaves a value as it is."""

    by: int = 0
    cpu: int | None = None
    memory: int | None = None
    max_rate: int | None = None

    def apply(self, job: Job, left: int) -> Job:
        """The next document of a job that has `left` seconds to go; its start is behind it."""
        return replace(
            job,
            cpu=self.cpu or job.cpu,
            memory=self.memory or job.memory,
            max_rate=job.max_rate if self.max_rate is None else self.max_rate,
            max_seconds=left + self.by,
            retry=0,
            times=replace(job.times, start_at=0, start_by=0),
        )


def continue_job(buyer: Buyer, shown: Plain, change: Change) -> SubmittedJob:
    """Sign and post the bid that continues the running lease of a job; `shown` is the node's view of it.

    `Rejected` where the job does not run, is a gang, or would cost more than its limit.
    """
    lease = _running(shown)
    found = buyer.chain.lease_of(lease)
    if found is None:
        raise _not_running(str(shown["state"]))
    view = buyer.node.lease(text(lease))
    terms, bid = shown_terms(view, lease, buyer.domain), bid_from_plain(view["bid"])
    left = max(1, found.start + terms.duration - int(buyer.clock()))
    job = change.apply(_document(buyer, bid.job), left)
    offer = _offer(buyer, text(terms.offer))
    _check_limit(job, offer)
    parties = replace(
        buyer.parties(text(terms.signer)),
        provider=terms.provider,
        continues=Digest(lease),
    )
    mine = terms.signer == buyer.key.address
    receipt = _last_receipt(buyer, lease, found.of(terms), view) if mine else None
    return buyer.post([job], parties, 0, receipt)


def _last_receipt(buyer: Buyer, name: LeaseId, lease: Lease, view: Plain) -> SignedReceipt:
    """What this key, the lease's signer, agrees to: what was reported last, and the time since then."""
    usage, at = view["usage"], int(buyer.clock())
    since = 0 if usage is None else max(0, at - int(usage["at"])) * MILLISECONDS
    reported = 0 if usage is None else int(usage["milliseconds"])
    known = 0 if view["receipt"] is None else int(view["receipt"]["milliseconds"])
    receipt = UsageReceipt(
        lease=name,
        milliseconds=lease.billable(max(known, reported + since), at),
        evidence=NO_DIGEST if usage is None else read_lines(buyer.node, name, usage, AgreedLines()).root,
        last=True,
    )
    signature = buyer.key.sign_typed(receipt_message(buyer.domain, receipt))
    return SignedReceipt(receipt=receipt, signature=signature)


def _running(shown: Plain) -> LeaseId:
    if not shown["lease"] or shown["state"] != "running":
        raise _not_running(str(shown["state"]))
    return LeaseId(from_text(str(shown["lease"]), 32))


def _not_running(state: str) -> Rejected:
    return Rejected(
        "not-running", f"The job is {state}; only a running one goes on.", "Submit it as a new job."
    )


def _document(buyer: Buyer, name: Digest) -> Job:
    job = shown_job(buyer.node, name)
    if job is None:
        raise Rejected("document-mismatch", "The node shows another document than the lease's.", "Leave it.")
    if job.gang is not None:
        raise Rejected("gang-goes-on", "A gang's leases cannot be continued.", "Submit it as a new job.")
    return job


def _offer(buyer: Buyer, name: str) -> Offer:
    for shown in buyer.node.offers():
        if shown["id"] == name:
            return offer_from_plain(shown["offer"])
    raise Rejected("offer-gone", "The lease's offer is not on the market.", "Submit it as a new job.")


def _check_limit(job: Job, offer: Offer) -> None:
    rate = rate_of(offer.ask, wanted(job))
    if rate > job.max_rate:
        raise Rejected(
            "limit-below-ask",
            f"The provider asks {rate} milli-base-units an hour, the limit is {job.max_rate}.",
            "Give a higher --max-price.",
            rate=str(rate),
        )
