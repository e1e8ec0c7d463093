"""Claims on real parts: what a provider gets for time that nobody signed for, contested and not.

A signer falls silent: the node that would sign is killed, or the buyer that would itself. What the agent
then does, and what buyer and arbiter can do about it, is read from the chain's events.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from ledger.market.events import (
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    LeaseClosed,
    Logged,
    MarketEvent,
    StakeBurned,
    UsageSettled,
)
from ledger.market.identity import Address, LeaseId, from_text, text
from ledger.market.lease import ClaimDecidedBy, ClosedBecause
from ledger.market.money import RATE_DIVISOR
from scripts.demonstration.failures import DidNotStart
from tests.engine import engine_url
from tests.short_grid import CHEAP, ShortGrid, short_grid

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]

TOKEN = 10**6
PROVIDER = CHEAP | {"--core-price": "360"}
DEAR_ENOUGH = {"max_price": "60/h"}

Event = TypeVar("Event", bound=MarketEvent)


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A lease on which a claim stands: as the node shows it, and the claim as the chain logged it."""

    lease: dict[str, Any]
    opened: ClaimOpened

    @property
    def name(self) -> str:
        return str(self.lease["lease"])


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortGrid]:
    """Windows that leave a busy machine the time to claim, to contest and to decide."""
    folder = tmp_path_factory.mktemp("claims")
    with short_grid(folder, PROVIDER, grace=8, challenge_window=6) as running:
        running.bingwang("wallet", "import", str(running.chain_folder / "faucet.key"), "operator")
        yield running


def test_a_contested_claim_pays_what_the_arbiter_says(grid: ShortGrid) -> None:
    claimed = claim_of_a_silent_buyer(grid)
    contest = grid.bingwang("claim", "contest", claimed.name)
    assert contest["transaction"]
    (contested,) = found(grid, ClaimContested, claimed.name)
    before, claim = claimed.opened.claimed - contested.bond, claimed.opened
    paid, slash = before + contested.bond // 3, 5
    said = ("--paid", tokens(paid), "--slash", tokens(slash))
    assert "arbiter" in refusal(grid, "claim", "decide", claimed.name, *said)
    grid.bingwang("claim", "decide", claimed.name, *said, "--wallet", "operator")
    (decided,) = found(grid, ClaimDecided, claimed.name)
    assert (decided.by, decided.paid) == (ClaimDecidedBy.ARBITER, paid)
    assert decided.amount == paid - before
    assert (decided.to_provider, decided.to_buyer, decided.burned) == (claim.bond, contested.bond, 0)
    (burned,) = found(grid, StakeBurned, claimed.name)
    assert burned.amount == slash
    check_closed(grid, claimed, paid)


def test_a_claim_that_the_arbiter_leaves_open_is_split(grid: ShortGrid) -> None:
    claimed = claim_of_a_silent_buyer(grid)
    grid.bingwang("claim", "contest", claimed.name)
    (contested,) = found(grid, ClaimContested, claimed.name)
    half, before = contested.bond // 2, claimed.opened.claimed - contested.bond
    decided = grid.until("the claim is over", lambda: first(grid, ClaimDecided, claimed.name))
    assert (decided.by, decided.paid) == (ClaimDecidedBy.SILENCE, before + half)
    assert decided.to_provider == half + claimed.opened.bond
    assert decided.to_buyer == contested.bond - half
    check_closed(grid, claimed, before + half)


def test_only_the_buyer_contests_and_only_with_the_bond(grid: ShortGrid) -> None:
    poor = grid.open_wallet("poor", deposit="5")
    grid.open_wallet("stranger", deposit="5")
    claimed = claim_of_a_silent_buyer(grid, "poor", leave_empty=True)
    assert "balance" in refusal(grid, "claim", "contest", claimed.name, "--wallet", "poor")
    assert "buyer" in refusal(grid, "claim", "contest", claimed.name, "--wallet", "stranger")
    assert found(grid, ClaimContested, claimed.name) == []
    decided = grid.until("the claim is over", lambda: first(grid, ClaimDecided, claimed.name))
    assert (decided.by, decided.paid) == (ClaimDecidedBy.NOBODY_CONTESTED, claimed.opened.claimed)
    ended = check_closed(grid, claimed, claimed.opened.claimed)
    assert grid.balances(poor) == [int(ended["refunded"])]


