"""Whatever the token does, the market owes nobody more than it holds, or the call reverts whole."""

from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any

import boa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.market.events import Deposited, LeaseOpened, MarketEvent, Withdrawn
from ledger.market.identity import NOBODY, Address
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.policy import EMBEDDED
from ledger.market.receipt import UsageReceipt
from ledger.market.state import MarketState
from ledger.market.withdrawal import Withdrawal
from tests.fakes.hostile_tokens import HOOKS, MOODS, HostileToken, a_hostile_token
from tests.fakes.in_process_market import (
    NAMES,
    NOW,
    PROVIDERS,
    PURSE,
    STAKE,
    SUPPLY,
    InProcessMarket,
    Order,
    a_bid,
    account,
    an_offer,
    party,
    split,
    words_of,
)

ASK = rate_of(an_offer().ask, a_bid().want)
DURATION = a_bid().duration


class HostileMarket:
    """A market of a hostile token: funded while it was honest; every event is folded into `state`."""

    def __init__(self, token: HostileToken) -> None:
        self.token = token
        self.chain = InProcessMarket(token=token.contract)
        self.state = MarketState()
        self.state.apply(self.chain.deployed, NOW)
        token.tell(self.chain.deployer, SUPPLY)
        for name in NAMES:
            self.chain.send("token", "transfer", account(name), 3 * STAKE, sender=self.chain.deployer)
            self.chain.send("token", "approve", self.address, 2**256 - 1, sender=account(name))
        self.do("deposit", PURSE, sender="buyer")
        for name in PROVIDERS:
            self.do("deposit", 2 * STAKE, sender=name)
            self.do("stake", STAKE, sender=name)
        self.do("registerOffer", words_of(an_offer()), sender="provider")
        order = Order(bid=a_bid(), rate=ASK)
        events = self.do("matchBid", words_of(an_offer()), self.chain.fill_words(order), sender="matcher")
        (opened,) = [event for event in events if isinstance(event, LeaseOpened)]
        self.terms: LeaseTerms = opened.terms

    def afresh(self) -> "HostileMarket":
        """The same one with a state of its own: boa puts the chain back after each test, not Python."""
        mine = copy(self)
        mine.state = deepcopy(self.state)
        return mine

    @property
    def address(self) -> str:
        return str(self.chain.market.address)

    def do(self, function: str, *arguments: object, sender: str) -> list[MarketEvent]:
        """One call; what it logged is folded. A revert is `boa.BoaError`, and left nothing behind."""
        events = self.chain.call(function, *arguments, sender=sender)
        for event in events:
            self.state.apply(event, self.chain.at)
        return events

    def refused(self, function: str, *arguments: object, sender: str) -> bool:
        """Whether the call reverts; then nobody's balance has changed."""
        before = self.balances(), self.held()
        try:
            self.do(function, *arguments, sender=sender)
        except boa.BoaError:
            assert (self.balances(), self.held()) == before
            return True
        return False

    def balances(self) -> dict[str, int]:
        return {name: int(self.chain.view("market", "balanceOf", account(name))) for name in NAMES}

    def held(self) -> int:
        """What the token says that the market holds."""
        return int(self.token.contract.balanceOf(self.address))

    def calldata(self, function: str, *arguments: object, on: str = "market") -> bytes:
        shaped = self.chain.shaped(on, function, arguments)
        return bytes(getattr(getattr(self.chain, on), function).prepare_calldata(*shaped))

    def assert_solvent(self) -> None:
        """1 and 12: what the events add up to is what the contract says, and all of it is there."""
        owed = self.state.balances
        assert self.balances() == {name: owed.get(party(name), 0) for name in NAMES}
        assert self.state.held() <= self.held()


@pytest.fixture(scope="module")
def staged() -> dict[bool, HostileMarket]:
    """Of a token that answers, and of one that returns nothing."""
    return {answers: HostileMarket(a_hostile_token(answers=answers)) for answers in (True, False)}


@pytest.fixture(params=[True, False], ids=["answers", "returns nothing"])
def market(staged: dict[bool, HostileMarket], request: pytest.FixtureRequest) -> HostileMarket:
    return staged[request.param].afresh()


@pytest.fixture
def hostile(staged: dict[bool, HostileMarket]) -> HostileMarket:
    return staged[True].afresh()


def test_a_token_of_either_kind_goes_in_and_comes_out(market: HostileMarket) -> None:
    market.do("deposit", 500, sender="stranger")
    market.do("withdraw", 500, sender="stranger")
    market.assert_solvent()
    assert market.state.held() == market.held()


@pytest.mark.parametrize("fee", [1, 100, 9_999, 10_000])
def test_a_fee_on_transfer_is_the_depositors_loss_alone(market: HostileMarket, fee: int) -> None:
    market.token.be("honest", fee)
    arrived = 10_000 - 10_000 * fee // 10_000
    if not arrived:
        assert market.refused("deposit", 10_000, sender="stranger")
        return
    (deposited,) = market.do("deposit", 10_000, sender="stranger")
    assert deposited == Deposited(account=party("stranger"), amount=arrived)
    market.assert_solvent()
    assert market.refused("withdraw", 10_000, sender="stranger") is (arrived < 10_000)
    market.assert_solvent()


