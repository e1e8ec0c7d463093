"""The bounds of a period as people write them: whole days in UTC, the last one included."""

from datetime import UTC, datetime

from ledger.market.errors import Rejected

_DAY_SECONDS = 86_400


def start_of(day: str) -> int:
    """The first second of a day such as 2027-01-31, since 1970."""
    try:
        return int(datetime.strptime(day.strip(), "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError) as exc:
        raise Rejected("malformed-day", f"{day[:60]!r} is not a day.", "Write it as 2027-01-31.") from exc


def end_of(day: str) -> int:
    """The first second after a day."""
    return start_of(day) + _DAY_SECONDS
