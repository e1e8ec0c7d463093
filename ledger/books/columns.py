"""Column types that keep values exact and rows readable: bytes as `0x…`, amounts as decimal text.

A database integer has 64 bits and an amount up to 88, so an amount stored as a number would be silently
rounded or refused; text is exact on every database, and an operator can read and compare it.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import BigInteger, Dialect, Integer, String
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field

from ledger.market.errors import Broken
from ledger.market.identity import text

T = TypeVar("T")

WHOLE: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A number of at most 63 bits. SQLite's INTEGER has them all, and only under that name numbers its rows."""


class Hex(TypeDecorator[bytes]):
    """Bytes, stored as lower-case `0x…` text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else text(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> bytes | None:  # noqa: ANN401 - driver value
        return None if value is None else _read(value, lambda stored: bytes.fromhex(stored[2:]))


class Wide(TypeDecorator[int]):
    """A signed integer of any width, stored as decimal text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> int | None:  # noqa: ANN401 - driver value
        return None if value is None else _read(value, int)


class Prose(TypeDecorator[str]):
    """What somebody else wrote. PostgreSQL stores no NUL in a text, so one is kept as U+FFFD on both."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def hex_field(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    """Bytes."""
    return Field(sa_type=Hex, **options)


def wide_field(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    """A number of any width."""
    return Field(sa_type=Wide, **options)


def whole_field(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    """A number of at most 63 bits."""
    return Field(sa_type=WHOLE, **options)


def prose_field(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    """What somebody else wrote."""
    return Field(sa_type=Prose, **options)


def _read(stored: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(stored)
    except ValueError as error:
        raise Broken(
            "unreadable-record",
            f"The books hold {stored[:80]!r} where a number or an id belongs.",
            "Rebuild the projections, or restore the books from a copy.",
        ) from error
