"""An audit names the row that was changed by one unit, whichever row it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.books import money_rules
from ledger.books.books import Books, open_books
from ledger.books.compare import compare
from ledger.market.delegation import Role
from tests.books_url import tamper
from tests.factories import NOW, an_address
from tests.fakes.small_market import (
    BUYER,
    MATCHER,
    OFFER,
    PROVIDER,
    SmallMarket,
    accepted,
    cosigned,
    lease_id,
    planned,
    used_for,
)

OPEN, CLOSED, CLAIMED = (lease_id(name) for name in ("open", "closed", "claimed"))
KEY = an_address("key")


@pytest.fixture
def market() -> SmallMarket:
    """A lease that is closed, one that is open and partly paid, and one with a contested claim; a provider
    that asked some stake back, and a buyer with a delegate."""
    market = SmallMarket()
    market.deploy()
    market.register()
    market.deposit(1_000_000)
    market.stake(10_000)
    market.deposit(100, PROVIDER)
    market.unstake(3_000, unlock_at=NOW + 360)
    market.delegate(KEY, Role.SPEND)
    for name in ("closed", "open", "claimed"):
        market.open(name)
    market.seal()
    market.settle(OPEN, 60_000)
    market.settle(CLOSED, 600_000)
    market.close(CLOSED)
    market.burn(CLOSED, 2)
    market.claim(CLAIMED, 7, bond=4)
    market.contest(CLAIMED)
    market.seal()
    return market


@pytest.fixture
def books(books_url: str, market: SmallMarket) -> Iterator[Books]:
    with followed(books_url, market) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "node.db")


@pytest.fixture
def file_books(file: str, market: SmallMarket) -> Iterator[Books]:
    """For the many cells, which are compared alike on every database."""
    with followed(file, market) as opened:
        yield opened


@contextmanager
def followed(url: str, market: SmallMarket) -> Iterator[Books]:
    with open_books(url) as opened:
        with opened.transaction() as unit:
            for fact in (accepted("open"), accepted("closed"), planned("open"), planned("closed")):
                unit.record(fact)
            for block in market.blocks:
                unit.record(block)
            unit.record(used_for("open", 60_000))
            unit.record(cosigned("open", 60_000))
        yield opened


def change(url: str, statement: str) -> None:
    """As somebody does who has the database: without the rules."""
    for rule in money_rules.lifted("postgresql" if "://" in url else "sqlite"):
        tamper(url, rule)
    assert tamper(url, statement) == 1


def test_books_that_followed_the_chain_agree_with_it(books: Books, market: SmallMarket) -> None:
    assert compare(books, market.state()) == []


@pytest.mark.parametrize(
    ("table", "column", "where"),
    [
        ("accounts", "credits_posted_low", f"name = 'balance:0x{BUYER.hex()}'"),
        ("accounts", "credits_posted_low", f"name = 'balance:0x{MATCHER.hex()}'"),
        ("accounts", "credits_posted_low", f"name = 'stake:0x{PROVIDER.hex()}'"),
        ("accounts", "credits_posted_low", f"name = 'unstaking:0x{PROVIDER.hex()}'"),
        ("unlocks", "at", f"account = '0x{PROVIDER.hex()}'"),
        ("delegations", "allowance", f"key = '0x{KEY.hex()}'"),
        ("delegations", "roles", f"key = '0x{KEY.hex()}'"),
        ("delegations", "until", f"key = '0x{KEY.hex()}'"),
        ("market", "paused_until", "id = 1"),
        ("leases", "fee", f"id = '0x{CLOSED.hex()}'"),
        ("leases", "lock", f"id = '0x{OPEN.hex()}'"),
        ("leases", "burned", f"id = '0x{CLOSED.hex()}'"),
        ("leases", "claimed", f"id = '0x{CLAIMED.hex()}'"),
        ("leases", "provider_bond", f"id = '0x{CLAIMED.hex()}'"),
        ("leases", "buyer_bond", f"id = '0x{CLAIMED.hex()}'"),
        ("leases", "claim_until", f"id = '0x{CLAIMED.hex()}'"),
        ("transfers", "low", "credit = 'burned' AND kind = 'direct'"),
        ("transfers", "low", f"hold = 'lock:0x{OPEN.hex()}'"),
        ("holds", "low", f"name = 'bond:0x{CLAIMED.hex()}/buyer'"),
        ("leases", "escrow", f"id = '0x{OPEN.hex()}'"),
        ("leases", "paid", f"id = '0x{OPEN.hex()}'"),
        ("leases", "refunded", f"id = '0x{CLOSED.hex()}'"),
        ("leases", "receipt_milliseconds", f"id = '0x{OPEN.hex()}'"),
        ("transfers", "low", f"hold = 'escrow:0x{OPEN.hex()}' AND kind = 'pending'"),
        ("jobs", "reserve", "sequence = 1"),
        ("events", "log_index", "seq = 1"),
    ],
)
def test_one_unit_in_one_row_is_found_and_named(
    file_books: Books, market: SmallMarket, file: str, table: str, column: str, where: str
) -> None:
    change(file, f"UPDATE {table} SET {column} = CAST({column} AS numeric) + 1 WHERE {where}")
    found = compare(file_books, market.state())
    assert any(one.field == column and int(one.ours) == int(one.chain) + 1 for one in found)
    assert {one.table for one in found} == {table}


def test_a_lease_that_is_called_an_undecided_replica_is_found(
    books: Books, market: SmallMarket, books_url: str
) -> None:
    change(books_url, f"UPDATE leases SET undecided = true WHERE id = '0x{OPEN.hex()}'")
    found = compare(books, market.state())
    assert ("leases", f"0x{OPEN.hex()}", "undecided", "True", "False") in {
        (one.table, one.row, one.field, one.ours, one.chain) for one in found
    }


def test_another_guardian_is_found(books: Books, market: SmallMarket, books_url: str) -> None:
    thief = f"0x{KEY.hex()}"
    change(books_url, f"UPDATE market SET guardian = '{thief}'")
    (found, *_) = compare(books, market.state())
    assert (found.table, found.field, found.ours) == ("market", "guardian", thief)


def test_a_lost_delegation_is_found(books: Books, market: SmallMarket, books_url: str) -> None:
    change(books_url, f"DELETE FROM delegations WHERE key = '0x{KEY.hex()}'")
    (found, *_) = compare(books, market.state())
    assert (found.table, found.row, found.ours) == (
        "delegations",
        f"0x{BUYER.hex()}/0x{KEY.hex()}",
        "absent",
    )


def test_a_cell_that_can_no_longer_be_read_is_still_named(
    books: Books, market: SmallMarket, books_url: str
) -> None:
    change(books_url, "UPDATE offers SET used = 'much'")
    (found,) = compare(books, market.state())
    assert (found.table, found.row, found.field, found.ours) == ("offers", f"0x{OFFER.hex()}", "used", "much")


def test_a_lost_row_is_found_and_named(books: Books, market: SmallMarket, books_url: str) -> None:
    change(books_url, f"DELETE FROM leases WHERE id = '0x{OPEN.hex()}'")
    found = compare(books, market.state())
    assert {(one.table, one.row, one.ours) for one in found} == {("leases", f"0x{OPEN.hex()}", "absent")}


def test_what_the_books_missed_is_found(books: Books, market: SmallMarket) -> None:
    market.deposit(1)
    found = compare(books, market.state())
    assert [(one.table, one.field) for one in found] == [("accounts", "available")]
    assert int(found[0].chain) == int(found[0].ours) + 1


def test_rebuilding_repairs_a_changed_row(books: Books, market: SmallMarket, books_url: str) -> None:
    change(
        books_url,
        "UPDATE accounts SET credits_posted_low = credits_posted_low + 7 "
        f"WHERE name = 'balance:0x{BUYER.hex()}'",
    )
    assert books.rebuild() == 8
    assert compare(books, market.state()) == []
