"""The guardian stops new business for a week, and no exit ever."""

import boa
import pytest

from ledger.market.errors import Rejected
from ledger.market.events import GuardianRenounced, Paused, Unpaused
from ledger.market.money import rate_of
from tests.fakes.in_process_market import Order, a_bid, an_offer, party, words_of
from tests.fakes.market_twin import Claim, MarketTwin

WEEK = 7 * 24 * 3_600
RATE = rate_of(an_offer().ask, a_bid().want)


def test_a_pause_stops_new_business_and_no_exit(twin: MarketTwin) -> None:
    twin.register(an_offer())
    leases = [twin.open(an_offer(), Order(bid=a_bid(nonce=n), rate=RATE)) for n in (1, 2)]
    assert twin.pause() == [Paused(until=twin.at + WEEK)]
    order = twin.chain.fill_words(Order(bid=a_bid(nonce=3), rate=RATE))
    for function, arguments in (
        ("deposit", (1,)),
        ("registerOffer", (words_of(an_offer(salt=2)),)),
        ("registerOffers", ([],)),
        ("matchBid", (words_of(an_offer()), order)),
        ("matchBids", ([], [], bytes(32))),
    ):
        with boa.reverts("market: paused"):
            twin.chain.call(function, *arguments, sender="provider")
    twin.settle(Claim(terms=leases[0].terms, milliseconds=1_000, last=True))
    twin.release(leases[1].terms)
    twin.cancel(an_offer())
    twin.request_unstake("provider", 1)
    twin.withdraw("buyer", 1)
    twin.assert_same_state()


def test_a_pause_ends_by_itself_and_is_not_repeated_for_a_week(twin: MarketTwin) -> None:
    twin.pause()
    twin.chain.advance(WEEK)
    twin.deposit("stranger", 1)
    with pytest.raises(Rejected):
        twin.pause()
    twin.chain.advance(WEEK)
    twin.pause()
    twin.assert_same_state()


def test_the_guardian_ends_its_pause(twin: MarketTwin) -> None:
    with pytest.raises(Rejected):
        twin.unpause()
    twin.pause()
    assert twin.unpause() == [Unpaused(guardian=party("guardian"))]
    twin.deposit("stranger", 1)


@pytest.mark.parametrize("sender", ["stranger", "arbiter", "provider"])
def test_nobody_else_pauses(twin: MarketTwin, sender: str) -> None:
    with pytest.raises(Rejected):
        twin.pause(sender)
    with pytest.raises(Rejected):
        twin.renounce_guardian(sender)


def test_a_guardian_that_renounced_is_none(twin: MarketTwin) -> None:
    assert twin.renounce_guardian() == [GuardianRenounced(guardian=party("guardian"))]
    with pytest.raises(Rejected):
        twin.pause()
    with pytest.raises(Rejected):
        twin.renounce_guardian()
