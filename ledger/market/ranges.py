"""Unsigned ranges of the signed types: a field that does not fit its Solidity type cannot be built."""

from ledger.market.errors import Rejected


def unsigned(name: str, value: int, bits: int) -> None:
    """Refuse a value outside [0, 2^bits); bool is no integer here."""
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise Rejected(
            "field-out-of-range",
            f"{name} is {value!r}, which does not fit {bits} unsigned bits.",
            f"Give {name} from 0 to 2^{bits} - 1.",
            field=name,
        )


def exact_bytes(name: str, value: bytes, length: int) -> None:
    """Refuse bytes of another length than the type's."""
    if not isinstance(value, bytes) or len(value) != length:
        raise Rejected(
            "field-length",
            f"{name} is not {length} bytes long.",
            f"Give exactly {length} bytes.",
            field=name,
        )