def test_an_agent_whose_node_died_settles_claims_and_finalises_by_itself(
    grid: ShortGrid, tmp_path: Path
) -> None:
    provider = Address(from_text(grid.providers["cheap"], 20))
    job = grid.submit("sleep 300", max_duration="16s", **DEAR_ENOUGH)
    lease = grid.until("a receipt is signed", lambda: signed_for(grid, job))
    name = str(lease["lease"])
    grid.end("node", signal.SIGKILL)
    claim = grid.until("the agent claims", lambda: first(grid, ClaimOpened, name))
    settled = sum(one.amount for one in found(grid, UsageSettled, name))
    assert settled > 0
    check_within_two_intervals(grid, lease, claim.claimed - settled)
    grid.until("the lease is closed", lambda: first(grid, LeaseClosed, name))
    (decided,) = found(grid, ClaimDecided, name)
    assert (decided.by, decided.amount) == (ClaimDecidedBy.NOBODY_CONTESTED, claim.claimed - settled)
    assert {sender(grid, one) for one in logged_of(grid, name, UsageSettled, ClaimDecided)} == {provider}
    assert containers(grid, "--filter", "status=running") == []
    grid.start_node()
    ended = grid.await_closed(job)
    assert (ended["state"], ended["code"]) == ("failed", "receipts-missing"), ended["cause"]
    (shown,) = ended["leases"]
    assert (int(shown["paid"]), shown["because"]) == (claim.claimed, "claimed")
    check_closed(grid, Claimed(lease=lease, opened=claim), claim.claimed)
    grid.until("its container is gone", lambda: True if not containers(grid) else None)
    check_books(grid, tmp_path / "books.sqlite3")


def claim_of_a_silent_buyer(
    grid: ShortGrid, wallet: str = "default", *, leave_empty: bool = False
) -> Claimed:
    """What an agent claims whose buyer signed one receipt and fell silent; the buyer may first take all
    that is not escrowed out of the market."""
    with attached(grid, wallet) as job:
        lease = grid.until("a receipt is signed", lambda: signed_for(grid, job))
        if leave_empty:
            grid.bingwang(
                "wallet", "withdraw", tokens(grid.balances(lease["terms"]["buyer"])[0]), "--wallet", wallet
            )
    opened = grid.until("the agent claims", lambda: first(grid, ClaimOpened, lease["lease"]))
    settled = sum(one.amount for one in found(grid, UsageSettled, lease["lease"]))
    check_within_two_intervals(grid, lease, opened.claimed - settled)
    return Claimed(lease=lease, opened=opened)


