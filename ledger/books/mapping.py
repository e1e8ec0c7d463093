"""Kernel values to JSON and back, exactly: what is journalled must come out as the value that went in.

Driven by the field types of the kernel's dataclasses, so that a field added there is stored here without
a second list to keep. Bytes are `0x…`; the packed words (`Quantities`, `Traits`) are one integer; a
member of a union carries its class name under `kind`. Integers stay integers of any width.
"""

import json
from collections.abc import Callable, Hashable
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, NewType, TypeVar, cast, get_args, get_origin, get_type_hints

from ledger.market.bid import SignedBid
from ledger.market.errors import Broken, MarketError
from ledger.market.events import MarketEvent
from ledger.market.facts import Fact
from ledger.market.instructions import Instruction, OpenLease
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.resource import Quantities
from ledger.market.traits import Traits

T = TypeVar("T")
Plain = Any
"""what `json` reads and writes"""
Decode = Callable[[Plain], Any]
Encode = Callable[[Any], str]
_ENCODERS: dict[type, Encode] = {}
_WRITTEN_AGAIN = (SignedBid, Offer, LeaseTerms, OpenLease)
"""what one order writes several times: into the journal, into tables and into a wish"""
_REMEMBERED = 1_024
"""texts of each of these, so that they are made once"""


def dumps(value: object) -> str:
    """The JSON text of a kernel value; the same value always gives the same text."""
    return _encoder_of(value)(value)


def _encoder_of(value: object) -> Encode:
    kind = type(value)
    known = _ENCODERS.get(kind)
    if known is None:
        known = _ENCODERS[kind] = _encoder(kind)
    return known


def _encoder(kind: type) -> Encode:
    """How values of exactly this type are written; every order writes thousands of them."""
    if kind is int:
        return int.__repr__
    if kind is str:
        return json.encoder.encode_basestring_ascii
    if kind in (Quantities, Traits):
        return lambda value: str(value.pack())
    if issubclass(kind, bytes):
        return lambda value: f'"0x{value.hex()}"'
    if issubclass(kind, Enum):
        return lambda value: dumps(value.value)
    if issubclass(kind, tuple):
        return lambda value: f"[{','.join([_encoder_of(item)(item) for item in value])}]"
    if is_dataclass(kind):
        return _dataclass_encoder(kind)
    return lambda value: json.dumps(value, separators=(",", ":"))


def _dataclass_encoder(kind: type) -> Encode:
    names = _names(kind)
    heads = [f'"{name}":' for name in names]
    first = f'{{"kind":"{kind.__name__}"'

    def encode(value: Any) -> str:  # noqa: ANN401 - an instance of `kind`
        cells = [first]
        for name, head in zip(names, heads, strict=True):
            cell = getattr(value, name)
            cells.append(head + _encoder_of(cell)(cell))
        return ",".join(cells) + "}"

    return _once(encode) if kind in _WRITTEN_AGAIN else encode


def _once(encode: Encode) -> Encode:
    """The same object has the same text: kernel values never change."""
    written: dict[int, tuple[object, str]] = {}

    def encode_once(value: object) -> str:
        known = written.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        body = encode(value)
        if len(written) >= _REMEMBERED:
            written.clear()
        written[id(value)] = (value, body)
        return body

    return encode_once


def loads(kind: type[T], body: str) -> T:
    """The value of type `kind` behind a text of `dumps`; `Broken` where it is none."""
    return cast(T, _read(kind.__name__, cast(Hashable, kind), body))


def _read(what: str, kind: Hashable, body: str) -> Any:  # noqa: ANN401 - a value of `kind`
    try:
        return _decoder(kind)(json.loads(body))
    except (KeyError, TypeError, ValueError, AttributeError, MarketError) as error:
        raise Broken(
            "unreadable-record",
            f"A stored {what} cannot be read: {error}.",
            "Restore the books from a copy, or delete them and follow the chain again.",
        ) from error


def fact_from(body: str) -> Fact:
    """The journalled fact behind its text."""
    fact: Fact = _read("fact", Fact, body)
    return fact


def event_from(body: str) -> MarketEvent:
    """The market event behind its text."""
    event: MarketEvent = _read("event", MarketEvent, body)
    return event


def instruction_from(body: str) -> Instruction:
    """The instruction behind its text."""
    instruction: Instruction = _read("instruction", Instruction, body)
    return instruction


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


@cache
def _decoder(kind: Any) -> Decode:  # noqa: ANN401 - a type form, which has no type of its own
    if isinstance(kind, NewType):
        return _decoder(kind.__supertype__)
    if isinstance(kind, UnionType):
        return _union_decoder(get_args(kind))
    if get_origin(kind) is tuple:
        item = _decoder(get_args(kind)[0])
        return lambda plain: tuple(item(value) for value in plain)
    if kind in (Quantities, Traits):
        return cast(Decode, kind.unpack)
    if kind is bytes:
        return lambda plain: bytes.fromhex(plain[2:])
    if is_dataclass(kind):
        return _dataclass_decoder(cast(type, kind))
    if issubclass(kind, Enum):
        return cast(Decode, kind)
    return _scalar_decoder(kind)


def _scalar_decoder(kind: type) -> Decode:
    def decode(plain: Plain) -> Any:  # noqa: ANN401 - a scalar of `kind`
        if type(plain) is not kind:
            raise TypeError(f"{plain!r} is not {kind.__name__}")
        return plain

    return decode


def _dataclass_decoder(kind: type) -> Decode:
    """A field that has a default may be absent: what an earlier release wrote does not have it."""
    hints = get_type_hints(kind)
    decoders = {name: _decoder(hints[name]) for name in _names(kind)}
    optional = {item.name for item in fields(kind) if _has_default(item)}

    def decode(plain: Plain) -> Any:  # noqa: ANN401 - an instance of `kind`
        missing = optional - plain.keys()
        return kind(
            **{name: decoder(plain[name]) for name, decoder in decoders.items() if name not in missing}
        )

    return decode


def _has_default(item: "Field[Any]") -> bool:
    return item.default is not MISSING or item.default_factory is not MISSING


def _union_decoder(members: tuple[Any, ...]) -> Decode:
    if type(None) in members:
        (inner,) = (_decoder(member) for member in members if member is not type(None))
        return lambda plain: None if plain is None else inner(plain)
    decoders = {member.__name__: _decoder(member) for member in members}
    return lambda plain: decoders[plain["kind"]](plain)
