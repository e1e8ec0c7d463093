"""Why the rest of the node never sees a log: here each becomes a fact of the kernel, or nothing.

Logs of other contracts' events and of events that a later market may add are nobody's facts and are
ignored; a known topic with a wrong form is `Broken`, since then the contract is not the one we know.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ledger.chain.abi import MARKET, events
from ledger.market.errors import Broken, Rejected
from ledger.market.events import (
    BatchMatched,
    BidSkipped,
    Deposited,
    EpochBumped,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
    ReceiptSkipped,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import ClosedBecause, LeaseTerms
from ledger.market.offer import Offer
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from ledger.market.traits import Traits

_CLOSED: Final = dict(enumerate(ClosedBecause, start=1))


class _Words:
    """An event's words by field name, read as what they mean."""

    def __init__(self, fields: Mapping[str, bytes]) -> None:
        self._fields = fields

    def raw(self, name: str) -> bytes:
        return self._fields[name]

    def number(self, name: str) -> int:
        return int.from_bytes(self._fields[name], "big")

    def account(self, name: str) -> Address:
        word = self._fields[name]
        if any(word[:12]):
            raise ValueError(f"{name} is no address")
        return Address(word[12:])

    def digest(self, name: str) -> Digest:
        return Digest(self._fields[name])


def decode(topics: Sequence[bytes], data: bytes) -> MarketEvent | None:
    """The fact behind one log of the market, None where it is no event of ours."""
    event = events(MARKET).get(topics[0]) if topics else None
    if event is None:
        return None
    try:
        return _READ[event.name](_Words(event.fields(topics, data)))
    except (ValueError, KeyError, Rejected) as exc:
        raise Broken(
            "malformed-event",
            f"A {event.name} log does not have this market's form.",
            "Check that the address is a market of this release.",
        ) from exc


def _offer_registered(w: _Words) -> OfferRegistered:
    offer = Offer(
        provider=w.account("provider"),
        capacity=Quantities.unpack(w.number("capacity")),
        ask=Quantities.unpack(w.number("ask")),
        traits=Traits.unpack(w.number("traits")),
        min_seconds=w.number("minSeconds"),
        max_seconds=w.number("maxSeconds"),
        valid_until=w.number("validUntil"),
        epoch=w.number("epoch"),
        salt=w.number("salt"),
        document=w.digest("document"),
    )
    return OfferRegistered(id=OfferId(w.raw("offer")), offer=offer)


def _lease_opened(w: _Words) -> LeaseOpened:
    terms = LeaseTerms(
        offer=OfferId(w.raw("offer")),
        bid=BidId(w.raw("bid")),
        member=w.number("member"),
        provider=w.account("provider"),
        buyer=w.account("buyer"),
        signer=w.account("signer"),
        matcher=w.account("matcher"),
        want=Quantities.unpack(w.number("want")),
        rate=w.number("rate"),
        duration=w.number("duration"),
    )
    return LeaseOpened(
        id=LeaseId(w.raw("lease")),
        terms=terms,
        start=w.number("start"),
        escrow=w.number("escrow"),
        nonce=w.number("nonce"),
        job=w.digest("job"),
    )


def _usage_settled(w: _Words) -> UsageSettled:
    return UsageSettled(
        lease=LeaseId(w.raw("lease")),
        buyer=w.account("buyer"),
        provider=w.account("provider"),
        milliseconds=w.number("milliseconds"),
        amount=w.number("amount"),
        paid=w.number("paid"),
        evidence=w.digest("evidence"),
    )


def _lease_terminated(w: _Words) -> LeaseTerminated:
    return LeaseTerminated(
        lease=LeaseId(w.raw("lease")),
        buyer=w.account("buyer"),
        provider=w.account("provider"),
        ended_after=w.number("endOffset"),
    )


def _lease_closed(w: _Words) -> LeaseClosed:
    return LeaseClosed(
        lease=LeaseId(w.raw("lease")),
        buyer=w.account("buyer"),
        provider=w.account("provider"),
        paid=w.number("paid"),
        refunded=w.number("refunded"),
        because=_CLOSED[w.number("reason")],
    )


def _batch_matched(w: _Words) -> BatchMatched:
    return BatchMatched(
        matcher=w.account("matcher"),
        root=w.digest("root"),
        opened=w.number("opened"),
        skipped=w.number("skipped"),
    )


def _nonces_cancelled(w: _Words) -> NoncesCancelled:
    return NoncesCancelled(account=w.account("account"), word=w.number("word"), mask=w.number("mask"))


_READ: Final[dict[str, Callable[[_Words], MarketEvent]]] = {
    "OfferRegistered": _offer_registered,
    "OfferCancelled": lambda w: OfferCancelled(id=OfferId(w.raw("offer")), provider=w.account("provider")),
    "EpochBumped": lambda w: EpochBumped(account=w.account("account"), epoch=w.number("epoch")),
    "NoncesCancelled": _nonces_cancelled,
    "BatchMatched": _batch_matched,
    "BidSkipped": lambda w: BidSkipped(bid=BidId(w.raw("bid")), reason=SkipReason(w.number("reason"))),
    "ReceiptSkipped": lambda w: ReceiptSkipped(
        lease=LeaseId(w.raw("lease")), reason=SkipReason(w.number("reason"))
    ),
    "LeaseOpened": _lease_opened,
    "UsageSettled": _usage_settled,
    "LeaseTerminated": _lease_terminated,
    "LeaseClosed": _lease_closed,
    "Deposited": lambda w: Deposited(account=w.account("account"), amount=w.number("amount")),
    "Withdrawn": lambda w: Withdrawn(account=w.account("account"), amount=w.number("amount")),
}
