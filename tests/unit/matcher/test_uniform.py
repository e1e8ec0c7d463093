"""One price a class, half way between those who trade, and never beyond anybody's own bounds."""

from dataclasses import replace
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from matcher.uniform import Loss, Trade, rates

H100, A100 = (3, 100), (3, 200)
ANYTHING = 1 << 40


def a_trade(buyer: int, ask: int, limit: int, *, units: int = 1_000, beside: int = 0) -> Trade:
    """`ask` and `limit` are for one unit."""
    return Trade(
        good=H100,
        buyer=buyer,
        units=units,
        ask=ask,
        ask_rate=ask * units + beside,
        limit_rate=limit * units + beside,
        ceiling=limit * units + beside,
    )


def a_loss(buyer: int, worth: int) -> Loss:
    return Loss(good=H100, buyer=buyer, worth=Fraction(worth))


def units_paid(trades: list[Trade], losses: list[Loss]) -> list[Fraction]:
    pairs = zip(rates(trades, losses), trades, strict=True)
    return [Fraction(rate - trade.beside, trade.units) for rate, trade in pairs]


def test_two_bids_pay_half_way_between_the_dearer_ask_and_the_lower_bid() -> None:
    assert units_paid([a_trade(1, 4, 20), a_trade(2, 6, 10)], []) == [8, 8]


def test_a_bid_that_wants_a_class_alone_pays_the_ask() -> None:
    assert units_paid([a_trade(1, 4, 20)], []) == [4]
    assert units_paid([a_trade(1, 4, 20), a_trade(1, 5, 20)], []) == [4, 5]


def test_the_best_bid_that_lost_lifts_the_price_and_a_poor_one_does_not() -> None:
    assert units_paid([a_trade(1, 4, 20)], [a_loss(2, 10)]) == [15]
    assert units_paid([a_trade(1, 4, 20)], [a_loss(2, 1)]) == [12]


def test_a_loser_that_would_have_paid_more_does_not_push_the_price_above_a_winner() -> None:
    assert units_paid([a_trade(1, 4, 20)], [a_loss(2, 30)]) == [12]


def test_what_the_other_lanes_cost_is_no_part_of_the_price() -> None:
    trades = [a_trade(1, 4, 20, beside=777), a_trade(2, 4, 12)]
    assert units_paid(trades, []) == [8, 8]


def test_nobody_pays_above_what_the_bid_allows_or_below_the_ask() -> None:
    shy = replace(a_trade(1, 4, 20), ceiling=4_000)
    assert units_paid([shy, a_trade(2, 4, 20)], []) == [4, 12]
    assert units_paid([a_trade(1, 1, 4), a_trade(2, 9, 20)], []) == [4, 9]


def test_classes_have_their_own_prices() -> None:
    other = [replace(a_trade(3, 1, 3), good=A100), replace(a_trade(4, 1, 5), good=A100)]
    assert units_paid([a_trade(1, 4, 20), a_trade(2, 4, 12), *other], []) == [8, 8, 2, 2]


trades = st.builds(
    lambda buyer, ask, more, units, beside, allowed: replace(
        a_trade(buyer, ask, ask + more, units=units, beside=beside),
        ceiling=min((ask + more) * units, ask * units + allowed) + beside,
    ),
    st.integers(0, 3),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(1, 4_000),
    st.integers(0, 10_000),
    st.integers(0, ANYTHING),
)
losses = st.builds(a_loss, st.integers(0, 5), st.integers(0, 120))


@given(st.lists(trades, max_size=6), st.lists(losses, max_size=4))
def test_a_price_is_inside_both_sides_bounds(sold: list[Trade], lost: list[Loss]) -> None:
    for rate, trade in zip(rates(sold, lost), sold, strict=True):
        assert trade.ask_rate <= rate <= trade.ceiling <= trade.limit_rate


@given(st.lists(trades, max_size=6), st.lists(losses, max_size=4), st.randoms())
def test_the_order_of_trades_and_losses_decides_nothing(
    sold: list[Trade], lost: list[Loss], chance: Random
) -> None:
    paid = dict(zip(map(repr, sold), rates(sold, lost), strict=True))
    chance.shuffle(sold)
    chance.shuffle(lost)
    assert dict(zip(map(repr, sold), rates(sold, lost), strict=True)) == paid


@given(st.lists(trades, max_size=6), st.lists(losses, max_size=4))
def test_those_whose_price_is_not_clipped_pay_the_same(sold: list[Trade], lost: list[Loss]) -> None:
    inside = [
        (rate - trade.beside, trade.units)
        for rate, trade in zip(rates(sold, lost), sold, strict=True)
        if trade.ask_rate < rate < trade.ceiling
    ]
    for paid, units in inside:
        for other_paid, other_units in inside:
            assert abs(Fraction(paid, units) - Fraction(other_paid, other_units)) <= max(
                Fraction(1, units), Fraction(1, other_units)
            )


@given(st.lists(trades, max_size=5), st.lists(losses, max_size=3), st.integers(1, 1_000))
def test_prices_scale_with_all_prices(sold: list[Trade], lost: list[Loss], times: int) -> None:
    scaled = [
        replace(
            one,
            ask=one.ask * times,
            ask_rate=one.ask_rate * times,
            limit_rate=one.limit_rate * times,
            ceiling=one.ceiling * times,
        )
        for one in sold
    ]
    dear = [replace(one, worth=one.worth * times) for one in lost]
    for rate, dearer in zip(rates(sold, lost), rates(scaled, dear), strict=True):
        assert 0 <= dearer - rate * times < times
