"""The auditor against a small real market: the chain's events alone give every balance and every lease, and
one unit more in one row of the node's books does not escape."""

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.chain import calls
from ledger.chain.wallet import Patience, send_and_wait
from tests.short_grid import CHEAP, Outcome, ShortGrid, short_grid

pytestmark = pytest.mark.docker

GIFT = 7
"""base units sent to the market without a deposit"""
NOBODY_HAS = "sha256:" + "cd" * 32
EXHAUST_MEMORY = "sleep 1; exec awk 'BEGIN { s = \"x\"; while (1) s = s s }'"


@dataclass(frozen=True, kw_only=True)
class Past:
    """A market whose node is gone: what the node said last, and a copy of its books."""

    grid: ShortGrid
    market: str
    jobs: dict[str, dict[str, Any]]
    balances: dict[str, int]
    books: Path

    def audit(self, *options: str) -> Outcome:
        where = ("--rpc", self.grid.rpc_url, "--market", self.market)
        return self.grid.command("audit", *where, *options, "--json")

    def copy_books(self, folder: Path) -> Path:
        return Path(shutil.copy(self.books, folder / "books.sqlite3"))


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    with short_grid(tmp_path_factory.mktemp("audit"), CHEAP) as grid:
        jobs = trade(grid)
        give(grid)
        shown = grid.bingwang("wallet", "show")
        accounts = [shown["address"], *grid.providers.values()]
        balances = dict(zip(accounts, grid.balances(*accounts), strict=True))
        grid.end("cheap")
        grid.end("node")
        books = grid.folder / "kept.sqlite3"
        source = grid.folder / "node" / "books.sqlite3"
        with closing(sqlite3.connect(source)) as node, closing(sqlite3.connect(books)) as kept:
            node.backup(kept)
        for file in source.parent.glob("books.sqlite3*"):
            file.unlink()
        profile = json.loads((grid.home / "profiles" / "default.json").read_text())
        yield Past(grid=grid, market=profile["market"], jobs=jobs, balances=balances, books=books)


def trade(grid: ShortGrid) -> dict[str, dict[str, Any]]:
    """One job of each kind, all but the last over and settled."""
    jobs = {
        "succeeded": grid.submit("sleep 1; echo done > out/a.txt", outputs=["a.txt"]),
        "failed": grid.submit("sleep 1; exit 3"),
        "out-of-memory": grid.submit(EXHAUST_MEMORY),
        "refused": grid.submit("true", image=NOBODY_HAS),
        "cancelled": grid.submit("sleep 600", max_duration="10m"),
        "running": grid.submit("sleep 600", max_duration="10m"),
    }
    grid.await_state(jobs["cancelled"], "running")
    time.sleep(1.2)  # so that there is a whole second to pay for
    grid.bingwang("cancel", jobs["cancelled"])
    ended = {name: grid.await_closed(job) for name, job in jobs.items() if name != "running"}
    paid = grid.until("the open lease was paid for", lambda: paid_for(grid, jobs["running"]))
    return ended | {"running": paid}


def paid_for(grid: ShortGrid, job: str) -> dict[str, Any] | None:
    found = grid.job(job)
    return found if found["state"] == "running" and found["leases"][0]["usage"] else None


def give(grid: ShortGrid) -> None:
    """An ERC-20 transfer to the market that nobody asked for."""
    patience = Patience(clock=time.time, sleep=time.sleep)
    with grid.buyer() as buyer:
        call = calls.transfer(buyer.profile.token, buyer.profile.market, GIFT)
        assert send_and_wait(buyer.chain, buyer.key, call, patience).succeeded


def test_events_alone_give_every_balance_and_lease(past: Past) -> None:
    outcome = past.audit()
    assert outcome.code == 0, outcome.out
    found = outcome.plain
    assert found["sound"] is True
    assert not found["findings"]
    for account, balance in past.balances.items():
        assert int(found["balances"].get(account, 0)) == balance
    for name, job in past.jobs.items():
        (lease,) = job["leases"]
        if name == "running":
            assert found["open_leases"][lease["lease"]]["escrow"] == lease["escrow"]
            continue
        closed = found["closed_leases"][lease["lease"]]
        assert (closed["paid"], closed["refunded"]) == (lease["paid"], lease["refunded"]), name
        assert int(lease["paid"]) + int(lease["refunded"]) == int(lease["escrow"]), name


