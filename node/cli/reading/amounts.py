"""Money as people write it, without floats: a price that is shown is the price that is signed.

A token amount has `decimals` decimal places; a rate is milli-base-units an hour (PROTOCOL "Money and
quantities"), so a price per hour has three places more than an amount.
"""

import re
from decimal import Decimal, localcontext

from ledger.market.errors import Rejected
from ledger.market.resource import Quantities

_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_DIGITS = 120
_RATE_PLACES = 3
_MIB_PER_GIB = 1024


def parse_amount(value: str, decimals: int) -> int:
    """Base units of "12.5"; `Rejected` for a sign, an exponent, or more places than the token has."""
    return _scaled(value.strip(), decimals, "amount")


def format_amount(amount: int, decimals: int) -> str:
    """The exact decimal text of base units, without trailing zeros."""
    return _placed(amount, decimals)


def parse_price(value: str, decimals: int) -> int:
    """The rate behind "0.50/h", in milli-base-units per hour."""
    number, slash, unit = value.strip().partition("/")
    if not slash or unit.strip() != "h":
        raise Rejected(
            "malformed-price", f"{value[:60]!r} is not a price.", "Write tokens an hour, such as 0.50/h."
        )
    return _scaled(number.strip(), decimals + _RATE_PLACES, "price")


def format_rate(rate: int, decimals: int) -> str:
    """The exact price of a rate in tokens an hour, such as `0.5/h`."""
    return _placed(rate, decimals + _RATE_PLACES) + "/h"


def ask_prices(ask: Quantities, decimals: int) -> dict[str, str]:
    """What an ask means per core, GiB of memory, GiB of disk and whole GPU for an hour, exactly."""
    gib = _RATE_PLACES  # an ask prices 1,000 MiB: a GiB costs ask x 1.024, three places more
    return {
        "core": _placed(ask.cpu, decimals),
        "memory_gib": _placed(ask.memory * _MIB_PER_GIB, decimals + gib),
        "disk_gib": _placed(ask.disk * _MIB_PER_GIB, decimals + gib),
        "gpu": _placed(ask.gpu, decimals),
        "gpu_memory_gib": _placed(ask.gpu_memory * _MIB_PER_GIB, decimals + gib),
    }


def _scaled(value: str, places: int, what: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise Rejected(
            f"malformed-{what}", f"{value[:60]!r} is not a number.", "Write digits with a decimal point."
        )
    whole, _, fraction = value.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > places:
        raise Rejected(
            "too-precise",
            f"{value} has {len(fraction)} decimal places, and this {what} has {places}.",
            f"Give at most {places} decimal places.",
        )
    return int(whole + fraction.ljust(places, "0"))


def _placed(value: int, places: int) -> str:
    with localcontext() as context:
        context.prec = _DIGITS
        number = Decimal(value).scaleb(-places)
        text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
