"""From a decoded log of market or jury to the kernel's event: the tests' own reading of the logs."""

from typing import Any

from ledger.market import events as facts
from ledger.market.identity import Address, LeaseId, OfferId
from ledger.market.lease import ClaimDecidedBy, ClosedBecause, LeaseTerms
from ledger.market.offer import Offer
from ledger.market.policy import Policy
from ledger.market.resource import Quantities
from ledger.market.traits import Traits

Decoded = Any
"""a named tuple that the EVM's library makes of a log, with the event's name and fields"""
RENAMED = {
    "endOffset": "ended_after",
    "unlockAt": "unlock_at",
    "toProvider": "to_provider",
    "toBuyer": "to_buyer",
}
POLICY_FIELDS = (
    *("receiptInterval", "grace", "challengeWindow", "arbitrationWindow", "unstakeDelay"),
    *("feeBps", "stakeBps", "noShowBps"),
)


def _raw(value: object) -> Address:
    return Address(bytes.fromhex(str(value)[2:]))


def fact_of(log: Decoded) -> facts.MarketEvent:
    """The kernel's event for one decoded log."""
    name = type(log).__name__
    match name:
        case "MarketDeployed":
            return _deployed(log)
        case "OfferRegistered":
            return facts.OfferRegistered(id=OfferId(log.offer), offer=_offer(log))
        case "OfferCancelled":
            return facts.OfferCancelled(id=OfferId(log.offer), provider=_raw(log.provider))
        case "LeaseOpened":
            return _opened(log)
        case _:
            fields = {RENAMED.get(n, n): _field(n, v) for n, v in log._asdict().items() if n != "address"}
            if name == "LeaseClosed":
                fields["because"] = list(ClosedBecause)[fields.pop("reason") - 1]
            event: facts.MarketEvent = getattr(facts, name)(**fields)
            return event


def _field(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return _raw(value)
    if name == "by":
        return list(ClaimDecidedBy)[value - 1]
    return value


def _deployed(log: Decoded) -> facts.MarketDeployed:
    fixed = zip(Policy.__slots__, POLICY_FIELDS, strict=True)
    return facts.MarketDeployed(
        token=_raw(log.token),
        guardian=_raw(log.guardian),
        arbiter=_raw(log.arbiter),
        jury=_raw(log.jury),
        policy=Policy(**{ours: getattr(log, theirs) for ours, theirs in fixed}),
    )


def _offer(log: Decoded) -> Offer:
    return Offer(
        provider=_raw(log.provider),
        capacity=Quantities.unpack(log.capacity),
        ask=Quantities.unpack(log.ask),
        traits=Traits.unpack(log.traits),
        min_seconds=log.minSeconds,
        max_seconds=log.maxSeconds,
        valid_until=log.validUntil,
        epoch=log.epoch,
        salt=log.salt,
        document=log.document,
    )


def _opened(log: Decoded) -> facts.LeaseOpened:
    terms = LeaseTerms(
        offer=log.offer,
        bid=log.bid,
        member=log.member,
        provider=_raw(log.provider),
        buyer=_raw(log.buyer),
        signer=_raw(log.signer),
        matcher=_raw(log.matcher),
        want=Quantities.unpack(log.want),
        rate=log.rate,
        duration=log.duration,
    )
    return facts.LeaseOpened(
        id=LeaseId(log.lease),
        terms=terms,
        start=log.start,
        escrow=log.escrow,
        nonce=log.nonce,
        job=log.job,
    )
