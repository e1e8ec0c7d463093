"""Offers cannot be built invalid."""

import pytest

from ledger.market.errors import Rejected
from tests.factories import an_offer


def test_an_offer_holds_what_it_was_given() -> None:
    assert an_offer(min_seconds=5, max_seconds=5).max_seconds == 5


WRONG = [
    {"provider": b"short"},
    {"provider": "0x" + "00" * 20},
    {"document": bytes(31)},
    {"min_seconds": 6, "max_seconds": 5},
    {"max_seconds": 1 << 32},
    {"valid_until": 1 << 40},
    {"valid_until": -1},
    {"epoch": 1 << 64},
    {"salt": -1},
    {"salt": True},
]


@pytest.mark.parametrize("changes", WRONG, ids="-".join)
def test_a_field_that_does_not_fit_its_type_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        an_offer(**changes)
