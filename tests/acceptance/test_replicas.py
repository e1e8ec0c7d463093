"""Replicas on real parts: one job at three providers, drawn by a published seed, judged by equal results.

The providers that do wrong do it as one would: on their own machine and with their own key. What came of
it is read from the chain's events, and from what the buyer's command line shows.
"""

import signal
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from ledger.chain.keys import open_keystore
from ledger.chain.typed_data import commitment
from ledger.chain.wallet import Patience, carry_out
from ledger.market.draw import ranked
from ledger.market.errors import Rejected
from ledger.market.events import MarketEvent, ReplicasDecided, ReplicasOpened, ResultRevealed, StakeBurned
from ledger.market.identity import BidId, Digest, LeaseId, OfferId, from_text, text
from ledger.market.instructions import CommitResult, RevealResult
from ledger.market.money import RATE_DIVISOR
from ledger.market.wire import bid_from_plain, terms_from_plain
from tests.engine import engine_url
from tests.short_grid import CHEAP, DEAR, ShortGrid, short_grid

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]

THIRD = CHEAP | {"--name": "third", "--domain": "third-lab/oslo", "--core-price": "54", "--gib-price": "5.4"}
REPLICAS = {"replicas": {"count": 3, "agree": 2}, "outputs": ["answer"]}
TRUTH = "echo 42 > out/answer"
PATIENCE = Patience(clock=time.time, sleep=time.sleep)

Event = TypeVar("Event", bound=MarketEvent)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortGrid]:
    with short_grid(tmp_path_factory.mktemp("replicas"), CHEAP, DEAR, THIRD) as running:
        yield running


def test_honest_replicas_are_drawn_by_the_seed_agree_and_are_paid(grid: ShortGrid, tmp_path: Path) -> None:
    job = grid.submit(f"{TRUTH}; sleep 1", **REPLICAS)
    ended = conclude(grid, job)
    check_draw(grid, ended, 3)
    assert (ended["state"], ended["exit_code"]) == ("succeeded", 0)
    assert {lease["terms"]["provider"] for lease in ended["leases"]} == set(grid.providers.values())
    assert len({lease["transactions"]["opened"] for lease in ended["leases"]}) == 1
    assert verdicts(ended) == dict.fromkeys(grid.providers.values(), "agreed")
    for lease in ended["leases"]:
        check_paid_for_its_time(lease, at_least=900)
    assert burned(grid, ended) == {}
    (fetched,) = grid.bingwang("fetch", job, str(tmp_path))["outputs"]
    assert Path(fetched["file"]).read_text() == "42\n"
    (decided,) = found(grid, ReplicasDecided, ended)
    assert (decided.agreed, text(decided.result)) == (3, ended["replicas"]["agreed_result"])


def test_a_provider_that_lies_is_outvoted_unpaid_and_burned(grid: ShortGrid, tmp_path: Path) -> None:
    liar = grid.providers["dear"]
    job = grid.submit(f"{TRUTH}; sleep 5", **REPLICAS)
    grid.await_state(job, "running")
    grid.until("the liar's job has its answer", lambda: forge(grid, "dear"))
    ended = conclude(grid, job)
    assert ended["state"] == "succeeded"
    assert verdicts(ended) == dict.fromkeys(grid.providers.values(), "agreed") | {liar: "guilty"}
    by_provider = {lease["terms"]["provider"]: lease for lease in ended["leases"]}
    guilty = by_provider.pop(liar)
    assert (guilty["paid"], guilty["refunded"], guilty["because"]) == ("0", guilty["escrow"], "judged")
    lock = int(guilty["escrow"]) * stake_bps(grid) // 10_000
    assert burned(grid, ended) == {liar: lock}
    for lease in by_provider.values():
        check_paid_for_its_time(lease, at_least=4_900)
    (fetched,) = grid.bingwang("fetch", job, str(tmp_path))["outputs"]
    assert Path(fetched["file"]).read_text() == "42\n"
    shown = grid.bingwang("status", job)
    assert {one["provider"]: one["verdict"] for one in shown["replicas"]["results"]}[liar] == "guilty"
    assert "lost the stake" in shown["replicas"]["cause"]


def test_a_job_that_is_not_deterministic_fails_with_its_reason_and_nobody_is_slashed(grid: ShortGrid) -> None:
    job = grid.submit("head -c 16 /dev/urandom > out/answer; sleep 1", **REPLICAS)
    ended = conclude(grid, job)
    assert (ended["state"], ended["code"]) == ("failed", "no-quorum")
    assert "not deterministic" in ended["cause"]
    assert verdicts(ended) == dict.fromkeys(grid.providers.values(), "undetermined")
    for lease in ended["leases"]:
        check_paid_for_its_time(lease, at_least=900)
    assert burned(grid, ended) == {}
    assert ended["replicas"]["agreed_result"] is None


