"""JSON-RPC parameters to bytes and integers; whatever does not fit is error -32602, never a traceback."""

from collections.abc import Sequence
from typing import Any

from ledger.chain.embedded.calls import Call
from ledger.chain.embedded.queries import LogFilter
from ledger.chain.embedded.rpc_error import INVALID_PARAMS, RpcError
from ledger.chain.embedded.transactions import TRANSACTION_GAS_CAP

_MAX_QUANTITY = 2**256
_MAX_TOPICS = 4
_MAX_ALTERNATIVES = 1_000
TAGS = frozenset({"latest", "pending", "safe", "finalized", "earliest"})


def invalid(message: str) -> RpcError:
    """The error for a parameter that cannot be used."""
    return RpcError(INVALID_PARAMS, message)


def quantity(value: object, what: str) -> int:
    """A `0x` quantity below 2^256; a plain JSON integer is taken too."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value[:2] in ("0x", "0X"):
        try:
            number = int(value, 16)
        except ValueError as exc:
            raise invalid(f"{what} is not a quantity") from exc
    else:
        raise invalid(f"{what} is not a quantity")
    if not 0 <= number < _MAX_QUANTITY:
        raise invalid(f"{what} is out of range")
    return number


def data(value: object, what: str, length: int | None = None) -> bytes:
    """`0x` bytes, of exactly `length` where one is given."""
    if not isinstance(value, str) or value[:2] not in ("0x", "0X"):
        raise invalid(f"{what} is not 0x-prefixed data")
    try:
        decoded = bytes.fromhex(value[2:])
    except ValueError as exc:
        raise invalid(f"{what} is not hexadecimal") from exc
    if length is not None and len(decoded) != length:
        raise invalid(f"{what} must be {length} bytes, not {len(decoded)}")
    return decoded


def address(value: object, what: str = "address") -> bytes:
    """A 20-byte account address; the case of its letters is not checked."""
    return data(value, what, 20)


def block_hash(value: object) -> bytes:
    """A 32-byte hash."""
    return data(value, "hash", 32)


def call(value: object) -> Call:
    """A call object; fee fields are accepted and ignored because calls are free."""
    if not isinstance(value, dict):
        raise invalid("call object is missing")
    body = value.get("input", value.get("data"))
    gas = value.get("gas")
    return Call(
        sender=address(value["from"], "from") if value.get("from") else bytes(20),
        to=address(value["to"], "to") if value.get("to") else b"",
        gas=TRANSACTION_GAS_CAP if gas is None else min(quantity(gas, "gas"), TRANSACTION_GAS_CAP),
        value=quantity(value.get("value") or 0, "value"),
        data=data(body, "input") if body else b"",
        access_list=_access_list(value.get("accessList") or ()),
    )


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
