"""Files of a statement: exact, escaped, and harmless in a spreadsheet."""

import csv
import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.books.accounts import Purpose, balance
from ledger.books.statements import Statement, StatementLine
from ledger.market.identity import BidId, LeaseId
from node.statement_files import to_csv, to_page
from node.statement_view import COLUMNS, moment, placed, statement_plain, summary
from tests.factories import NOW, a_digest, an_address

BUYER, PROVIDER = an_address("buyer"), an_address("provider")


def a_line(**changes: Any) -> StatementLine:
    cells: dict[str, Any] = {
        "at": NOW,
        "purpose": Purpose.USAGE,
        "gross": -1_500_000,
        "fee": 0,
        "balance": 500_000,
        "counterparty": balance(PROVIDER),
        "transaction": a_digest("transaction"),
        "lease": LeaseId(a_digest("lease")),
        "job": BidId(a_digest("job")),
        "job_name": "digits",
        "provider": PROVIDER,
        "buyer": BUYER,
        "milliseconds": 61_250,
        "rate": 5_000_000_000,
    }
    return StatementLine(**(cells | changes))


def a_statement(*lines: StatementLine, **changes: Any) -> Statement:
    cells: dict[str, Any] = {
        "account": BUYER,
        "since": NOW - 10,
        "until": NOW + 10,
        "opening": 2_000_000,
        "closing": 500_000,
        "held": 7,
        "lines": lines,
    }
    return Statement(**(cells | changes))


def rows(found: Statement) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(found, 6))))


def test_a_csv_has_one_exact_row_a_payment() -> None:
    (row,) = rows(a_statement(a_line()))
    assert tuple(row) == COLUMNS
    assert row["amount"] == "-1.500000"
    assert row["balance"] == "0.500000"
    assert row["duration"] == "61.250 s"
    assert row["rate per hour"] == "5.000000000"
    assert row["time"] == "2027-01-15 08:00:00"
    assert row["lease"] == "0x" + a_digest("lease").hex()


def test_what_is_no_usage_has_neither_duration_nor_rate() -> None:
    line = a_line(purpose=Purpose.DEPOSIT, gross=5, milliseconds=None, lease=None, job=None, job_name=None)
    (row,) = rows(a_statement(line))
    assert (row["duration"], row["rate per hour"], row["lease"], row["job"]) == ("", "", "", "")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_jobs_name_is_no_formula(name: str) -> None:
    (row,) = rows(a_statement(a_line(job_name=name)))
    assert row["job"] == f"'{name}"


@pytest.mark.parametrize("name", ["a,b", 'say "hi"', "two\nlines", "ünïcode"])
def test_a_jobs_name_comes_back_from_the_csv(name: str) -> None:
    (row,) = rows(a_statement(a_line(job_name=name)))
    assert row["job"] == name


@given(st.text(max_size=30))
def test_a_page_shows_any_name_and_runs_none(name: str) -> None:
    page = to_page(a_statement(a_line(job_name=f"<script>{name}</script>")), 6, NOW)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 1
    assert not re.search(r"\son\w+=|https?://|@import|url\(", page.replace(name, ""))


def test_a_page_foots() -> None:
    page = to_page(a_statement(a_line()), 6, NOW)
    for words in ("Statement", "Opening balance", "2.000000", "-1.500000", "Closing balance", "0.500000"):
        assert words in page
    assert "@media print" in page


def test_an_invoice_names_both_sides_and_the_job() -> None:
    page = to_page(a_statement(a_line(), job=BidId(a_digest("job")), opening=0, closing=-1_500_000), 6, NOW)
    assert "<h1>Invoice</h1>" in page
    for party in (BUYER, PROVIDER):
        assert f"0x{party.hex()}" in page
    assert "Opening balance" not in page


def test_the_summary_of_a_statement_adds_up() -> None:
    figures = dict(summary(a_statement(a_line(), a_line(gross=10, fee=3)), 0))
    assert figures["Spent"] == "1500000"
    assert (figures["Received"], figures["Fees"]) == ("10", "3")


@given(st.integers(-(1 << 90), 1 << 90), st.integers(0, 18))
def test_an_amount_is_shown_exactly(amount: int, places: int) -> None:
    shown = placed(amount, places)
    assert int(shown.replace(".", "")) == amount
    assert len(shown.partition(".")[2]) == places


def test_a_document_has_base_units() -> None:
    plain: dict[str, Any] = statement_plain(a_statement(a_line(fee=2)), 6)
    assert (plain["opening"], plain["fees"], plain["decimals"]) == ("2000000", "2", 6)
    assert plain["lines"][0]["change"] == "-1500002"
    assert moment(0) == "1970-01-01 00:00:00"