def test_too_few_domains_are_refused_before_money_moves(grid: ShortGrid) -> None:
    owner = grid.bingwang("wallet", "show")["address"]
    before, jobs = grid.balances(owner), len(grid.bingwang("jobs")["jobs"])
    two = {"domains": {"allow": ["cheap-lab/*", "dear-lab/*"]}}
    outcome = grid.command("submit", str(grid.job_file(TRUTH, **REPLICAS, **two)), "--json")
    assert (outcome.code, outcome.plain["code"]) == (3, "no-match")
    assert "3" in outcome.plain["cause"]
    assert grid.balances(owner) == before
    assert len(grid.bingwang("jobs")["jobs"]) == jobs


def test_an_attached_buyer_agrees_to_the_time_of_the_replicas_drawn(grid: ShortGrid) -> None:
    two = {"replicas": {"count": 2, "agree": 2}, "outputs": ["answer"]}
    job_file = grid.job_file(f"{TRUTH}; sleep 1", **two)
    outcome = grid.command("submit", str(job_file), "--attach", "--json")
    assert outcome.code == 0, outcome.err
    ended = conclude(grid, outcome.plain["job"])
    check_draw(grid, ended, 2)
    assert ended["state"] == "succeeded"
    buyer = grid.bingwang("wallet", "show")["address"]
    for lease in ended["leases"]:
        assert lease["terms"]["signer"] == lease["terms"]["buyer"] == buyer
        check_paid_for_its_time(lease, at_least=900)


def test_a_commitment_that_was_copied_cannot_be_shown(grid: ShortGrid) -> None:
    job = grid.submit(f"sleep 4; {TRUTH}", max_duration="10s", **REPLICAS)
    copier = grid.providers["third"]
    grid.await_state(job, "running")
    grid.processes["third"].send_signal(signal.SIGSTOP)
    try:
        refusal = copy_a_commitment(grid, job)
        revealed = grid.until("the honest two have shown theirs", lambda: both(grid, job))
    finally:
        grid.processes["third"].send_signal(signal.SIGCONT)
    assert "not the commitment" in refusal
    assert copier not in {text(one.provider) for one in revealed}
    ended = conclude(grid, job)
    assert ended["state"] == "succeeded"
    assert verdicts(ended)[copier] == "silent"
    by_provider = {lease["terms"]["provider"]: lease for lease in ended["leases"]}
    assert by_provider.pop(copier)["paid"] == "0"
    for lease in by_provider.values():
        check_paid_for_its_time(lease, at_least=3_900)


def test_a_provider_that_stays_silent_is_not_paid_and_loses_a_part(grid: ShortGrid) -> None:
    job = grid.submit(f"sleep 4; {TRUTH}", max_duration="10s", **REPLICAS)
    silent = grid.providers["third"]
    grid.await_state(job, "running")
    held = grid.until("its container is there", lambda: containers(grid, "third") or None)
    grid.end("third", signal.SIGKILL)
    docker("rm", "-f", "-v", *held)
    ended = conclude(grid, job)
    assert ended["state"] == "succeeded"
    assert verdicts(ended)[silent] == "silent"
    check_no_show(grid, ended, silent)


def conclude(grid: ShortGrid, job: str) -> dict[str, Any]:
    """The job's end, all its money decided: what was escrowed is paid or refunded, and once."""
    ended = grid.await_closed(job)
    for lease in ended["leases"]:
        assert int(lease["paid"]) + int(lease["refunded"]) == int(lease["escrow"])
    return ended


def check_draw(grid: ShortGrid, ended: dict[str, Any], count: int) -> None:
    """Draw the providers again from what was published: bid, block, seed on chain, and eligible offers."""
    told = ended["replicas"]
    (opened,) = found(grid, ReplicasOpened, ended)
    with grid.chain() as chain:
        block = chain.block(told["block"]["number"])
    assert text(block.hash) == told["block"]["hash"]
    assert opened.seed == sha256(opened.bid + block.hash).digest()
    assert text(opened.seed) == told["seed"]
    assert (opened.members, opened.agree) == (count, told["agree"])
    eligible = [OfferId(from_text(offer, 32)) for offer in told["eligible"]]
    assert len(eligible) == len(grid.providers)
    drawn = [text(offer) for offer in ranked(opened.seed, eligible)[:count]]
    assert drawn == [lease["terms"]["offer"] for lease in ended["leases"]]


def check_paid_for_its_time(lease: dict[str, Any], at_least: int) -> None:
    milliseconds = lease["settled_milliseconds"]
    assert milliseconds >= at_least, lease
    assert int(lease["paid"]) == int(lease["terms"]["rate"]) * milliseconds // RATE_DIVISOR
    assert lease["because"] == "last-receipt"


