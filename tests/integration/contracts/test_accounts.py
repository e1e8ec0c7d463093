"""Money in and out, epochs and nonces; tokens that misbehave."""

from dataclasses import astuple
from typing import Any

import boa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.events import BidSkipped, Deposited, EpochBumped, NoncesCancelled, Withdrawn
from ledger.market.identity import NOBODY
from ledger.market.money import rate_of
from ledger.market.policy import EMBEDDED
from ledger.market.resource import Quantities
from tests.fakes.in_process_market import (
    PURSE,
    InProcessMarket,
    Order,
    a_bid,
    account,
    an_offer,
    deploy,
    party,
)
from tests.fakes.market_twin import MarketTwin

TOKEN = """
# pragma version 0.4.3
balanceOf: public(HashMap[address, uint256])
victim: public(address)

interface Market:
    def withdraw(amount: uint256): nonpayable
    def balanceOf(account: address) -> uint256: view

@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount

@external
def approve(spender: address, amount: uint256): pass

@external
def attack(market: address):
    self.victim = market
"""
FEE = """
@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount - amount // 100
    return True
"""
SILENT = """
@external
def transferFrom(owner: address, receiver: address, amount: uint256):
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount

@external
def transfer(receiver: address, amount: uint256):
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[receiver] += amount
"""
REFUSING = """
@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    return False
"""
GENEROUS = """
@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    self.balanceOf[receiver] += 2 * amount
    return True
"""
REENTRANT = """
@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    self.balanceOf[receiver] += amount
    extcall Market(self.victim).withdraw(1)
    return True

@external
def transfer(receiver: address, amount: uint256) -> bool:
    return True
"""


def market_of(token_source: str) -> InProcessMarket:
    token: Any = boa.loads(TOKEN + token_source)
    market = InProcessMarket(token)
    token.mint(account("buyer"), 2**100)
    token.attack(market.market.address)
    return market


def test_a_deposit_is_credited_and_comes_out_again(twin: MarketTwin) -> None:
    before = twin.chain.token.balanceOf(account("stranger"))
    assert twin.deposit("stranger", 700) == [Deposited(account=party("stranger"), amount=700)]
    assert twin.withdraw("stranger", 700) == [
        Withdrawn(account=party("stranger"), to=party("stranger"), amount=700)
    ]
    assert twin.chain.token.balanceOf(account("stranger")) == before
    twin.assert_same_state()


@pytest.mark.parametrize("amount", [0, 701, 2**88, 2**256 - 1])
def test_more_than_the_balance_or_nothing_is_not_withdrawn(twin: MarketTwin, amount: int) -> None:
    twin.deposit("stranger", 700)
    with pytest.raises(Rejected):
        twin.withdraw("stranger", amount)
    twin.assert_same_state()


def test_nothing_or_more_than_the_purse_is_not_deposited(twin: MarketTwin) -> None:
    with pytest.raises(Rejected):
        twin.deposit("stranger", 0)
    with boa.reverts("token: balance too small"):
        twin.chain.call("deposit", PURSE + 1, sender="stranger")


def test_a_token_that_keeps_a_fee_is_credited_at_what_arrived() -> None:
    market = market_of(FEE)
    assert market.call("deposit", 1_000, sender="buyer") == [Deposited(account=party("buyer"), amount=990)]


def test_a_token_that_gives_more_is_credited_at_what_was_asked() -> None:
    market = market_of(GENEROUS)
    assert market.call("deposit", 1_000, sender="buyer") == [Deposited(account=party("buyer"), amount=1_000)]


def test_a_token_without_return_value_works_both_ways() -> None:
    market = market_of(SILENT)
    market.call("deposit", 1_000, sender="buyer")
    market.call("withdraw", 400, sender="buyer")
    assert market.market.balanceOf(account("buyer")) == 600


def test_a_token_that_refuses_credits_nothing() -> None:
    market = market_of(REFUSING)
    with boa.reverts("market: token refused"):
        market.call("deposit", 1_000, sender="buyer")


def test_a_token_that_calls_back_is_locked_out() -> None:
    market = market_of(REENTRANT)
    with pytest.raises(boa.BoaError):
        market.call("deposit", 1_000, sender="buyer")
    assert market.market.balanceOf(account("buyer")) == 0


def test_the_market_never_holds_more_than_a_balance_can_count() -> None:
    market = market_of(SILENT)
    market.call("deposit", 2**88 - 1, sender="buyer")
    with boa.reverts("market: holds too much"):
        market.call("deposit", 1, sender="buyer")


@pytest.mark.parametrize(
    "changes",
    [
        {1: 0},
        {9: 200, 10: 10_000, 11: 10_000},
        {9: 0, 10: 0, 11: 0},
        {8: EMBEDDED.arbitration_window + 1},
        dict.fromkeys(range(4, 8), 2**32 - 2) | {8: 2**32 - 1},
    ],
    ids=[
        "without a guardian",
        "the highest shares",
        "no shares",
        "the shortest delay",
        "the longest windows",
    ],
)
def test_the_widest_policy_is_deployed_and_told(changes: dict[int, int]) -> None:
    words, market = deploy_with(changes)
    assert list(market.policy()) == words[4:]
    assert int(market.guardian(), 16) == words[1]


