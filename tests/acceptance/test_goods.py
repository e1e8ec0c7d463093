"""Goods that no word of the contract holds, through a whole grid: bought where an offer keeps them, refused
by name where none does.
"""

import json
from collections.abc import Iterator

import pytest

from tests.short_grid import CHEAP, DEAR, ShortGrid

pytestmark = pytest.mark.docker

NEAR = {"eu-central": 12}
"""what the dear provider vouches for; the cheap one says nothing"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortGrid]:
    running = ShortGrid(folder=tmp_path_factory.mktemp("goods"))
    try:
        running.start_chain()
        running.start_node()
        running.open_wallet()
        running.start_provider(CHEAP)
        running.start_provider(DEAR, lambda text: f"{text}latency: {json.dumps(NEAR)}\n")
        running.await_offers(2)
        yield running
    finally:
        running.clean()


@pytest.mark.parametrize("good", ["near", "denied", "preferred"])
def test_the_dearer_provider_gets_a_job_that_only_it_serves_or_that_would_rather_be_there(
    grid: ShortGrid, good: str
) -> None:
    asked: dict[str, dict[str, object]] = {
        "near": {"data": {"region": "eu-central", "max_latency": "12ms"}},
        "denied": {"providers": {"deny": [grid.providers["cheap"]]}},
        "preferred": {"domains": {"prefer": {"dear-lab/*": "60%"}}},
    }
    ended = grid.await_closed(grid.submit("true", deadline="in 1h", **asked[good]))
    assert ended["state"] == "succeeded"
    (lease,) = ended["leases"]
    assert lease["terms"]["provider"] == grid.providers["dear"]


@pytest.mark.parametrize(
    ("dimension", "keys"),
    [
        ("latency", {"data": {"region": "eu-central", "max_latency": "11ms"}}),
        ("features", {"trust": "measured"}),
        ("models", {"resources": {"accelerators": {"models": ["A100", "H100"]}}}),
        ("floors", {"resources": {"accelerators": {"floors": {"bf16": "300T"}}}}),
        ("profile", {"resources": {"accelerators": {"profile": "1g.10gb"}}}),
    ],
)
def test_a_good_that_nobody_has_is_refused_by_its_name(
    grid: ShortGrid, dimension: str, keys: dict[str, object]
) -> None:
    outcome = grid.command("submit", str(grid.job_file("true", **keys)), "--json")
    assert (outcome.code, outcome.plain["code"]) == (3, "no-match")
    assert {dimension} <= set.intersection(*(set(one["dimensions"]) for one in outcome.plain["excluded"]))


def test_a_deadline_that_the_duration_cannot_keep_is_refused_before_anything_is_signed(
    grid: ShortGrid,
) -> None:
    outcome = grid.command("submit", str(grid.job_file("true", deadline="in 30s")), "--json")
    assert (outcome.code, outcome.plain["code"]) == (3, "times-too-near")
