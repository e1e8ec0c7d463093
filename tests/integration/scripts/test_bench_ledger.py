"""`scripts/bench_ledger.py` in small: one workload runs on ours and on its rivals, and figures are judged."""

from pathlib import Path

import pytest

from scripts.bench_ledger import judge_life, judge_rates
from scripts.ledger_bench import long_chain
from scripts.ledger_bench.chains import Bench, EthTester, anvils, ours, warm_up
from scripts.ledger_bench.throughput import Plan, Rates, measure
from scripts.ledger_bench.workload import Workload, workload


@pytest.fixture(scope="module")
def work() -> Workload:
    return workload()


@pytest.fixture(scope="module")
def plan(work: Workload) -> Plan:
    return Plan(
        warm=work.singles(2),
        singles=work.singles(130),
        warm_batches=work.batches(1),
        batches=work.batches(1),
        automined=work.singles(2),
    )


def blocks_of(chain: Bench, work: Workload, plan: Plan) -> int:
    ticks: list[None] = []
    warm_up(chain, work.founding)
    rates = measure(chain, plan, lambda: ticks.append(None))
    assert min(rates.singles, rates.jobs, rates.commit) > 0
    return len(ticks)


def test_every_match_opens_on_ours(work: Workload, plan: Plan, tmp_path: Path) -> None:
    with ours(tmp_path) as chain:
        assert blocks_of(chain, work, plan) == 7


def test_every_match_opens_on_anvil(work: Workload, plan: Plan) -> None:
    with anvils() as chain:
        assert blocks_of(chain, work, plan) == 7


def test_eth_tester_takes_the_same_bytes(work: Workload, plan: Plan) -> None:
    chain = EthTester()
    warm_up(chain, work.founding)
    chain.block(plan.warm)
    assert chain.logs() == len(plan.warm)


def test_a_long_chain_is_sealed_served_and_asked(tmp_path: Path) -> None:
    life = long_chain.live(tmp_path, long_chain.grow(tmp_path, lambda: None, blocks=60))
    assert life.found == 59 * long_chain.PER_CALL
    assert life.memory > 0
    figures = {figure.name.strip(): figure for figure in judge_life(life)}
    assert not figures["logs returned"].holds


def test_goals_are_judged() -> None:
    own, rival = Rates(singles=300, jobs=399, commit=0.011), Rates(singles=50, jobs=100, commit=0.05)
    held = {figure.name: figure.holds for figure in judge_rates(own, rival, rival)}
    assert held["single matches, 128 a block"]
    assert not held["jobs in batches of 32"]
    assert not held["automine commit p50"]
