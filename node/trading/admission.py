"""Admission: what must hold before an order may rest or match, checked before anything is kept.

Everything here is answered from the request itself and the market's domain; money, nonces and blobs are
the exchange's to ask about.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.chain.documents import canonical
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, bid_id, keccak, model_tag
from ledger.market.bid import Bid, SignedBid
from ledger.market.demand import check_bid_says
from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import NO_DIGEST, Address, BidId, Digest, text
from ledger.market.job import Job, job_from_plain
from ledger.market.model import check_bid
from node.trading.resting import INCLUSION_SECONDS

DOCUMENT_LIMIT = 64 << 10
"""bytes of one document in canonical form"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An admitted order: the job, its document under its hash, and one signed bid an attempt."""

    job: Job
    document: Digest
    canonical: bytes
    attempts: tuple[SignedBid, ...]
    ids: tuple[BidId, ...]

    @property
    def id(self) -> BidId:
        """The first bid's id names the job."""
        return self.ids[0]

    @property
    def bid(self) -> Bid:
        return self.attempts[0].bid


def read_job(document: object) -> tuple[Job, Digest, bytes]:
    """The job of a document, with the document's hash and canonical bytes (at most `DOCUMENT_LIMIT`)."""
    job, body = job_from_plain(document), canonical(document)
    if len(body) > DOCUMENT_LIMIT:
        raise Rejected(
            "oversized-document",
            f"The job document has {len(body)} bytes, of which {DOCUMENT_LIMIT} are taken.",
            "Put large values into an input file.",
        )
    return job, Digest(keccak(body)), body


def tag_of(job: Job) -> int:
    """The model tag that a job's bid carries, 0 for any model."""
    return model_tag(job.accelerators.model) if job.accelerators and job.accelerators.model else 0


def admit(domain: Domain, document: object, attempts: Sequence[SignedBid], node: Address, at: int) -> Order:
    """The order behind a request; `Rejected` with the first thing that is wrong."""
    job, name, body = read_job(document)
    if len(attempts) != 1 + job.retry:
        raise Rejected(
            "attempts-differ-from-retry",
            f"The job asks for {job.retry} retries, but {len(attempts)} bids are signed.",
            f"Sign {1 + job.retry} bids that differ in their nonce alone.",
        )
    first = attempts[0].bid
    for signed in attempts:
        if replace(signed.bid, nonce=first.nonce) != first:
            raise Rejected(
                "attempts-differ", "The signed bids differ in more than their nonce.", "Sign them alike."
            )
    if len({signed.bid.nonce for signed in attempts}) != len(attempts):
        raise Rejected("nonce-repeated", "Two of the bids share a nonce.", "Give each its own.")
    _check_bid(first, job, name, node, at)
    ids = tuple(_verified(domain, signed) for signed in attempts)
    return Order(job=job, document=name, canonical=body, attempts=tuple(attempts), ids=ids)


def _check_bid(bid: Bid, job: Job, document: Digest, node: Address, at: int) -> None:
    if bid.job != document:
        raise Rejected(
            "document-mismatch",
            f"The bid is signed over {text(bid.job)}, the document's hash is {text(document)}.",
            "Send the document that the bid was signed over.",
        )
    check_bid_says(job, bid, tag_of(job))
    if bid.matcher != node:
        raise Rejected(
            "other-matcher",
            f"The bid names {text(bid.matcher)} as its matcher, this node is {text(node)}.",
            "Join this node and sign again, or send the bid to the node it names.",
        )
    if bid.members != 1 or bid.flags != 0 or bid.continues != NO_DIGEST:
        raise Rejected(
            "not-offered-yet",
            "The bid asks for several members, flags or a continued lease.",
            "Sign a bid with members 1, flags 0 and no continued lease.",
        )
    if reason := check_bid(bid):
        raise Rejected(
            "malformed-bid",
            f"The contract would skip the bid whatever it meets ({reason.name}).",
            "Name a signer, ask for at least one resource, and leave the reserved lane 0.",
            reason=reason.name,
        )
    for name, moment in (("valid_until", bid.valid_until), ("start_by", bid.start_by)):
        if moment < at + INCLUSION_SECONDS:
            raise Rejected(
                "bid-expired",
                f"The bid's {name} {moment} leaves no time to open a lease; the node's time is {at}.",
                f"Sign it anew for at least {INCLUSION_SECONDS} s; if this repeats, set your clock.",
                time=at,
            )


def _verified(domain: Domain, signed: SignedBid) -> BidId:
    name = bid_id(domain, signed.bid)
    if recover(name, signed.signature) != signed.bid.buyer:
        raise Rejected(
            "bad-signature",
            f"The bid is not signed by its buyer {text(signed.bid.buyer)}.",
            "Sign it with the buyer's key for this chain and market.",
        )
    return name


def replayed(job: BidId) -> LostRace:
    """The error of an order that is already here."""
    return LostRace(
        "replayed-bid",
        f"The bid {text(job)} was accepted before.",
        "Look at the job under this id, or sign a new bid.",
        job=text(job),
    )
