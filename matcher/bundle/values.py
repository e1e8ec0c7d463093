"""Values of the market and the matcher as bytes and back, driven by their dataclasses.

Nothing lists the fields: one that is added tomorrow is in the bundle tomorrow, and a reader that does not
know it refuses the bundle by its `schema`. A dataclass is the list of its fields in their order, without the
last ones that have their default, so that a demand which nobody makes costs no byte.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from types import NoneType, UnionType
from typing import Any, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from ledger.market.errors import Broken, MarketError, Rejected
from matcher.bundle.bencode import Item, bytes_item, decode

T = TypeVar("T")
Encode = Callable[[Any], bytes]
Read = Callable[[Item], Any]


def encoded(kind: Any, value: object) -> bytes:  # noqa: ANN401 - a type form
    """The bytes of a value of type `kind`; `Broken` where it has a part with no exact spelling (a float)."""
    return encoder(kind)(value)


def decoded(kind: type[T], raw: bytes) -> T:
    """The value of type `kind` behind exactly these bytes; `Rejected` "bundle-malformed" otherwise."""
    return cast(T, read(kind, decode(raw), raw))


def read(kind: Any, item: Item, raw: bytes) -> Any:  # noqa: ANN401 - a value of `kind`
    """The value of type `kind` that an item spells, which must be spelled `raw`."""
    try:
        value = _reader(kind)(item)
    except (TypeError, ValueError, IndexError, MarketError) as exc:
        raise _malformed(kind, str(exc)) from exc
    if encoder(kind)(value) != raw:
        raise _malformed(kind, "another spelling of it")
    return value


def _malformed(kind: Any, why: str) -> Rejected:  # noqa: ANN401 - a type form
    name = getattr(kind, "__name__", str(kind))
    return Rejected("bundle-malformed", f"The bytes are no {name}: {why}.", "Fetch the bundle again.")


def schema(*kinds: type) -> bytes:
    """A hash of all fields' names and types, in order, down to the last."""
    seen: dict[str, str] = {}
    for kind in kinds:
        _describe(kind, seen)
    return sha256("\n".join(f"{name}({seen[name]})" for name in sorted(seen)).encode()).digest()


def _describe(kind: Any, seen: dict[str, str]) -> str:  # noqa: ANN401 - a type form
    if isinstance(kind, NewType):
        return _describe(kind.__supertype__, seen)
    parts = [one for one in get_args(kind) if one is not Ellipsis]
    if parts:
        origin = get_origin(kind)
        name = "union" if origin in (Union, UnionType) else origin.__name__
        inside = [_describe(one, seen) for one in parts] + ["..."] * (Ellipsis in get_args(kind))
        return f"{name}[{','.join(inside)}]"
    own = cast(type, kind)
    if is_dataclass(own) and own.__name__ not in seen:
        seen[own.__name__] = ""
        hints = get_type_hints(own)
        named = (f"{one.name}:{_describe(hints[one.name], seen)}" for one in fields(own))
        seen[own.__name__] = ",".join(named)
    return own.__name__


@cache
def encoder(kind: Any) -> Encode:  # noqa: ANN401 - a type form
    """What spells values of this type; `Broken` for a type with no exact spelling."""
    if isinstance(kind, NewType):
        return encoder(kind.__supertype__)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType) and len(parts) == 2 and parts[1] is NoneType:
        some = encoder(parts[0])
        return lambda value: b"le" if value is None else b"l" + some(value) + b"e"
    if origin is tuple and parts[-1] is Ellipsis:
        each = encoder(parts[0])
        return lambda value: b"l" + b"".join(map(each, value)) + b"e"
    if origin is tuple:
        several = tuple(map(encoder, parts))
        return lambda value: b"l" + b"".join(e(one) for e, one in zip(several, value, strict=True)) + b"e"
    if origin is frozenset:
        member = encoder(parts[0])
        return lambda value: b"l" + b"".join(sorted(map(member, value))) + b"e"
    return _plain_encoder(kind)


