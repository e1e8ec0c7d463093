"""A distance that nobody told keeps no promise."""

import pytest

from ledger.market.errors import Rejected
from ledger.market.latency import Distances, check_distances, check_reach, distances, within


def test_a_region_is_near_up_to_its_last_millisecond_and_unknown_ones_are_far() -> None:
    told = distances({"us-east": 80, "eu-west": 12})
    assert told == (("eu-west", 12), ("us-east", 80))
    assert within(told, "eu-west", 12)
    assert not within(told, "eu-west", 11)
    assert not within(told, "cn-east", 60_000)


@pytest.mark.parametrize(
    "table", [(("mars", 1),), (("eu-west", -1),), (("us-east", 1), ("eu-west", 1)), (("eu-west", 1),) * 2]
)
def test_a_table_that_is_none_is_refused(table: Distances) -> None:
    with pytest.raises(Rejected):
        check_distances(table)


@pytest.mark.parametrize(("region", "most"), [("eu-west", 0), ("", 5), ("mars", 5), ("eu-west", 60_001)])
def test_a_reach_names_a_region_and_a_maximum(region: str, most: int) -> None:
    check_reach("", 0)
    check_reach("eu-west", 60_000)
    with pytest.raises(Rejected):
        check_reach(region, most)
