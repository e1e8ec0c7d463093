"""Admission: what must hold before an order may rest or match, checked before anything is kept.

Everything here is answered from the request itself and the market's domain; money, nonces, delegates and
blobs are the exchange's to ask about. An order has one way in which its buyer would have the job, or
several alternatives: each with its own document and bids, attempt by attempt with the same nonces, so that
the contract opens one of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.books.queries import Queries
from ledger.chain.documents import canonical
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, bid_id, keccak, model_tag
from ledger.market.bid import Bid, SignedBid
from ledger.market.demand import check_bid_says
from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import Alternative
from ledger.market.identity import NO_DIGEST, NOBODY, Address, BidId, Digest, text
from ledger.market.job import Job, job_from_plain
from ledger.market.model import check_bid
from node.trading.resting import INCLUSION_SECONDS

DOCUMENT_LIMIT = 64 << 10
"""bytes of one document in canonical form"""
MOST_ALTERNATIVES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One alternative as it was sent: the plain document, and a signed bid an attempt."""

    document: object
    attempts: tuple[SignedBid, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One admitted alternative: the job, its document under its hash, and one signed bid an attempt."""

    job: Job
    document: Digest
    canonical: bytes
    attempts: tuple[SignedBid, ...]
    ids: tuple[BidId, ...]

    @property
    def bid(self) -> Bid:
        return self.attempts[0].bid

    def as_alternative(self) -> Alternative:
        """The part of it that is journalled."""
        return Alternative(document=self.document, attempts=self.attempts, attempt_ids=self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An admitted order: its `ways`, the most wanted first. `delegate` is the key that signed for the
    buyer, nobody where the buyer itself did; what it may do is for the chain to say."""

    ways: tuple[Way, ...]
    delegate: Address = NOBODY

    @property
    def id(self) -> BidId:
        """The first bid's id names the job."""
        return self.ways[0].ids[0]

    @property
    def ids(self) -> tuple[BidId, ...]:
        """Of every bid."""
        return tuple(name for way in self.ways for name in way.ids)

    @property
    def bid(self) -> Bid:
        return self.ways[0].bid


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


def admitted_job(queries: Queries, document: Digest) -> Job:
    """The job of a document that the books keep since its order was admitted."""
    body = queries.document(document)
    assert body is not None
    return job_from_plain(json.loads(body))


def tag_of(job: Job) -> int:
    """The model tag that a job's bid carries, 0 for any model."""
    return model_tag(job.accelerators.model) if job.accelerators and job.accelerators.model else 0


def admit(domain: Domain, proposals: Sequence[Proposal], node: Address, at: int) -> Order:
    """The order behind a request; `Rejected` with the first thing that is wrong."""
    if not 1 <= len(proposals) <= MOST_ALTERNATIVES:
        raise Rejected(
            "alternatives-count",
            f"The order has {len(proposals)} alternatives.",
            f"Send 1 to {MOST_ALTERNATIVES}.",
        )
    ways = tuple(_way(domain, proposal, node, at) for proposal in proposals)
    _check_alike(ways)
    return Order(ways=ways, delegate=_delegate(domain, ways))


def _way(domain: Domain, proposal: Proposal, node: Address, at: int) -> Way:
    job, name, body = read_job(proposal.document)
    attempts = proposal.attempts
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
    ids = tuple(bid_id(domain, signed.bid) for signed in attempts)
    return Way(job=job, document=name, canonical=body, attempts=attempts, ids=ids)


def _check_alike(ways: Sequence[Way]) -> None:
    """Alternatives are of one buyer, and attempt by attempt of one nonce, so that one of them opens."""
    shared = [[(one.bid.buyer, one.bid.epoch, one.bid.nonce) for one in way.attempts] for way in ways]
    if any(others != shared[0] for others in shared):
        raise Rejected(
            "alternatives-differ",
            "The alternatives differ in their buyer, their epoch or their nonces.",
            "Sign each attempt of every alternative with the nonce of the first one's.",
        )
    if len({name for way in ways for name in way.ids}) != sum(len(way.ids) for way in ways):
        raise Rejected("alternative-repeated", "Two alternatives are the same.", "Send each once.")
    if len(ways) > 1 and any(way.bid.continues != NO_DIGEST for way in ways):
        raise Rejected(
            "continues-one-way",
            "A bid that continues a lease has alternatives.",
            "Send it alone: the lease has one offer.",
        )


def _delegate(domain: Domain, ways: Sequence[Way]) -> Address:
    """The key that signed every bid for the buyer; nobody where the buyer itself did."""
    buyer = ways[0].bid.buyer
    signers = {
        recover(name, signed.signature)
        for way in ways
        for name, signed in zip(way.ids, way.attempts, strict=True)
    }
    if len(signers) != 1:
        raise bad_signature(buyer)
    signer = signers.pop()
    return NOBODY if signer == buyer else signer


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


def bad_signature(buyer: Address) -> Rejected:
    """The error of an order that neither its buyer nor a delegate of the buyer signed."""
    return Rejected(
        "bad-signature",
        f"The bid is not signed by its buyer {text(buyer)}, nor by a key that may spend for it.",
        "Sign it with the buyer's key for this chain and market, or let the buyer name your key.",
    )


def replayed(job: BidId) -> LostRace:
    """The error of an order that is already here."""
    return LostRace(
        "replayed-bid",
        f"The bid {text(job)} was accepted before.",
        "Look at the job under this id, or sign a new bid.",
        job=text(job),
    )
