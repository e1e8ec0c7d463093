"""The auditor against a small real market: the chain's events alone give every balance and every lease, and
one unit more in one row of the node's books does not escape."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import DBAPIError

from ledger.books import money_rules
from ledger.chain import calls
from ledger.chain.wallet import Patience, send_and_wait
from tests.books_url import driven_url, drop_database, make_copy, tamper
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
    books: str

    def audit(self, *options: str) -> Outcome:
        where = ("--rpc", self.grid.rpc_url, "--market", self.market)
        return self.grid.command("audit", *where, *options, "--json")

    @contextmanager
    def copied_books(self, folder: Path) -> Iterator[str]:
        """The URL of a copy that a test may change."""
        if "://" not in self.books:
            yield str(shutil.copy(self.books, folder / "books.sqlite3"))
            return
        url = make_copy(self.books)
        try:
            yield url
        finally:
            drop_database(url)


@pytest.fixture
def copied(past: Past, tmp_path: Path) -> Iterator[str]:
    with past.copied_books(tmp_path) as url:
        yield url


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    # On a busy host too the cancelled job gets its last receipt: without it its provider claims the rest.
    with short_grid(tmp_path_factory.mktemp("audit"), CHEAP, grace=20) as grid:
        jobs = trade(grid)
        give(grid)
        shown = grid.bingwang("wallet", "show")
        accounts = [shown["address"], *grid.providers.values()]
        balances = dict(zip(accounts, grid.balances(*accounts), strict=True))
        grid.end("cheap")
        grid.end("node")
        books = grid.readable_books(grid.folder / "kept.sqlite3")
        for file in (grid.folder / "node").glob("books.sqlite3*"):
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


def test_untouched_books_agree_with_the_chain(past: Past, copied: str) -> None:
    outcome = past.audit("--books", copied)
    assert outcome.code == 0, outcome.out
    assert outcome.plain["differences"] == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("accounts", "credits_posted_low"),
        ("holds", "low"),
        ("transfers", "low"),
        ("leases", "paid"),
        ("leases", "escrow"),
        ("leases", "refunded"),
        ("leases", "receipt_milliseconds"),
        ("offers", "used"),
        ("jobs", "reserve"),
        ("outputs", "size"),
    ],
)
def test_one_unit_more_in_one_row_is_named(past: Past, copied: str, table: str, column: str) -> None:
    row, was = add_one(copied, table, column)
    outcome = past.audit("--books", copied)
    assert outcome.code == 5
    found = outcome.plain
    assert found["sound"] is False
    assert {"table": table, "row": row, "field": column, "ours": str(was + 1), "chain": str(was)} in found[
        "differences"
    ]
    assert {one["table"] for one in found["differences"]} == {table}


def test_a_row_that_is_gone_is_named(past: Past, copied: str) -> None:
    lift_rules(copied)
    assert tamper(copied, "DELETE FROM transfers WHERE id = 1") == 1
    outcome = past.audit("--books", copied)
    assert outcome.code == 5
    (found,) = outcome.plain["differences"]
    assert (found["table"], found["row"], found["ours"]) == ("transfers", "1", "absent")


def test_the_journal_takes_no_change(copied: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        tamper(copied, "UPDATE journal SET at = at + 1")


def test_people_read_the_table_row_and_amounts(past: Past, copied: str) -> None:
    row, was = add_one(copied, "accounts", "credits_posted_low")
    where = ("--rpc", past.grid.rpc_url, "--market", past.market, "--books", copied)
    outcome = past.grid.command("audit", *where)
    assert outcome.code == 5
    for word in ("accounts", row, str(was), str(was + 1)):
        assert word in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


def add_one(url: str, table: str, column: str) -> tuple[str, int]:
    """Add one unit to the first row, by its key, that has any; the key and the right amount."""
    lift_rules(url)
    engine = create_engine(driven_url(url))
    try:
        with engine.begin() as connection:
            keys = inspect(connection).get_pk_constraint(table)["constrained_columns"]
            columns = f"{column}, {', '.join(keys)}"
            rows = connection.exec_driver_sql(f"SELECT {columns} FROM {table} ORDER BY {', '.join(keys)}")
            value, *key = next(row for row in rows if row[0] is not None and int(row[0]) > 0)
            wanted = " AND ".join(
                f"CAST({name} AS text) = '{one}'" for name, one in zip(keys, key, strict=True)
            )
            more = f"UPDATE {table} SET {column} = '{int(value) + 1}' WHERE {wanted}"
            assert connection.exec_driver_sql(more).rowcount == 1
    finally:
        engine.dispose()
    return "/".join(map(str, key)), int(value)


def lift_rules(url: str) -> None:
    """As somebody does who has the database."""
    for statement in money_rules.lifted("postgresql" if "://" in url else "sqlite"):
        tamper(url, statement)