@contextmanager
def attached(grid: ShortGrid, wallet: str) -> Iterator[str]:
    """A job whose buyer's own command signs for it, in a process that is killed in the end."""
    name = f"silent-{len(grid.bingwang('jobs', '--wallet', wallet)['jobs'])}-{wallet}"
    job_file = grid.job_file("sleep 300", name=name, max_duration="6s", **DEAR_ENOUGH)
    command = ("submit", str(job_file), "--attach", "--json", "--wallet", wallet)
    process = subprocess.Popen(
        [sys.executable, "-m", "node.cli", *command],
        env=grid.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield grid.until("the job is accepted", lambda: job_named(grid, name))
    finally:
        process.kill()
        process.wait()


def job_named(grid: ShortGrid, name: str) -> str | None:
    jobs = httpx.get(f"{grid.node_url}/v1/jobs", timeout=30).json()["jobs"]
    return next((str(job["job"]) for job in jobs if job["name"] == name), None)


def signed_for(grid: ShortGrid, job: str) -> dict[str, Any] | None:
    leases = grid.job(job)["leases"]
    lease: dict[str, Any] | None = leases[0] if leases else None
    return lease if lease is not None and lease["receipt"] is not None else None


def check_within_two_intervals(grid: ShortGrid, lease: dict[str, Any], amount: int) -> None:
    with grid.chain() as chain:
        interval = chain.policy().receipt_interval
    most = -(-int(lease["terms"]["rate"]) * 2 * interval * 1000 // RATE_DIVISOR)
    assert 0 < amount <= most


def check_closed(grid: ShortGrid, claimed: Claimed, paid: int) -> dict[str, Any]:
    """The lease is closed with what was decided, the rest went back, and the node has it so too."""
    closed = grid.until("it is closed", lambda: first(grid, LeaseClosed, claimed.name))
    assert (closed.paid, closed.because) == (paid, ClosedBecause.CLAIMED)
    assert closed.paid + closed.refunded == int(claimed.lease["escrow"])
    shown: dict[str, Any] = grid.until("the node has it", lambda: closed_at_the_node(grid, claimed.name))
    assert (int(shown["paid"]), int(shown["refunded"])) == (closed.paid, closed.refunded)
    assert (shown["because"], shown["claim"]) == ("claimed", None)
    return shown


def closed_at_the_node(grid: ShortGrid, lease: str) -> dict[str, Any] | None:
    shown: dict[str, Any] = httpx.get(f"{grid.node_url}/v1/leases/{lease}", timeout=30).json()
    return shown if shown["state"] == "closed" else None


def check_books(grid: ShortGrid, copy: Path) -> None:
    """The auditor finds nothing, neither on the chain nor in the node's books."""
    books = grid.readable_books(copy)
    market = json.loads((grid.home / "profiles" / "default.json").read_text())["market"]
    audit = grid.bingwang("audit", "--rpc", grid.rpc_url, "--market", market, "--books", books)
    assert audit["sound"] is True
    assert audit["differences"] == []


def logged_of(grid: ShortGrid, lease: str, *kinds: type) -> list[Logged]:
    wanted = LeaseId(from_text(lease, 32))
    with grid.chain() as chain:
        logged = chain.logs(0, chain.block("latest").number)
    return [
        one for one in logged if isinstance(one.event, kinds) and getattr(one.event, "lease", None) == wanted
    ]


def found(grid: ShortGrid, kind: type[Event], lease: str) -> list[Event]:
    """The chain's events of one kind that name a lease."""
    return [one.event for one in logged_of(grid, lease, kind) if isinstance(one.event, kind)]


def first(grid: ShortGrid, kind: type[Event], lease: str) -> Event | None:
    return next(iter(found(grid, kind, lease)), None)


def sender(grid: ShortGrid, logged: Logged) -> Address:
    question = {"id": 1, "jsonrpc": "2.0", "method": "eth_getTransactionByHash"}
    answer = httpx.post(grid.rpc_url, json=question | {"params": [text(logged.transaction)]})
    return Address(from_text(answer.json()["result"]["from"].lower(), 20))


def tokens(amount: int) -> str:
    return f"{amount // TOKEN}.{amount % TOKEN:06}"


def refusal(grid: ShortGrid, *arguments: str) -> str:
    """Why a command was refused, in words."""
    with pytest.raises(DidNotStart) as failed:
        grid.bingwang(*arguments)
    answer = str(failed.value)
    plain = json.loads(answer[answer.index("{") :])
    assert plain["exit_code"] == 3, plain
    return str(plain["cause"])


def containers(grid: ShortGrid, *options: str) -> list[str]:
    label = f"label=bingwang.agent={grid.providers['cheap']}"
    command = ["docker", "--host", engine_url(), "ps", "-aq", "--filter", label, *options]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
