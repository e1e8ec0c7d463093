"""Why the rest of the node never sees a log: here each becomes a fact of the kernel, or nothing.

Logs of other contracts' events and of events that a later market may add are nobody's facts and are
ignored; a known topic with a wrong form is `Broken`, since then the contract is not the one we know.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from typing import Any, Final, NewType, get_type_hints

from ledger.chain.abi import MARKET, events
from ledger.market.errors import Broken, Rejected
from ledger.market.events import LeaseOpened, MarketDeployed, MarketEvent, OfferRegistered
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.policy import Policy
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from ledger.market.traits import Traits

_OWN_NAMES: Final = {"ended_after": "endOffset", "because": "reason"}
"""fields that the contract calls something else than the camel case of ours"""


class _Words:
    """An event's words by field name, read as what they mean."""

    def __init__(self, fields: Mapping[str, bytes]) -> None:
        self._fields = fields

    def raw(self, name: str) -> bytes:
        return self._fields[name]

    def number(self, name: str) -> int:
        return int.from_bytes(self._fields[name], "big")

    def flag(self, name: str) -> bool:
        return (False, True)[self.number(name)]

    def account(self, name: str) -> Address:
        word = self._fields[name]
        if any(word[:12]):
            raise ValueError(f"{name} is no address")
        return Address(word[12:])

    def digest(self, name: str) -> Digest:
        return Digest(self._fields[name])

    def member(self, name: str, kind: type[Enum]) -> Enum:
        """A code: of `SkipReason` its number, of other enumerations the place from 1 on."""
        number = self.number(name)
        return SkipReason(number) if kind is SkipReason else dict(enumerate(kind, start=1))[number]

    def value(self, name: str, kind: Any) -> Any:  # noqa: ANN401 - a field of type `kind`
        if kind is Address:
            return self.account(name)
        if isinstance(kind, NewType):
            return self.raw(name)
        if issubclass(kind, Enum):
            return self.member(name, kind)
        return self.flag(name) if kind is bool else self.number(name)


def decode(topics: Sequence[bytes], data: bytes, contract: str = MARKET) -> MarketEvent | None:
    """The fact behind one log of `contract` (`MARKET` or `JURY`), None where it is no event of it."""
    event = events(contract).get(topics[0]) if topics else None
    if event is None:
        return None
    try:
        return _READ[event.name](_Words(event.fields(topics, data)))
    except (ValueError, KeyError, IndexError, Rejected) as exc:
        raise Broken(
            "malformed-event",
            f"A {event.name} log does not have this market's form.",
            "Check that the address is a market of this release.",
        ) from exc


def _market_deployed(w: _Words) -> MarketDeployed:
    policy = Policy(**{one.name: w.number(_camel(one.name)) for one in fields(Policy)})
    return MarketDeployed(
        token=w.account("token"),
        guardian=w.account("guardian"),
        arbiter=w.account("arbiter"),
        jury=w.account("jury"),
        policy=policy,
    )


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


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return _OWN_NAMES.get(name, first + "".join(map(str.capitalize, rest)))


def _name_of_id(kind: type) -> str:
    return {OfferId: "offer", LeaseId: "lease", BidId: "bid"}[get_type_hints(kind)["id"]]


def _flat(kind: type) -> Callable[[_Words], Any]:
    """Reads an event whose every field is one word, named alike on both sides; an `id` after its kind."""
    hints = get_type_hints(kind)
    names = {name: _name_of_id(kind) if name == "id" else _camel(name) for name in hints}
    return lambda w: kind(**{name: w.value(names[name], hint) for name, hint in hints.items()})


_READ: Final[Mapping[str, Callable[[_Words], MarketEvent]]] = {
    **{kind.__name__: _flat(kind) for kind in MarketEvent.__args__},
    "MarketDeployed": _market_deployed,
    "OfferRegistered": _offer_registered,
    "LeaseOpened": _lease_opened,
}
