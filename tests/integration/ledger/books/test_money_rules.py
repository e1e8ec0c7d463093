"""What the database itself refuses: nothing here goes through the code that posts transfers."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from ledger.books.accounts import BURNED, balance, escrow
from ledger.books.books import Books, open_books
from ledger.books.money_tables import UNIT, TransferRecord, join, split
from ledger.market.errors import Broken
from tests.factories import an_address
from tests.fakes.small_market import BUYER, PROVIDER, SmallMarket, lease_id

LEASE = lease_id("digits")
TRANSFERS = TransferRecord.metadata.tables["transfers"]
STRANGER = balance(an_address("stranger"))


@pytest.fixture
def books(books_url: str) -> Iterator[Books]:
    """A buyer with money, of which an open lease holds some and paid some."""
    market = SmallMarket()
    market.register()
    market.deposit(1_000_000)
    market.open("digits")
    market.settle(LEASE, 60_000)
    market.seal()
    with open_books(books_url) as opened:
        with opened.transaction() as unit:
            for block in market.blocks:
                unit.record(block)
        yield opened


def execute(books: Books, statement: str) -> None:
    with books._writing() as session:
        session.connection().execute(text(statement))


def a_transfer(session: Session, **changes: Any) -> dict[str, Any]:
    newest = session.connection().execute(select(func.max(TRANSFERS.c.id))).scalar_one()
    cells = {
        "id": newest + 1,
        "kind": "direct",
        "purpose": "deposit",
        "debit": "wallet:0x00",
        "credit": STRANGER,
        "high": 0,
        "low": 5,
        "hold": None,
        "reverses": None,
        "lease": None,
        "block_hash": bytes(32),
        "block_number": 1,
        "at": 1,
        "log_index": 0,
        "leg": 0,
        "transaction_hash": bytes(32),
    }
    return cells | changes


def transfer(books: Books, **changes: Any) -> None:
    with books._writing() as session:
        session.connection().execute(insert(TRANSFERS).values(a_transfer(session, **changes)))


def refused(books: Books, said: str, **changes: Any) -> None:
    before = books.queries.transfers(), books.queries.all_totals(), books.queries.holds()
    with pytest.raises(Broken, match=said) as refusal:
        transfer(books, **changes)
    assert refusal.value.code == "books-invariant"
    assert (books.queries.transfers(), books.queries.all_totals(), books.queries.holds()) == before


def test_a_transfer_moves_both_totals(books: Books) -> None:
    transfer(books)
    assert books.queries.totals(STRANGER).credits_posted == 5
    assert books.queries.totals("wallet:0x00").debits_posted == 5


def test_amounts_carry_exactly_beyond_63_bits(books: Books) -> None:
    wide = (1 << 88) - 1
    for number, amount in enumerate((UNIT - 1, 1, wide, wide)):
        high, low = split(amount)
        assert join(high, low) == amount
        transfer(books, high=high, low=low, log_index=number)
    assert books.queries.totals(STRANGER).available == UNIT + 2 * wide
    high, low = split(UNIT + 2 * wide - 3)
    transfer(books, debit=STRANGER, credit=BURNED, high=high, low=low, log_index=9)
    assert books.queries.totals(STRANGER).available == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET low = low + 1",
        "DELETE FROM transfers",
        "UPDATE accounts SET credits_posted_low = credits_posted_low + 1",
        "UPDATE accounts SET last_transfer = last_transfer + 1",
        "DELETE FROM accounts",
        "UPDATE holds SET low = 0",
        "DELETE FROM holds",
        "INSERT INTO holds (name, debit, credit, high, low, last_transfer) "
        "SELECT 'escrow:0x00', debit, credit, 0, 5, 0 FROM holds",
        "INSERT INTO accounts SELECT 'balance:0x00', unbounded, debits_pending_high, debits_pending_low, "
        "debits_posted_high, debits_posted_low, credits_pending_high, credits_pending_low, "
        "credits_posted_high, credits_posted_low, last_transfer FROM accounts WHERE credits_posted_low > 0",
    ],
)
def test_nothing_moves_without_a_transfer(books: Books, statement: str) -> None:
    before = books.queries.transfers(), books.queries.all_totals(), books.queries.holds()
    with pytest.raises(Broken):
        execute(books, statement)
    assert (books.queries.transfers(), books.queries.all_totals(), books.queries.holds()) == before


def test_an_account_does_not_go_below_zero_and_a_wallet_may(books: Books) -> None:
    has = books.queries.totals(balance(BUYER))
    assert 0 < has.available < has.posted, "some of it is held"
    transfer(books, debit=balance(BUYER), low=has.available)
    refused(books, "no_account_below_zero", debit=balance(BUYER), low=1, log_index=1)
    transfer(books, debit="wallet:0x01", low=UNIT - 1, high=10**9, log_index=2)


def test_a_hold_is_not_posted_beyond_what_is_left(books: Books) -> None:
    left = books.queries.holds()[escrow(LEASE)]
    sides = {"debit": balance(BUYER), "credit": balance(PROVIDER), "hold": escrow(LEASE), "purpose": "usage"}
    # The hold and its owner's pending total both refuse it; which one first is the database's affair.
    refused(books, "hold_below_zero|account_totals", kind="post", low=left + 1, **sides)
    transfer(books, kind="post", low=left, **sides)
    assert books.queries.holds()[escrow(LEASE)] == 0
    assert books.queries.totals(balance(BUYER)).debits_pending == 0


def test_a_hold_is_posted_to_its_own_account_alone(books: Books) -> None:
    held = {"kind": "post", "hold": escrow(LEASE), "low": 1, "debit": balance(BUYER)}
    refused(books, "between its own accounts", credit=STRANGER, **held)
    refused(
        books, "between its own accounts", **(held | {"hold": "escrow:0x00", "credit": balance(PROVIDER)})
    )


def test_a_hold_is_used_up_before_it_is_made_again(books: Books) -> None:
    sides = {"debit": balance(BUYER), "credit": balance(PROVIDER), "hold": escrow(LEASE)}
    refused(books, "used up", kind="pending", low=1, **sides)


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        ("without gaps", {"id": 99}),
        ("transfer_amount", {"low": 0}),
        ("transfer_amount", {"low": -5}),
        ("transfer_amount", {"low": UNIT}),
        ("transfer_between_two", {"credit": "wallet:0x00"}),
        ("transfer_", {"kind": "gift"}),
        ("transfer_hold", {"kind": "pending"}),
        ("transfer_hold", {"hold": escrow(LEASE)}),
        ("mirrors", {"reverses": 1}),
        ("mirrors", {"reverses": 99}),
        ("restores", {"kind": "restore", "hold": escrow(LEASE)}),
    ],
)
def test_a_transfer_that_makes_no_sense_is_refused(books: Books, said: str, changes: dict[str, Any]) -> None:
    refused(books, said, **changes)


def test_an_event_is_posted_once_and_anew_after_it_was_reversed(books: Books) -> None:
    transfer(books)
    refused(books, "posted once")
    first = books.queries.transfers()[-1].id
    transfer(books, debit=STRANGER, credit="wallet:0x00", reverses=first)
    refused(
        books,
        "transfers.reverses|transfer_reversed_once",
        debit=STRANGER,
        credit="wallet:0x00",
        reverses=first,
    )
    transfer(books)
    assert books.queries.totals(STRANGER).available == 5


def test_the_tables_cannot_be_emptied_at_once(books: Books, books_kind: str) -> None:
    if books_kind == "sqlite":
        return
    for table in ("transfers", "accounts", "holds"):
        with books._writing() as session, pytest.raises(DBAPIError):
            session.connection().execute(text(f"TRUNCATE {table} CASCADE"))
