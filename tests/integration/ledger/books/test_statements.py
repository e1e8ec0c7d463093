"""Statements foot: opening and every line make the closing, whatever was reorganised in between."""

from collections.abc import Iterator

import pytest

from ledger.books.accounts import Purpose
from ledger.books.books import Books, open_books
from ledger.books.statements import Statement, statement
from ledger.market.identity import Address
from tests.factories import NOW, a_digest
from tests.fakes.small_market import (
    BUYER,
    MATCHER,
    PROVIDER,
    RATE,
    SmallMarket,
    accepted,
    job_id,
    lease_id,
    planned,
)

EVER = (0, 1 << 36)
DIGITS = lease_id("digits")


@pytest.fixture
def books(books_url: str) -> Iterator[Books]:
    with open_books(books_url) as opened:
        with opened.transaction() as unit:
            for name in ("digits", "other"):
                unit.record(accepted(name))
                unit.record(planned(name))
                unit.keep_document(a_digest(f"document {name}"), f'{{"name":"{name}"}}'.encode())
        yield opened


@pytest.fixture
def market() -> SmallMarket:
    """A block a second: money, an opening, two receipts of which the second is the last."""
    market = SmallMarket()
    market.deploy()
    market.register()
    market.deposit(1_000_000)
    market.stake(10_000)
    market.seal()
    market.open("digits")
    market.open("other")
    market.seal()
    market.settle(DIGITS, 60_000)
    market.seal()
    market.settle(DIGITS, 600_000)
    market.close(DIGITS)
    market.seal()
    return market


def follow(books: Books, market: SmallMarket) -> None:
    with books.transaction() as unit:
        for block in market.blocks:
            unit.record(block)


def stated(books: Books, account: Address, since: int = 0, until: int = EVER[1]) -> Statement:
    found = statement(books, account, since, until)
    assert found.opening + sum(line.change for line in found.lines) == found.closing
    assert found.opening + found.received - found.spent - found.fees == found.closing
    return found


def test_a_buyer_sees_what_it_paid_for_which_job(books: Books, market: SmallMarket) -> None:
    follow(books, market)
    found = stated(books, BUYER)
    deposit, first, second = found.lines
    assert (deposit.purpose, deposit.gross, deposit.lease) == (Purpose.DEPOSIT, 1_000_000, None)
    assert [line.purpose for line in (first, second)] == [Purpose.USAGE, Purpose.USAGE]
    assert (first.job, first.job_name, first.lease) == (job_id("digits"), "digits", DIGITS)
    assert (first.milliseconds, second.milliseconds) == (60_000, 540_000)
    assert (first.rate, first.provider, first.buyer) == (RATE, PROVIDER, BUYER)
    row = books.queries.lease(DIGITS)
    assert row is not None
    assert first.gross + second.gross == -row.paid
    assert row.transactions.settled == (first.transaction, second.transaction)
    assert found.closing == 1_000_000 - row.paid
    other = books.queries.lease(lease_id("other"))
    assert other is not None
    assert found.held == other.escrow
    assert found.closing - found.held == books.queries.balance(BUYER)


def test_a_provider_sees_the_gross_and_the_fee_of_each_payment(books: Books, market: SmallMarket) -> None:
    follow(books, market)
    found = stated(books, PROVIDER)
    row = books.queries.lease(DIGITS)
    assert row is not None
    earned = [line for line in found.lines if line.purpose is Purpose.USAGE]
    assert sum(line.gross for line in earned) == row.paid
    assert found.fees == row.fee > 0
    assert found.closing == books.queries.balance(PROVIDER) == row.paid - row.fee
    assert [line.gross for line in found.lines if line.purpose is Purpose.STAKE] == [-10_000]
    assert stated(books, MATCHER).received == row.fee


def test_periods_join_without_a_gap(books: Books, market: SmallMarket) -> None:
    follow(books, market)
    whole = stated(books, BUYER)
    middle = NOW + 3
    before, after = stated(books, BUYER, 0, middle), stated(books, BUYER, middle)
    assert before.closing == after.opening
    assert before.lines + after.lines == whole.lines
    assert (before.opening, after.closing) == (0, whole.closing)
    assert before.lines
    assert after.lines


def test_a_period_without_payments_opens_as_it_closes(books: Books, market: SmallMarket) -> None:
    follow(books, market)
    later = stated(books, BUYER, NOW + 1_000)
    assert later.lines == ()
    assert later.opening == later.closing == stated(books, BUYER).closing > 0


def test_an_invoice_has_one_jobs_payments_alone(books: Books, market: SmallMarket) -> None:
    market.settle(lease_id("other"), 30_000)
    market.seal()
    follow(books, market)
    found = statement(books, BUYER, *EVER, job_id("other"))
    (line,) = found.lines
    assert (line.job_name, line.milliseconds, found.opening) == ("other", 30_000, 0)
    assert found.closing == line.change < 0
    assert statement(books, MATCHER, *EVER, job_id("other")).lines == ()


def test_payments_of_vanished_blocks_are_in_no_statement(books: Books, market: SmallMarket) -> None:
    follow(books, market)
    before = stated(books, BUYER)
    with books.transaction() as unit:
        unit.record(market.rewind(1))
    shorter = stated(books, BUYER)
    assert shorter.lines == before.lines[:-1]
    market.settle(DIGITS, 90_000)
    market.seal()
    follow(books, market)
    replaced = stated(books, BUYER)
    assert replaced.lines[:-1] == shorter.lines
    assert replaced.lines[-1].milliseconds == 30_000
    assert replaced.closing == books.queries.totals(f"balance:0x{BUYER.hex()}").posted


def test_an_opening_balance_is_exact_beyond_63_bits(books: Books) -> None:
    market = SmallMarket()
    for amount in ((1 << 86) - 1, 10**18 - 1, 10**18 - 1, 10**18 - 1, 7):
        market.deposit(amount)
    market.withdraw(10**18 + 1)
    market.seal()
    follow(books, market)
    found = stated(books, BUYER, NOW + 500)
    assert found.opening == (1 << 86) - 1 + 3 * (10**18 - 1) + 7 - 10**18 - 1


def test_who_never_had_anything_has_an_empty_statement(books: Books) -> None:
    found = stated(books, MATCHER)
    assert (found.lines, found.opening, found.closing, found.held) == ((), 0, 0, 0)