def _plain_encoder(kind: Any) -> Encode:  # noqa: ANN401 - a type form
    if kind is bytes:
        return bytes_item
    if kind is int or kind is bool:
        return lambda value: b"i%de" % value
    if kind is str:
        return lambda value: bytes_item(value.encode())
    if is_dataclass(kind):
        return _dataclass_encoder(cast(type, kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        by_value = encoder(_value_type(kind))
        return lambda value: by_value(value.value)
    raise Broken(
        "no-exact-spelling",
        f"A bundle cannot hold a {kind}.",
        "Give the matcher integers, texts and bytes alone.",
    )


def _dataclass_encoder(kind: type) -> Encode:
    hints = get_type_hints(kind)
    parts = [(one.name, encoder(hints[one.name])) for one in fields(kind)]
    blanks = [_blank(one, encode) for one, (_, encode) in zip(fields(kind), parts, strict=True)]

    def encode(value: object) -> bytes:
        pieces = [spell(getattr(value, name)) for name, spell in parts]
        last = len(pieces)
        while last and pieces[last - 1] == blanks[last - 1]:
            last -= 1
        return b"l" + b"".join(pieces[:last]) + b"e"

    return encode


def _blank(one: "Field[Any]", spell: Encode) -> bytes | None:
    """How the field's default is spelled; None where it has none."""
    if one.default is not MISSING:
        return spell(one.default)
    return spell(one.default_factory()) if one.default_factory is not MISSING else None


@cache
def _reader(kind: Any) -> Read:  # noqa: ANN401 - a type form
    if isinstance(kind, NewType):
        return _reader(kind.__supertype__)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        some = _reader(parts[0])
        return lambda item: some(_list(item, 1)[0]) if item else None
    if origin is tuple and parts[-1] is Ellipsis:
        each = _reader(parts[0])
        return lambda item: tuple(map(each, _list(item)))
    if origin is tuple:
        several = tuple(map(_reader, parts))
        return lambda item: tuple(r(one) for r, one in zip(several, _list(item, len(several)), strict=True))
    if origin is frozenset:
        member = _reader(parts[0])
        return lambda item: frozenset(map(member, _list(item)))
    return _plain_reader(kind)


def _plain_reader(kind: Any) -> Read:  # noqa: ANN401 - a type form
    if kind is bytes or kind is int:
        return lambda item: _exact(kind, item)
    if kind is bool:
        return lambda item: bool(_exact(int, item))
    if kind is str:
        return lambda item: str(_exact(bytes, item), "utf-8")
    if is_dataclass(kind):
        return _dataclass_reader(cast(type, kind))
    by_value = _reader(_value_type(kind))
    return lambda item: kind(by_value(item))


def _value_type(kind: Any) -> Any:  # noqa: ANN401 - of an enumeration, that of its members' values
    return type(next(iter(kind)).value)


def _dataclass_reader(kind: type) -> Read:
    hints = get_type_hints(kind)
    parts = [(one.name, _reader(hints[one.name])) for one in fields(kind)]

    def read_fields(item: Item) -> object:
        items = _list(item)
        if len(items) > len(parts):
            raise ValueError(f"{kind.__name__} has {len(parts)} fields, not {len(items)}")
        return kind(**{name: reader(one) for (name, reader), one in zip(parts, items, strict=False)})

    return read_fields


def _list(item: Item, size: int | None = None) -> list[Item]:
    items: list[Item] = _exact(list, item)
    if size is not None and len(items) != size:
        raise ValueError(f"{len(items)} items where {size} belong")
    return items


def _exact(kind: type, item: Item) -> Any:  # noqa: ANN401 - an item of `kind`
    if type(item) is not kind:
        raise TypeError(f"{str(item)[:40]} is not of {kind.__name__}")
    return item
