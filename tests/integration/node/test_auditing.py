"""Whoever has the node's file may change any row of it: the audit names that row, and no other.

One market on a real chain, followed by a small node with an outbox of its own; each case plants one defect
in a copy of its books, without the rules that the database enforces, and asks what the audit says.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.books import journal_chain
from ledger.books.books import Books, open_books
from ledger.books.rows import Difference
from ledger.books.tables import JournalEntry
from ledger.chain import calls
from ledger.chain.follower import Follower
from ledger.chain.outbox import Outbox, OutboxPolicy
from ledger.chain.typed_data import bid_id, keccak
from ledger.market.bid import SignedBid
from ledger.market.delegation import Delegation, Role
from ledger.market.events import Logged
from ledger.market.facts import (
    BidAccepted,
    Fact,
    JobPhase,
    JobReported,
    LeasePlanned,
    OutputFile,
    ReceiptCosigned,
    UsageReported,
)
from ledger.market.identity import BidId, Digest
from ledger.market.instructions import Instruction, OpenLease, RegisterOffer
from ledger.market.resource import Quantities
from node.auditing import examine
from tests.factories import HOUR, NOW, an_address
from tests.fakes.book_defects import BUYERS, DEFECTS, Defect
from tests.fakes.chain_grid import BUYER, FAUCET, MONEY, NODE, PROVIDER, Grid, served_grid

DOCUMENT = b'{"name":"digits"}'


class SmallNode:
    """What a node does with chain, books and outbox, without its rules and loops."""

    def __init__(self, grid: Grid, books: Books) -> None:
        self.grid = grid
        self.books = books
        self._follower = Follower(grid.client)
        self._cursor = self._follower.start(0)
        self._outbox = Outbox(books.outbox(NODE.address), grid.client, NODE, OutboxPolicy())

    def record(self, *facts: Fact) -> None:
        with self.books.transaction() as unit:
            for fact in facts:
                unit.record(fact)

    def follow(self) -> None:
        followed = self._follower.poll(self._cursor)
        with self.books.transaction() as unit:
            for fact in followed.facts:
                unit.record(fact)
            unit.save_cursor(followed.cursor.block, followed.cursor.tail)
        self._cursor = followed.cursor

    def carry_out(self, key: str, wish: Instruction) -> None:
        """From the wish to what the chain made of it."""
        with self.books.transaction() as unit:
            unit.wish(key, wish, NOW)
        self.step()
        self.grid.seal()
        self.step()
        self.follow()

    def step(self) -> None:
        self._outbox.step(int(self.grid.clock.now))

    def accept(self, wish: OpenLease) -> None:
        signed: SignedBid = wish.signed
        job = BidId(bid_id(self.grid.client.domain(), signed.bid))
        accepted = BidAccepted(
            job=job,
            document=signed.bid.job,
            attempts=(signed,),
            attempt_ids=(job,),
            accepted_at=NOW,
            wait_until=NOW + HOUR,
        )
        planned = LeasePlanned(job=job, attempt=0, wish=wish, terms=self.grid.terms(wish), at=NOW)
        self.record(accepted, planned)


def trade(node: SmallNode) -> None:
    """Two jobs: one is over and paid, one runs and was paid for once; and a wish that the market skipped."""
    grid = node.grid
    offer = grid.offer(ask=Quantities(cpu=10**8))
    grid.wish(PROVIDER, offer)
    work(node, offer, "closed", 30_000, last=True)
    running = work(node, offer, "open", 30_001, last=False)
    node.carry_out("settle open again", grid.receipt(running, 10, last=False))


def work(node: SmallNode, offer: RegisterOffer, name: str, milliseconds: int, *, last: bool) -> OpenLease:
    """One job from its order to its receipt; the wish that opened it."""
    grid = node.grid
    wish = grid.open(offer, job=Digest(keccak(DOCUMENT)), limit_rate=10**13)
    node.accept(wish)
    node.carry_out(f"open {name}", wish)
    grid.clock.now += 60
    settle = grid.receipt(wish, milliseconds, last=last)
    node.record(
        JobReported(
            lease=wish.lease,
            phase=JobPhase.SUCCEEDED if last else JobPhase.RUNNING,
            exit_code=0 if last else None,
            code="",
            cause="",
            outputs=(OutputFile(path="out", sha256="ab" * 32, size=1),) if last else (),
            at=NOW,
        ),
        UsageReported(
            lease=wish.lease,
            milliseconds=milliseconds,
            cpu_ns=1,
            peak_bytes=1,
            evidence=settle.signed.receipt.evidence,
            last=last,
            at=NOW,
        ),
        ReceiptCosigned(signed=settle.signed, at=NOW),
    )
    node.carry_out(f"settle {name}", settle)
    return wish


def change_accounts(grid: Grid) -> None:
    """A delegate, an epoch, and stake that was asked back."""
    delegation = Delegation(key=an_address("laptop"), roles=Role.SPEND, allowance=7, until=NOW + HOUR)
    grid.send(BUYER, calls.set_delegate(grid.client.market, delegation))
    grid.send(FAUCET, calls.bump_epoch(grid.client.market))
    grid.send(PROVIDER, calls.request_unstake(grid.client.market, 5))


@dataclass(frozen=True, kw_only=True)
class Past:
    grid: Grid
    books: Path
    logged: tuple[Logged, ...]

    def audit(self, books: Path) -> list[Difference]:
        with open_books(str(books)) as opened:
            return examine(opened, self.grid.client, self.logged)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    folder = tmp_path_factory.mktemp("audited")
    with served_grid(folder / "grid") as grid:
        with open_books(str(folder / "node.db")) as books:
            node = SmallNode(grid, books)
            with books.transaction() as unit:
                unit.keep_document(Digest(keccak(DOCUMENT)), DOCUMENT)
            trade(node)
            change_accounts(grid)
            node.follow()
        with closing(sqlite3.connect(folder / "node.db")) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        head = grid.client.block("latest").number
        yield Past(grid=grid, books=folder / "node.db", logged=tuple(grid.client.logs(0, head)))


def plant(books: Path, defect: Defect) -> str:
    """Change the file as somebody does who has it; the key of the row that must be named."""
    with closing(sqlite3.connect(books)) as raw, raw:
        triggers = raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            raw.execute(f"DROP TRIGGER {name}")
        (row,) = raw.execute(defect.row).fetchone()
        before = raw.total_changes
        for statement in defect.plant:
            raw.execute(statement)
        assert raw.total_changes > before, "the defect changed nothing"
    return str(row)


def test_the_books_that_nobody_touched_agree_with_the_chain(past: Past, tmp_path: Path) -> None:
    assert past.audit(copied(past, tmp_path)) == []


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_named_and_nothing_else(past: Past, tmp_path: Path, name: str) -> None:
    defect, books = DEFECTS[name], copied(past, tmp_path)
    row = plant(books, defect)
    found = past.audit(books)
    assert (defect.table, row, defect.field) in {(one.table, one.row, one.field) for one in found}, found
    assert {one.table for one in found} == {defect.table}
    assert all(one.ours != one.chain for one in found)


def test_a_history_that_was_rewritten_in_every_table_still_differs_from_the_chain(
    past: Past, tmp_path: Path
) -> None:
    """Whoever can write the file can also make every digest and every table anew."""
    books = copied(past, tmp_path)
    with open_books(str(books)) as opened:
        with opened._writing() as session:
            connection = session.connection()
            for name in ("journal_no_update", "journal_no_delete"):
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            connection.exec_driver_sql(
                f"UPDATE journal SET body = replace(body, '\"amount\":{MONEY}', '\"amount\":{MONEY + 1}')"
            )
            journal_chain.seal(connection, JournalEntry.metadata.tables["journal"])
        opened.rebuild()
    found = past.audit(books)
    assert {"events", "accounts"} <= {one.table for one in found}
    assert "journal" not in {one.table for one in found}
    assert (BUYERS, "available") in {(one.row, one.field) for one in found}


def test_the_rules_come_back_with_a_rebuild(past: Past, tmp_path: Path) -> None:
    books = copied(past, tmp_path)
    plant(books, DEFECTS["an account's total changed"])
    with open_books(str(books)) as opened:
        opened.rebuild()
    assert past.audit(books) == []
    with closing(sqlite3.connect(books)) as raw, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute("DELETE FROM transfers")


def copied(past: Past, folder: Path) -> Path:
    return Path(shutil.copy(past.books, folder / "node.db"))
