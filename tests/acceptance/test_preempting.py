"""An interruptible job yields to a higher bid on a running grid: it is asked to end, saves, and is paid."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.short_grid import CHEAP, ShortGrid, short_grid

pytestmark = pytest.mark.docker

MOST = {"cpus": "600m", "memory": "64MiB", "disk": "16MiB"}
"""two such jobs do not fit on one core"""
SAVES = """
trap 'echo "told to end, $BINGWANG_NOTICE s left" > out/checkpoint; exit 0' TERM
echo started
while true; do sleep 0.1; done
"""
STAYS = "trap '' TERM; echo started; while true; do sleep 0.1; done"


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortGrid]:
    with short_grid(tmp_path_factory.mktemp("preempting"), CHEAP) as running:
        running.open_wallet("other")
        yield running


def low(grid: ShortGrid, script: str, **keys: object) -> str:
    """A long job that runs, and that may have to yield."""
    given: dict[str, object] = {"interruptible": {"notice": "30s"}, "outputs": ["checkpoint"]}
    given |= {"resources": MOST, "max_price": "30/h", "max_duration": "10m"}
    job = grid.submit(script, **(given | keys))
    grid.await_state(job, "running")
    return job


def high(grid: ShortGrid, script: str = "echo took its place", **keys: object) -> str:
    """Another buyer's job, which finds no room and rests."""
    given: dict[str, object] = {"resources": MOST, "max_price": "90/h", "max_duration": "5m", "wait": "5m"}
    file = grid.job_file(script, **(given | keys))
    job: str = grid.bingwang("submit", str(file), "--wallet", "other")["job"]
    return job


def stop(grid: ShortGrid, *jobs: str) -> None:
    for job in jobs:
        grid.bingwang("cancel", job)
        grid.await_closed(job)


def test_the_lower_job_saves_within_its_notice_and_the_higher_one_runs(
    grid: ShortGrid, tmp_path: Path
) -> None:
    first = low(grid, SAVES)
    second = high(grid)
    ended = grid.await_closed(first)
    assert (ended["state"], ended["code"]) == ("preempted", "preempted")
    assert "with 30 s of notice" in ended["cause"]
    (lease,) = ended["leases"]
    assert 0 < int(lease["paid"]) < int(lease["escrow"])
    assert int(lease["paid"]) + int(lease["refunded"]) == int(lease["escrow"])

    assert grid.await_closed(second)["state"] == "succeeded"
    assert grid.bingwang("logs", second, "--wallet", "other")["log"] == "took its place\n"
    fetched: list[dict[str, Any]] = grid.bingwang("fetch", first, str(tmp_path))["outputs"]
    assert [one["path"] for one in fetched] == ["checkpoint"]
    assert (tmp_path / "checkpoint").read_text() == "told to end, 30 s left\n"
    shown = grid.command("status", first)
    assert "preempted" in shown.out
    assert "30 s of notice" in shown.out


def test_a_job_that_does_not_end_is_cut_off_when_its_notice_is_over(grid: ShortGrid) -> None:
    first = low(grid, STAYS, interruptible={"notice": "3s"}, outputs=[])
    second = high(grid)
    ended = grid.await_closed(first)
    assert ended["state"] == "preempted"
    (lease,) = ended["leases"]
    assert lease["exit_code"] == 137
    assert lease["receipt"]["milliseconds"] >= 3_000
    assert grid.await_closed(second)["state"] == "succeeded"


def test_a_job_with_retry_comes_back_once_there_is_room(grid: ShortGrid) -> None:
    first = low(grid, SAVES, retry=1)
    second = high(grid, "sleep 2")
    assert grid.await_closed(second)["state"] == "succeeded"
    again = grid.until("the job runs again", lambda: run_again(grid, first))
    assert again["leases"][0]["code"] == "preempted"
    stop(grid, first)


def run_again(grid: ShortGrid, job: str) -> dict[str, Any] | None:
    found = grid.job(job)
    return found if len(found["leases"]) == 2 and found["state"] == "running" else None


def receipt_of(grid: ShortGrid, job: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = grid.job(job)["leases"][0]["receipt"]
    return found


def test_a_job_that_was_not_sold_so_and_a_higher_one_are_left_alone(grid: ShortGrid) -> None:
    for keys in ({"interruptible": None}, {"max_price": "90/h"}):
        first = low(grid, SAVES, **keys)
        second = high(grid)
        grid.until("a receipt", partial(receipt_of, grid, first))
        assert grid.job(first)["state"] == "running"
        assert grid.job(first)["code"] == ""
        assert grid.job(second)["state"] == "resting"
        grid.bingwang("cancel", second, "--wallet", "other")
        stop(grid, first)
