"""Kill -9 at every point of a job's life: it runs at most once, is paid at most once, and is never lost.

Real processes on the real engine. Runs are counted by the engine's event stream, pay by the chain's
events; each test asserts that it reached its point before it kills, and all that must hold afterwards.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ledger.market.lease import ClosedBecause
from tests.engine import engine_url
from tests.engine_gate import EngineGate, engine_gate
from tests.live_grid import AGENT, CHAIN, NODE, LiveGrid, Template, live_grid, make_template
from tests.short_grid import CHEAP

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]

PROVIDER = CHEAP | {"--core-price": "360"}
DEPOSIT = 100_000_000
SLACK_MS = 500
"""by how much a metered time may differ from the engine's own"""
ANY = (NODE, CHAIN, pytest.param(AGENT, id="agent"))
Open = Callable[..., LiveGrid]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return make_template(tmp_path_factory.mktemp("template") / "grid", PROVIDER)


@pytest.fixture
def open_grid(template: Template, tmp_path: Path) -> Iterator[Open]:
    """Starts a grid of the test's own; it is gone after the test."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(live_grid(template, tmp_path, **how))


@pytest.fixture
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineGate]:
    with engine_gate(tmp_path_factory.mktemp("gate") / "engine.sock", engine_url()) as gate:
        yield gate


def submit(grid: LiveGrid, seconds: float = 2, **keys: object) -> tuple[str, str]:
    """A job that sleeps; its id and its lease's, "" while it rests."""
    job = grid.submit(f"sleep {seconds}", max_duration="40s", max_price="60/h", **keys)
    return job, grid.job(job)["lease"] or ""


def conclude(grid: LiveGrid, job: str, *, runs: int) -> dict[str, Any]:
    """The job's end, once all that must hold after a kill was seen to hold."""
    ended = grid.await_end(job)
    (lease,) = ended["leases"]
    assert len(grid.recorded(lease["lease"], "start")) == runs
    paid = check_money(grid, lease)
    check_time(grid, lease, paid)
    if runs:
        assert (ended["state"], ended["exit_code"]) == ("succeeded", 0), (ended["code"], ended["cause"])
        assert paid > 0
    else:
        assert ended["state"] == "failed"
        assert paid == 0
    assert grid.findings() == []
    return ended


def check_money(grid: LiveGrid, lease: Mapping[str, Any]) -> int:
    """What the lease paid: once, to its provider, and the rest came back to its buyer."""
    payment = grid.payment(lease["lease"])
    (opened,), (closed,) = payment.opened, payment.closed
    assert sum(one.amount for one in payment.settled) == closed.paid
    assert closed.paid + closed.refunded == opened.escrow
    assert closed.because is not ClosedBecause.EXPIRED
    terms = lease["terms"]
    earned = closed.paid - sum(one.fee for one in payment.settled)
    assert grid.balances(terms["buyer"], terms["provider"]) == [DEPOSIT - closed.paid, earned]
    return closed.paid


def check_time(grid: LiveGrid, lease: Mapping[str, Any], paid: int) -> None:
    """What was paid is the time for which the engine saw the container run."""
    ran = 0.0
    for begun in grid.recorded(lease["lease"], "start"):
        (ended,) = grid.recorded(lease["lease"], "die")
        ran += (ended.at - begun.at) / 1e6
    milliseconds = paid * 3_600_000_000 / int(lease["terms"]["rate"])
    assert abs(milliseconds - ran) <= SLACK_MS


@pytest.mark.parametrize("victim", [NODE, CHAIN])
def test_a_resting_bid_survives(open_grid: Open, victim: str) -> None:
    grid = open_grid(agent=False)
    job, lease = submit(grid, wait="10m")
    assert (grid.job(job)["state"], lease) == ("resting", "")
    grid.kill(victim)
    grid.start(victim)
    assert grid.job(job)["state"] == "resting"
    grid.start(AGENT)
    conclude(grid, job, runs=1)


