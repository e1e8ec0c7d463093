import pytest

from ledger.market.errors import Rejected
from node.cli.reading.days import end_of, start_of


def test_a_period_has_its_last_day() -> None:
    assert start_of("1970-01-02") == 86_400
    assert end_of("1970-01-02") == 2 * 86_400
    assert end_of("2027-01-31") == start_of(" 2027-02-01 ")


@pytest.mark.parametrize("day", ["", "tomorrow", "2027-13-01", "2027-02-30", "2027-01-31T00:00Z", "1"])
def test_what_is_no_day_is_refused(day: str) -> None:
    with pytest.raises(Rejected) as refused:
        start_of(day)
    assert refused.value.code == "malformed-day"