def test_the_market_holds_what_it_owes_and_the_gift(past: Past) -> None:
    found = past.audit().plain
    owed = sum(map(int, found["totals"].values()))
    assert int(found["totals"]["open escrow"]) > 0
    assert int(found["totals"]["locked stake"]) > 0
    assert int(found["unsolicited"]) == GIFT
    assert int(found["token_balance"]) == owed + GIFT


def test_each_job_paid_for_its_time_and_no_more(past: Past) -> None:
    for name in ("succeeded", "failed", "out-of-memory", "cancelled"):
        (lease,) = past.jobs[name]["leases"]
        milliseconds = lease["receipt"]["milliseconds"]
        # The engine notes the start a moment after the process began, which slept for a second.
        assert milliseconds >= 800 or name == "cancelled", name
        assert int(lease["paid"]) == int(lease["terms"]["rate"]) * milliseconds // 3_600_000_000, name
    assert past.jobs["refused"]["leases"][0]["paid"] == "0"
    assert past.jobs["out-of-memory"]["code"] == "out-of-memory"


def test_untouched_books_agree_with_the_chain(past: Past, tmp_path: Path) -> None:
    outcome = past.audit("--books", str(past.copy_books(tmp_path)))
    assert outcome.code == 0, outcome.out
    assert outcome.plain["differences"] == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("balances", "amount"),
        ("leases", "paid"),
        ("leases", "escrow"),
        ("leases", "refunded"),
        ("leases", "receipt_milliseconds"),
        ("postings", "amount"),
        ("offers", "used"),
        ("jobs", "reserve"),
        ("outputs", "size"),
    ],
)
def test_one_unit_more_in_one_row_is_named(past: Past, tmp_path: Path, table: str, column: str) -> None:
    books = past.copy_books(tmp_path)
    row, was = add_one(books, table, column)
    outcome = past.audit("--books", str(books))
    assert outcome.code == 5
    found = outcome.plain
    assert found["sound"] is False
    assert {"table": table, "row": row, "field": column, "ours": str(was + 1), "chain": str(was)} in found[
        "differences"
    ]


def test_a_row_that_is_gone_is_named(past: Past, tmp_path: Path) -> None:
    books = past.copy_books(tmp_path)
    with closing(sqlite3.connect(books)) as database, database:
        (account, amount) = database.execute("SELECT account, amount FROM balances LIMIT 1").fetchone()
        database.execute("DELETE FROM balances WHERE account = ?", (account,))
    outcome = past.audit("--books", str(books))
    assert outcome.code == 5
    assert any(
        one["table"] == "balances" and one["row"] == account and str(amount) in one["chain"]
        for one in outcome.plain["differences"]
    )


def test_the_journal_takes_no_change(past: Past, tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(past.copy_books(tmp_path))) as database,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        database.execute("UPDATE journal SET at = at + 1")


def test_people_read_the_table_row_and_amounts(past: Past, tmp_path: Path) -> None:
    books = past.copy_books(tmp_path)
    row, was = add_one(books, "balances", "amount")
    where = ("--rpc", past.grid.rpc_url, "--market", past.market, "--books", str(books))
    outcome = past.grid.command("audit", *where)
    assert outcome.code == 5
    for word in ("balances", row, str(was), str(was + 1)):
        assert word in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


def add_one(books: Path, table: str, column: str) -> tuple[str, int]:
    """Add one unit to one row; its key and the right amount."""
    with closing(sqlite3.connect(books)) as database, database:
        columns = database.execute(f"PRAGMA table_info({table})").fetchall()
        keys = [name for _, name, _, _, _, place in columns if place]
        chosen = f"SELECT rowid, {column}, {', '.join(keys)} FROM {table} WHERE {column} IS NOT NULL"
        rowid, value, *key = database.execute(f"{chosen} ORDER BY rowid LIMIT 1").fetchone()
        changed = type(value)(int(value) + 1)
        database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, rowid))
    return "/".join(map(str, key)), int(value)