@pytest.mark.parametrize("victim", ANY)
def test_a_match_that_is_sent_and_not_mined_is_not_lost(open_grid: Open, victim: str) -> None:
    grid = open_grid(on_demand=True)
    job, lease = submit(grid)
    grid.until("the match waits for a block", lambda: grid.waiting() == 1)
    grid.kill(victim)
    grid.start(victim)
    assert grid.lease_on_chain(lease) is None
    grid.sealing = True
    conclude(grid, job, runs=1)


@pytest.mark.parametrize("victim", ANY)
def test_a_lease_that_is_open_with_nothing_started_is_served(open_grid: Open, victim: str) -> None:
    grid = open_grid()
    grid.freeze(AGENT)
    job, lease = submit(grid)
    grid.await_lease(lease)
    assert grid.container_state(lease) == ""
    grid.kill(victim)
    grid.start(victim)
    grid.thaw(AGENT)
    conclude(grid, job, runs=1)


@pytest.mark.parametrize(("victim", "runs"), [(NODE, 1), (CHAIN, 1), pytest.param(AGENT, 0, id="agent-0")])
def test_a_container_that_is_created_and_not_started_runs_at_most_once(
    open_grid: Open, gate: EngineGate, victim: str, runs: int
) -> None:
    """An agent cannot know whether its request for a start arrived: it gives the buyer the money back."""
    grid = open_grid(engine=gate.url)
    gate.hold_request()
    job, lease = submit(grid)
    grid.until("a start is asked for", gate.held.is_set)
    assert grid.container_state(lease) == "created"
    grid.kill(victim)
    grid.start(victim)
    gate.open()
    ended = conclude(grid, job, runs=runs)
    assert ended["code"] == ("" if runs else "interrupted-start")


def test_a_container_whose_start_was_never_answered_is_not_started_again(
    open_grid: Open, gate: EngineGate
) -> None:
    grid = open_grid(engine=gate.url)
    gate.hold_answer()
    job, lease = submit(grid)
    grid.until("a start is carried out", gate.held.is_set)
    grid.await_event(lease, "start")
    grid.kill(AGENT)
    gate.open()
    grid.start(AGENT)
    conclude(grid, job, runs=1)


@pytest.mark.parametrize("victim", ANY)
def test_a_running_job_runs_on(open_grid: Open, victim: str) -> None:
    grid = open_grid()
    job, lease = submit(grid, 5)
    grid.await_event(lease, "start")
    grid.kill(victim)
    assert grid.container_state(lease) == "running"
    grid.start(victim)
    conclude(grid, job, runs=1)


@pytest.mark.parametrize("victim", ANY)
def test_a_job_that_exited_and_is_not_settled_is_paid(open_grid: Open, victim: str) -> None:
    grid = open_grid()
    job, lease = submit(grid)
    grid.await_event(lease, "start")
    grid.freeze(AGENT)
    grid.await_event(lease, "die")
    assert grid.lease_on_chain(lease) is not None
    grid.kill(victim)
    grid.thaw(AGENT)
    grid.start(victim)
    conclude(grid, job, runs=1)


@pytest.mark.parametrize("victim", ANY)
def test_a_settlement_that_is_sent_and_not_mined_pays_once(open_grid: Open, victim: str) -> None:
    grid = open_grid(on_demand=True)
    job, lease = submit(grid)
    grid.until("the match waits for a block", lambda: grid.waiting() == 1)
    grid.mine()
    grid.await_event(lease, "die")
    grid.until("the settlement waits for a block", lambda: grid.waiting() == 1)
    found = grid.lease_on_chain(lease)
    assert found is not None
    assert found.paid == 0
    grid.kill(victim)
    grid.start(victim)
    grid.sealing = True
    conclude(grid, job, runs=1)


def test_a_chain_that_its_node_runs_comes_back_and_a_power_cut_loses_nothing(open_grid: Open) -> None:
    """First the chain dies alone, then everything but the engine at once."""
    grid = open_grid(supervised=True)
    job, lease = submit(grid, 8)
    grid.await_event(lease, "start")
    grid.kill_supervised_chain()
    assert grid.container_state(lease) == "running"
    grid.kill_all()
    grid.start(NODE, AGENT)
    conclude(grid, job, runs=1)
