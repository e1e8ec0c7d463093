"""JSON-RPC parameters to bytes and integers; whatever does not fit is error -32602, never a traceback."""

import re
from collections.abc import Sequence
from typing import Any

from ledger.chain.embedded.calls import Call
from ledger.chain.embedded.queries import LogFilter
from ledger.chain.embedded.rpc_error import invalid
from ledger.chain.embedded.transactions import TRANSACTION_GAS_CAP

_MAX_TOPICS = 4
_MAX_ALTERNATIVES = 1_000
_QUANTITY = re.compile(r"0[xX][0-9a-fA-F]+")
_DATA = re.compile(r"0[xX]([0-9a-fA-F]*)")


def quantity(value: object, what: str, bits: int = 256) -> int:
    """A `0x` quantity of so many bits; a plain JSON integer is taken too."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and _QUANTITY.fullmatch(value):
        number = int(value, 16)
    else:
        raise invalid(f"{what} is not a quantity")
    if not 0 <= number < 2**bits:
        raise invalid(f"{what} is out of range")
    return number


def data(value: object, what: str, length: int | None = None) -> bytes:
    """`0x` bytes, of exactly `length` where one is given."""
    digits = _DATA.fullmatch(value) if isinstance(value, str) else None
    if digits is None:
        raise invalid(f"{what} is not 0x-prefixed hexadecimal data")
    if len(digits[1]) % 2:
        raise invalid(f"{what} is a hex string of odd length")
    decoded = bytes.fromhex(digits[1])
    if length is not None and len(decoded) != length:
        raise invalid(f"{what} must be {length} bytes, not {len(decoded)}")
    return decoded


def address(value: object, what: str = "address") -> bytes:
    """A 20-byte account address; the case of its letters is not checked."""
    return data(value, what, 20)


def block_hash(value: object) -> bytes:
    """A 32-byte hash."""
    return data(value, "hash", 32)


def flag(value: object) -> bool:
    """The second argument of a method that shows things whole or by hash; null is false."""
    if value is not None and not isinstance(value, bool):
        raise invalid("the second argument is not a boolean")
    return bool(value)


def call(value: object) -> Call:
    """A call object; without `gasPrice` or `maxFeePerGas` the call is free."""
    if not isinstance(value, dict):
        raise invalid("call object is missing")
    body, gas = _body(value), value.get("gas")
    return Call(
        sender=address(value["from"], "from") if value.get("from") else bytes(20),
        to=address(value["to"], "to") if value.get("to") else b"",
        gas=TRANSACTION_GAS_CAP if gas is None else min(quantity(gas, "gas"), TRANSACTION_GAS_CAP),
        price=_price(value),
        value=quantity(value.get("value") or 0, "value"),
        data=data(body, "input") if body else b"",
        access_list=_access_list(value.get("accessList") or ()),
    )


def _body(value: dict[str, Any]) -> object:
    first, second = value.get("input"), value.get("data")
    if first is not None and second is not None and first != second:
        raise invalid('both "data" and "input" are set and not equal. Please use "input" to pass call data')
    return second if first is None else first


def _price(value: dict[str, Any]) -> int:
    legacy, most = value.get("gasPrice"), value.get("maxFeePerGas")
    tip = value.get("maxPriorityFeePerGas")
    if legacy is not None and (most is not None or tip is not None):
        raise invalid("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
    highest, least = quantity(most or 0, "maxFeePerGas"), quantity(tip or 0, "maxPriorityFeePerGas")
    if most is not None and least > highest:
        raise invalid(f"maxFeePerGas ({highest}) < maxPriorityFeePerGas ({least})")
    return highest if legacy is None else quantity(legacy, "gasPrice")


def log_filter(value: dict[str, Any], first: int, last: int) -> LogFilter:
    """A filter object whose block range is already resolved."""
    block = value.get("blockHash")
    addresses = value.get("address") or ()
    if isinstance(addresses, str):
        addresses = (addresses,)
    return LogFilter(
        first=first,
        last=last,
        block=None if block is None else block_hash(block),
        addresses=[address(one) for one in _listed(addresses, "address")],
        topics=_topics(value.get("topics") or ()),
    )


def _topics(value: object) -> list[Sequence[bytes]]:
    places = _listed(value, "topics")
    if len(places) > _MAX_TOPICS:
        raise invalid(f"at most {_MAX_TOPICS} topics")
    topics: list[Sequence[bytes]] = []
    for place in places:
        accepted = () if place is None else _listed((place,) if isinstance(place, str) else place, "topic")
        if None in accepted:
            accepted = ()
        topics.append([data(topic, "topic", 32) for topic in accepted])
    return topics


def _listed(value: object, what: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise invalid(f"{what} is not a list")
    if len(value) > _MAX_ALTERNATIVES:
        raise invalid(f"{what} has more than {_MAX_ALTERNATIVES} entries")
    return value


def _access_list(value: object) -> tuple[tuple[bytes, tuple[int, ...]], ...]:
    entries = []
    for entry in _listed(value, "accessList"):
        if not isinstance(entry, dict):
            raise invalid("accessList entry is not an object")
        slots = _listed(entry.get("storageKeys") or (), "storageKeys")
        entries.append(
            (address(entry.get("address")), tuple(quantity(slot, "storage key") for slot in slots))
        )
    return tuple(entries)