def deploy_with(changes: dict[int, int]) -> tuple[list[int], Any]:
    """A market whose constructor's words are a sound market's but for some; refusals: `test_reverts`."""
    jury = deploy("ReplicaJury", b"", str(boa.env.eoa))
    words = [1, 2, 3, int(str(jury.address), 16), *astuple(EMBEDDED)]
    words = [changes.get(index, word) for index, word in enumerate(words)]
    arguments = b"".join(word.to_bytes(32, "big") for word in words)
    return words, deploy("ComputeMarket", arguments, str(boa.env.eoa))


def test_epochs_count_from_zero(twin: MarketTwin) -> None:
    for expected in range(1, 66):
        assert twin.bump_epoch("buyer") == [EpochBumped(account=party("buyer"), epoch=expected)]
    twin.assert_same_state()


def test_cancelled_nonces_are_used_and_others_are_not(twin: MarketTwin) -> None:
    mask = 1 << 3 | 1 << 255
    assert twin.cancel_nonces("buyer", 2, mask) == [
        NoncesCancelled(account=party("buyer"), word=2, mask=mask)
    ]
    used = [n for n in range(500, 800) if twin.chain.market.nonceUsed(account("buyer"), n)]
    assert used == [515, 767]
    assert not twin.chain.market.nonceUsed(account("other"), 515)


def test_the_window_is_the_newest_page_and_what_is_used_of_it(twin: MarketTwin) -> None:
    one = Quantities(cpu=1)
    offer = an_offer(capacity=Quantities(cpu=100), salt=77)
    twin.register(offer)

    def spend(*nonces: int) -> None:
        for nonce in nonces:
            twin.match(offer, Order(bid=a_bid(want=one, nonce=nonce), rate=rate_of(offer.ask, one)))

    spend(3, 32 * 5 + 1, 32 * 5 + 31, 7)
    assert twin.chain.market.nonceWindow(account("buyer")) == (5, 1 << 1 | 1 << 31)
    spend(32 * 2**16 - 1, 32 * 2**16)
    assert twin.chain.market.nonceWindow(account("buyer")) == (2**16 - 1, 1 << 31)
    assert twin.chain.market.nonceWindow(account("other")) == (0, 0)


@pytest.mark.parametrize("word", [0, 1])
def test_nonces_cancelled_before_or_after_their_page_is_the_newest_stay_used(
    twin: MarketTwin, word: int
) -> None:
    first, rate = 256 * word, rate_of(an_offer().ask, a_bid().want)
    twin.register(an_offer())
    twin.cancel_nonces("buyer", word, 1 << 34 | 1 << 3)
    twin.match(an_offer(), Order(bid=a_bid(nonce=first + 33), rate=rate))
    twin.cancel_nonces("buyer", word, 1 << 36 | 1 << 6)
    used = [n for n in range(first, first + 256) if twin.chain.market.nonceUsed(account("buyer"), n)]
    assert used == [first + one for one in (3, 6, 33, 34, 36)]
    for nonce in (first + 34, first + 36):
        (skipped,) = twin.match(an_offer(), Order(bid=a_bid(nonce=nonce), rate=rate))[:1]
        assert isinstance(skipped, BidSkipped)


def test_nonces_beyond_64_bits_cannot_be_cancelled(twin: MarketTwin) -> None:
    twin.cancel_nonces("buyer", 2**56 - 1, 1)
    with pytest.raises(Rejected):
        twin.cancel_nonces("buyer", 2**56, 1)


NONCES = [0, 1, 31, 32, 33, 63, 64, 255, 256, 287, 2**21 - 1, 2**21, 2**21 + 1, 2**63, 2**64 - 1]
STEPS = st.lists(
    st.one_of(
        st.sampled_from(NONCES).map(lambda n: ("open", n, 0)),
        st.tuples(st.just("cancel"), st.sampled_from([0, 1, 2**13 - 1]), st.integers(0, 2**256 - 1)),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_a_nonce_is_used_exactly_when_it_opened_or_was_cancelled(
    chain: InProcessMarket, steps: list[tuple[str, int, int]]
) -> None:
    twin = MarketTwin(chain)
    one = Quantities(cpu=1)
    offer = an_offer(capacity=Quantities(cpu=100), salt=77)
    twin.register(offer)
    rate = rate_of(offer.ask, one)
    for kind, number, mask in steps:
        if kind == "cancel":
            twin.cancel_nonces("buyer", number, mask)
        else:
            bid = a_bid(want=one, nonce=number, matcher=NOBODY)
            twin.match(offer, Order(bid=bid, rate=rate))
    spent = twin.model.state.nonces.get(party("buyer"), set())
    for nonce in [*NONCES, 2, 34, 65, 254, 300]:
        assert twin.chain.market.nonceUsed(account("buyer"), nonce) == (nonce in spent)
