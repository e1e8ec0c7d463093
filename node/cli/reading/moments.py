"""A moment as people write it: from now, a weekday, or a date; always UTC, so that it means one second."""

from datetime import UTC, datetime, timedelta

from ledger.market.errors import Rejected
from node.cli.reading.quantities import parse_time

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ")


def parse_moment(value: str, now: int) -> int:
    """Seconds since 1970 of `48h`, of a weekday's or a date's last second, or of `2027-01-31T18:00Z`.

    `Rejected` for another text and for a moment that has passed.
    """
    at = _moment(value.strip(), now)
    if at <= now:
        raise Rejected("moment-passed", f"{value[:60]!r} has passed.", "Give a later moment.")
    return at


def _moment(value: str, now: int) -> int:
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0)
    if value.lower() in _WEEKDAYS:
        ahead = (_WEEKDAYS.index(value.lower()) - today.weekday()) % 7
        return _end_of(today + timedelta(days=ahead))
    for form in _FORMS:
        try:
            return int(datetime.strptime(value, form).replace(tzinfo=UTC).timestamp())
        except ValueError:
            continue
    try:
        return _end_of(datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC))
    except ValueError:
        return now + _from_now(value)


def _from_now(value: str) -> int:
    try:
        return parse_time(value)
    except Rejected as exc:
        raise Rejected(
            "malformed-moment",
            f"{value[:60]!r} is not a moment.",
            "Write 48h, friday, 2027-01-31 or 2027-01-31T18:00Z (UTC).",
        ) from exc


def _end_of(day: datetime) -> int:
    return int(day.timestamp()) + 86_399