@pytest.mark.parametrize("mood", ["reverts", "says no", "moves and says no"])
def test_a_refusal_takes_the_whole_call_back(hostile: HostileMarket, mood: str) -> None:
    hostile.token.be(mood)
    assert hostile.refused("deposit", 500, sender="stranger")
    assert hostile.refused("withdraw", 500, sender="buyer")
    item = withdrawal()
    signature = split(hostile.chain.sign("Withdraw", words_of(item), "buyer"))
    assert hostile.refused("withdrawSigned", words_of(item), *signature, sender="stranger")
    assert not hostile.chain.view("market", "nonceUsed", account("buyer"), item.nonce)
    hostile.token.be("honest")
    hostile.do("withdrawSigned", words_of(item), *signature, sender="stranger")
    hostile.assert_solvent()


def withdrawal() -> Withdrawal:
    return Withdrawal(account=party("buyer"), to=party("laptop"), amount=5, nonce=77, deadline=NOW + 60)


def test_a_token_that_moves_nothing_credits_nothing(market: HostileMarket) -> None:
    market.token.be("moves nothing")
    assert market.refused("deposit", 500, sender="stranger")
    market.do("withdraw", 500, sender="buyer")
    market.assert_solvent()


def test_a_refusing_token_does_not_stop_settling(hostile: HostileMarket) -> None:
    """Pull payments: what is paid needs no transfer, so no receiver and no token holds a lease up."""
    hostile.token.be("reverts")
    hostile.chain.advance(DURATION + EMBEDDED.grace)
    hostile.do("close", words_of(hostile.terms), sender="stranger")
    hostile.assert_solvent()


@pytest.mark.parametrize("told", [0, 1, 2**88 - 1, 2**88, 2**256 - 1])
def test_a_lie_about_what_the_market_holds_credits_no_more_than_was_asked(
    hostile: HostileMarket, told: int
) -> None:
    lie = bytes(hostile.token.contract.tell.prepare_calldata(hostile.address, told))
    before = hostile.held()
    hostile.token.arm("transferFrom, afterwards", str(hostile.token.contract.address), lie)
    if hostile.refused("deposit", 500, sender="stranger"):
        assert told <= before or told >= 2**88
        assert hostile.held() == before
    else:
        assert hostile.balances()["stranger"] == 500


def test_a_lie_before_does_not_lift_a_balance_over_its_88_bits(hostile: HostileMarket) -> None:
    hostile.token.tell(hostile.address, 2**88 - 400)
    assert hostile.refused("deposit", 500, sender="stranger")
    hostile.token.tell(hostile.address, 2**256 - 100)
    assert hostile.refused("deposit", 500, sender="stranger")


# Calling back.


@dataclass(frozen=True, kw_only=True)
class CallBack:
    """A call that an attacker's token makes in the midst of another; good at any other time."""

    function: str
    arguments: Callable[[HostileMarket], list[Any]]
    contract: str = "market"


def own_offer(m: HostileMarket) -> list[Any]:
    return words_of(an_offer(provider=Address(bytes.fromhex(str(m.token.contract.address)[2:]))))


def open_fill(m: HostileMarket, **changes: object) -> list[Any]:
    bid = a_bid(nonce=5, matcher=NOBODY, **changes)
    return m.chain.fill_words(Order(bid=bid, rate=ASK))


def gang(m: HostileMarket) -> list[Any]:
    bid = words_of(a_bid(nonce=5, matcher=NOBODY, members=2))
    signature = split(m.chain.sign("Bid", bid, "buyer"))
    return [[words_of(an_offer())], [[0, ASK]] * 2, bid, *signature, bytes(32)]


def receipt(m: HostileMarket, *, last: bool = False) -> list[Any]:
    signed = UsageReceipt(
        lease=m.chain.lease_id(m.terms), milliseconds=9_000, evidence=an_offer().document, last=last
    )
    return m.chain.settlement_words(m.terms, signed)


def following(m: HostileMarket) -> list[Any]:
    fill = open_fill(m, continues=m.chain.lease_id(m.terms))
    return [receipt(m, last=True), words_of(an_offer()), fill]


def signed_out(m: HostileMarket) -> list[Any]:
    item = withdrawal()
    return [words_of(item), *split(m.chain.sign("Withdraw", words_of(item), "buyer"))]


