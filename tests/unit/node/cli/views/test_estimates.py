"""A refusal as a person reads it: its remedy in the units of a job file; a program gets it unchanged."""

import pytest

from ledger.market.errors import Rejected
from ledger.market.resource import Quantities
from matcher.book import Book, OfferListed
from matcher.explanation import explain
from matcher.orders import BidOrder
from node.cli.views.estimates import explained
from node.cli.views.output import Output
from node.trading.refusal import NoMatch
from tests.factories import bid_order, offer_order

BOOK = Book([OfferListed(order=offer_order())])


def refused(*ways: BidOrder) -> NoMatch:
    return NoMatch([explain(way, BOOK) for way in ways], BOOK)


def read(error: Rejected, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    told = explained(error, 6, Output(as_json=False))
    assert (told.code, told.cause, told.facts) == (error.code, error.cause, error.facts)
    return told.remedy, capsys.readouterr().err


def test_the_limit_to_raise_is_told_in_tokens_an_hour(capsys: pytest.CaptureFixture[str]) -> None:
    remedy, shown = read(refused(bid_order(limit_rate=1_000_000)), capsys)
    assert remedy == "Raise max_price from 0.001/h to 0.0011024/h, and it matches now."
    assert "asks 0.0011024/h, more than the limit" in shown


def test_cores_are_told_as_a_job_file_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(bid_order(want=Quantities(cpu=8_000), limit_rate=1 << 60))
    assert read(error, capsys)[0] == "Lower resources.cpus from 8 to 4, and it matches now."


def test_the_alternative_to_change_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(bid_order(limit_rate=1), bid_order(limit_rate=1_102_399))
    assert read(error, capsys)[0].endswith(" in alternative 2, and it matches now.")


def test_where_no_change_would_do_the_refusal_stays(capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(bid_order(buyer=offer_order().offer.provider))
    assert read(error, capsys)[0] == error.remedy


def test_a_program_gets_the_refusal_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(bid_order(limit_rate=1))
    assert explained(error, 6, Output(as_json=True)) is error
    assert capsys.readouterr().err == ""
