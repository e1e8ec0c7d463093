"""A moment as people write it: from now, a weekday, or a date; always UTC, so that it means one second."""

from datetime import UTC, datetime, timedelta

from ledger.market.errors import Rejected
from node.cli.reading.quantities import parse_time

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ")
_DAY = "%Y-%m-%d"


def parse_moment(value: str, now: int) -> int:
    """Seconds since 1970 of `48h`, of a weekday's or a date's last second, or of `2027-01-31T18:00Z`.

    `Rejected` for another text and for a moment that has passed.
    """
    at = _moment(value.strip(), now)
    if at <= now:
        raise Rejected("moment-passed", f"{value[:60]!r} has passed.", "Give a later moment.")
    return at


def parse_past(value: str) -> int:
    """Seconds since 1970 of a date's first second, or of `2027-01-31T18:00Z`; it may have passed."""
    at = _dated(value, *_FORMS, _DAY)
    if at is None:
        raise Rejected(
            "malformed-moment",
            f"{value[:60]!r} is not a moment.",
            "Write 2027-01-31 or 2027-01-31T18:00Z (UTC).",
        )
    return int(at.timestamp())


def _moment(value: str, now: int) -> int:
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0)
    if value.lower() in _WEEKDAYS:
        ahead = (_WEEKDAYS.index(value.lower()) - today.weekday()) % 7
        return _end_of(today + timedelta(days=ahead))
    at = _dated(value, *_FORMS)
    if at is not None:
        return int(at.timestamp())
    day = _dated(value, _DAY)
    return now + _from_now(value) if day is None else _end_of(day)


def _dated(value: str, *forms: str) -> datetime | None:
    """In the first of the forms that the text has."""
    for form in forms:
        try:
            return datetime.strptime(value, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


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
