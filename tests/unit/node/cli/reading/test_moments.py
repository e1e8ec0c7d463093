"""A moment means one second, in UTC, and never one that has passed."""

from datetime import UTC, datetime

import pytest

from ledger.market.errors import Rejected
from node.cli.reading.moments import parse_moment, parse_past

TUESDAY = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("48h", "2026-11-26T12:00:00"),
        ("friday", "2026-11-27T23:59:59"),
        ("Tuesday", "2026-11-24T23:59:59"),
        ("monday", "2026-11-30T23:59:59"),
        ("2027-01-31", "2027-01-31T23:59:59"),
        ("2027-01-31T18:00Z", "2027-01-31T18:00:00"),
        ("2027-01-31T18:00:05Z", "2027-01-31T18:00:05"),
    ],
)
def test_a_moment_is_read(text: str, meant: str) -> None:
    assert datetime.fromtimestamp(parse_moment(text, TUESDAY), UTC).isoformat() == meant + "+00:00"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-11-23", "moment-passed"),
        ("0", "moment-passed"),
        ("someday", "malformed-moment"),
        ("", "malformed-moment"),
    ],
)
def test_a_moment_that_passed_or_is_none_is_refused(text: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_moment(text, TUESDAY)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-23", "2026-11-23T00:00:00"),
        ("2027-01-31T18:00Z", "2027-01-31T18:00:00"),
        ("2027-01-31T18:00:05Z", "2027-01-31T18:00:05"),
    ],
)
def test_a_moment_of_history_may_have_passed_and_a_date_begins(text: str, meant: str) -> None:
    assert datetime.fromtimestamp(parse_past(text), UTC).isoformat() == meant + "+00:00"


@pytest.mark.parametrize("text", ["48h", "friday", "2026-13-01", ""])
def test_a_moment_of_history_is_no_time_from_now(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_past(text)
    assert refused.value.code == "malformed-moment"
