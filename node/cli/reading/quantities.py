"""Sizes, times and counts as people write them, each with its unit, so that `8` is never guessed at."""

import re
from decimal import Decimal

from ledger.market.errors import Rejected

_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]+)")
_MIB = {"KiB": Decimal(1) / 1024, "MiB": Decimal(1), "GiB": Decimal(1024), "TiB": Decimal(1024 * 1024)}
_TIME = re.compile(r"(?:[0-9]{1,9}[smhd])+")
_TIME_PART = re.compile(r"([0-9]+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FRACTION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
_MILLI = re.compile(r"[0-9]{1,9}m")
_YES = {"true": True, "yes": True, "false": False, "no": False}


def parse_size(value: str) -> int:
    """MiB of `8GiB`, rounded up to whole MiB."""
    found = _SIZE.fullmatch(value.strip())
    if found is None or found[2] not in _MIB:
        raise Rejected(
            "malformed-size", f"{value[:60]!r} is not a size.", "Write a number with KiB, MiB, GiB or TiB."
        )
    exact = Decimal(found[1]) * _MIB[found[2]]
    return int(exact.to_integral_value(rounding="ROUND_CEILING"))


def parse_time(value: str) -> int:
    """Seconds of `90m`, `1h30m` or `0`."""
    compact = value.strip()
    if compact == "0":
        return 0
    if not _TIME.fullmatch(compact):
        raise Rejected(
            "malformed-time", f"{value[:60]!r} is not a time.", "Write a number with s, m, h or d, as 90m."
        )
    return sum(int(count) * _SECONDS[unit] for count, unit in _TIME_PART.findall(compact))


def parse_milli(value: str) -> int:
    """Thousandths of `1.5` or `1500m`: of a core, or of a device."""
    compact = value.strip()
    if _MILLI.fullmatch(compact):
        return int(compact[:-1])
    if not _FRACTION.fullmatch(compact):
        raise Rejected("malformed-count", f"{value[:60]!r} is not a count.", "Write 2, 0.5 or 500m.")
    thousandths = Decimal(compact) * 1000
    if thousandths != int(thousandths):
        raise Rejected("too-precise", f"{value} is not a whole number of thousandths.", "Round it.")
    return int(thousandths)


def parse_count(value: str) -> int:
    """A whole number."""
    compact = value.strip()
    if not (compact.isascii() and compact.isdecimal() and len(compact) <= 12):
        raise Rejected("malformed-count", f"{value[:60]!r} is not a whole number.", "Write digits only.")
    return int(compact)


def parse_yes(value: str) -> bool:
    """`true` or `false`."""
    if value.strip().lower() not in _YES:
        raise Rejected(
            "malformed-choice", f"{value[:60]!r} is neither true nor false.", "Write true or false."
        )
    return _YES[value.strip().lower()]


def format_seconds(seconds: int) -> str:
    """`1h30m`: the largest units first, nothing where it is zero."""
    if seconds == 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, seconds = divmod(seconds, _SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def format_mib(mib: int) -> str:
    """`8GiB` where it is whole, otherwise MiB."""
    return f"{mib // 1024}GiB" if mib and mib % 1024 == 0 else f"{mib}MiB"


def format_milli(milli: int) -> str:
    """`1.5`: thousandths without trailing zeros."""
    whole, rest = divmod(milli, 1000)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)