def check_no_show(grid: ShortGrid, ended: dict[str, Any], provider: str) -> None:
    """The provider showed no result: it is not paid and loses a part of its lock; the others are paid."""
    by_provider = {lease["terms"]["provider"]: lease for lease in ended["leases"]}
    missing = by_provider.pop(provider)
    assert (missing["paid"], missing["because"]) == ("0", "expired")
    with grid.chain() as chain:
        share = chain.policy().no_show_bps
    lock = int(missing["escrow"]) * stake_bps(grid) // 10_000
    assert burned(grid, ended) == {provider: lock * share // 10_000}
    for lease in by_provider.values():
        check_paid_for_its_time(lease, at_least=3_900)


def stake_bps(grid: ShortGrid) -> int:
    with grid.chain() as chain:
        return chain.policy().stake_bps


def verdicts(job: dict[str, Any]) -> dict[str, str]:
    return {one["provider"]: one["verdict"] for one in job["replicas"]["results"]}


def found(grid: ShortGrid, kind: type[Event], job: dict[str, Any]) -> list[Event]:
    """The chain's events of one kind that name the job's bid, or one of its leases."""
    with grid.chain() as chain:
        logged = chain.logs(0, chain.block("latest").number)
    bid = BidId(from_text(job["job"], 32))
    leases = {LeaseId(from_text(lease["lease"], 32)) for lease in job["leases"]}
    events = [one.event for one in logged if isinstance(one.event, kind)]
    return [
        one for one in events if getattr(one, "bid", None) == bid or getattr(one, "lease", None) in leases
    ]


def burned(grid: ShortGrid, job: dict[str, Any]) -> dict[str, int]:
    """What each provider lost of its stake behind the job's leases."""
    return {text(one.provider): one.amount for one in found(grid, StakeBurned, job)}


def both(grid: ShortGrid, job: str) -> list[ResultRevealed] | None:
    revealed = found(grid, ResultRevealed, grid.job(job))
    return revealed if len(revealed) == 2 else None


def copy_a_commitment(grid: ShortGrid, job: str) -> str:
    """As the third provider: commit to what another committed to, wait until that one shows its result and
    salt, and show the same; the jury's refusal."""
    leases = {lease["terms"]["provider"]: lease for lease in grid.job(job)["leases"]}
    mine, other = leases[grid.providers["third"]], leases[grid.providers["cheap"]]
    name, others = (LeaseId(from_text(lease["lease"], 32)) for lease in (mine, other))
    terms, provider = terms_from_plain(mine["terms"]), terms_from_plain(other["terms"]).provider
    key = open_keystore(grid.folder / "third" / "operator.json", "demo")
    with grid.chain() as chain:
        seen = grid.until("another has committed", lambda: chain.commitment_of(others))
        carry_out(chain, key, CommitResult(lease=name, terms=terms, commitment=seen), PATIENCE)
        assert chain.commitment_of(name) == seen
        result, salt = grid.until("it was shown", lambda: result_and_salt(grid, others))
        assert commitment(others, provider, result, salt) == seen
        bid = bid_from_plain(mine["bid"])
        shown = RevealResult(lease=name, bid=bid, terms=terms, result=result, salt=salt)
        with pytest.raises(Rejected) as refused:
            carry_out(chain, key, shown, PATIENCE)
    return refused.value.cause


def result_and_salt(grid: ShortGrid, lease: LeaseId) -> tuple[Digest, Digest] | None:
    """The last two words of the call that showed a lease's result, as everybody can read them."""
    with grid.chain() as chain:
        for one in chain.logs(0, chain.block("latest").number):
            if isinstance(one.event, ResultRevealed) and one.event.lease == lease:
                asked = {"id": 1, "jsonrpc": "2.0", "method": "eth_getTransactionByHash"}
                answer = httpx.post(grid.rpc_url, json=asked | {"params": [text(one.transaction)]})
                data = bytes.fromhex(answer.json()["result"]["input"].removeprefix("0x"))
                return Digest(data[-64:-32]), Digest(data[-32:])
    return None


def forge(grid: ShortGrid, name: str) -> bool | None:
    """As the owner of the machine: another answer in the running job's place."""
    script = "test -s /job/out/answer && echo 41 > /job/out/answer"
    docker_exec = ["docker", "--host", engine_url(), "exec"]
    for container in containers(grid, name):
        command = [*docker_exec, container, "sh", "-c", script]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return True
    return None


def containers(grid: ShortGrid, name: str) -> list[str]:
    return docker("ps", "-aq", "--filter", f"label=bingwang.agent={grid.providers[name]}").split()


def docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", "--host", engine_url(), *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