CALL_BACKS = [
    CallBack(function="deposit", arguments=lambda m: [5]),
    CallBack(function="depositWithPermit", arguments=lambda m: m.chain.permit_words("laptop", 5, NOW + 60)),
    CallBack(function="withdraw", arguments=lambda m: [5]),
    CallBack(function="withdrawSigned", arguments=signed_out),
    CallBack(function="stake", arguments=lambda m: [5]),
    CallBack(function="requestUnstake", arguments=lambda m: [5]),
    CallBack(function="setDelegate", arguments=lambda m: [account("laptop"), 1, 5, NOW]),
    CallBack(function="registerOffer", arguments=lambda m: [own_offer(m)]),
    CallBack(function="registerOffers", arguments=lambda m: [[own_offer(m)]]),
    CallBack(function="bumpEpoch", arguments=lambda m: []),
    CallBack(function="cancelNonces", arguments=lambda m: [0, 1]),
    CallBack(function="matchBid", arguments=lambda m: [words_of(an_offer()), open_fill(m)]),
    CallBack(function="matchBids", arguments=lambda m: [[words_of(an_offer())], [open_fill(m)], bytes(32)]),
    CallBack(function="matchGang", arguments=gang),
    CallBack(function="continueLease", arguments=following),
    CallBack(function="settle", arguments=lambda m: [receipt(m)]),
    CallBack(function="settleMany", arguments=lambda m: [[receipt(m)]]),
    CallBack(function="closeMany", arguments=lambda m: [[words_of(m.terms)]]),
]


@pytest.fixture
def armed(hostile: HostileMarket) -> HostileMarket:
    """The attacker's token is an account of the market, too: with a balance, a stake and an approval."""
    token, at = hostile.token, str(hostile.token.contract.address)
    token.tell(at, 2 * 10**6)
    token.act(at, bytes(token.contract.approve.prepare_calldata(hostile.address, 2**256 - 1)))
    token.act(hostile.address, hostile.calldata("deposit", 10**6))
    token.act(hostile.address, hostile.calldata("stake", 10**5))
    return hostile


@pytest.mark.parametrize("back", CALL_BACKS, ids=lambda back: back.function)
@pytest.mark.parametrize("hook", HOOKS)
def test_a_call_back_in_the_midst_of_a_call_does_nothing(
    armed: HostileMarket, back: CallBack, hook: str
) -> None:
    armed.token.arm(hook, armed.address, armed.calldata(back.function, *back.arguments(armed)))
    mine = int(armed.chain.view("market", "balanceOf", armed.token.contract.address))
    if hook.startswith("transferFrom"):
        events = armed.do("deposit", 500, sender="stranger")
    elif hook == "permit":
        words = armed.chain.permit_words("stranger", 500, NOW + 60)
        events = armed.do("depositWithPermit", *words, sender="rival")
    else:
        events = armed.do("withdraw", 500, sender="buyer")
    assert armed.token.strikes() == (1, 0)
    outgoing = hook in ("transfer", "transfer, afterwards")
    assert [type(event) for event in events] == [Withdrawn if outgoing else Deposited]
    assert int(armed.chain.view("market", "balanceOf", armed.token.contract.address)) == mine
    owed = armed.state.balances
    assert armed.balances() == {name: owed.get(party(name), 0) for name in NAMES}
    # The token's own account is none of `state`: its million is held beside it.
    assert armed.state.held() + 10**6 == armed.held()


@pytest.mark.parametrize("back", CALL_BACKS, ids=lambda back: back.function)
def test_the_same_call_at_another_time_goes_through(armed: HostileMarket, back: CallBack) -> None:
    """So it was the lock that stopped it, and nothing else."""
    armed.token.act(armed.address, armed.calldata(back.function, *back.arguments(armed)))


def test_the_jury_cannot_be_used_to_come_back_in(hostile: HostileMarket) -> None:
    offers = [an_offer(provider=party(name), salt=9) for name in PROVIDERS]
    for name, offer in zip(PROVIDERS, offers, strict=True):
        hostile.do("registerOffer", words_of(offer), sender=name)
    bid = a_bid(nonce=6, members=3, flags=2 | 2 << 4)
    signature = split(hostile.chain.sign("Bid", words_of(bid), "buyer"))
    events = hostile.do(
        "matchGang",
        [words_of(offer) for offer in offers],
        [[index, ASK] for index in range(3)],
        words_of(bid),
        *signature,
        bytes(32),
        sender="matcher",
    )
    members = [words_of(event.terms) for event in events if isinstance(event, LeaseOpened)]
    hostile.chain.advance(DURATION + 2 * EMBEDDED.receipt_interval + 1)
    decide = hostile.calldata("decide", words_of(bid), members, on="jury")
    hostile.token.arm("transferFrom", str(hostile.chain.jury.address), decide)
    hostile.do("deposit", 500, sender="stranger")
    assert hostile.token.strikes() == (1, 0)
    hostile.token.act(str(hostile.chain.jury.address), decide)


steps = st.lists(
    st.tuples(
        st.sampled_from(sorted(MOODS)),
        st.sampled_from((0, 0, 100, 10_000)),
        st.sampled_from(("deposit", "withdraw", "stake", "requestUnstake")),
        st.sampled_from(("buyer", "provider", "stranger")),
        st.sampled_from((1, 999, 10**6, 10**9)),
        st.sampled_from(("", "", *HOOKS)),
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=steps)
def test_the_law_of_conservation_holds_whatever_the_token_does(
    hostile: HostileMarket, drawn: list[tuple[str, int, str, str, int, str]]
) -> None:
    market = hostile.afresh()
    for mood, fee, function, sender, amount, hook in drawn:
        market.token.be(mood, fee)
        if hook:
            market.token.arm(hook, market.address, market.calldata("withdraw", 5))
        market.refused(function, amount, sender=sender)
        market.assert_solvent()
