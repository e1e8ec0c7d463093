"""Invariant 15: a stranger calls every function that the contracts have, with whatever may hurt most, and
nobody else can take out less than before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boa
import pytest

from contracts.loader import artifact
from ledger.market.bid import Bid
from ledger.market.events import LeaseOpened
from ledger.market.identity import Digest
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.policy import EMBEDDED
from ledger.market.withdrawal import Withdrawal
from tests.fakes.in_process_market import (
    ARTIFACTS,
    NAMES,
    NOW,
    PROVIDERS,
    Order,
    a_bid,
    account,
    an_offer,
    party,
    split,
    words_of,
)
from tests.fakes.market_twin import Claim, GangOrder, MarketTwin

ASK = rate_of(an_offer().ask, a_bid().want)
SALT = RESULT = Digest(b"r" * 32)
Arguments = Callable[["Scene"], list[Any]]


class Scene:
    """A lease in each state, none of them the stranger's."""

    def __init__(self, twin: MarketTwin) -> None:
        self.twin = twin
        for name in PROVIDERS:
            twin.register(an_offer(provider=party(name)), name)
            twin.request_unstake(name, 1_000)
        self.replicas: Bid = a_bid(members=3, flags=2 | 2 << 4, nonce=9)
        offers = [an_offer(provider=party(name)) for name in PROVIDERS]
        order = GangOrder(bid=self.replicas, members=((0, ASK), (1, ASK), (2, ASK)))
        opened = twin.match_gang(offers, order)
        self.members = [event.terms for event in opened if isinstance(event, LeaseOpened)]
        self.active, self.claimed, self.contested = (self.lease(nonce) for nonce in (1, 2, 3))
        twin.chain.advance(60)
        for terms in (self.claimed, self.contested):
            twin.claim(terms, 10_000)
        twin.contest(self.contested)
        twin.commit(self.members[0], RESULT, SALT, "provider")
        twin.set_delegate("buyer", "laptop", 3, 10**6, 2**40 - 1)

    def lease(self, nonce: int) -> LeaseTerms:
        return self.twin.open(an_offer(), Order(bid=a_bid(nonce=nonce), rate=ASK)).terms

    def receipt(self, terms: LeaseTerms, signed_by: str = "stranger") -> list[Any]:
        """Forged by default."""
        claim = Claim(terms=terms, milliseconds=60_000, last=True, signed_by=signed_by)
        return self.twin.chain.settlement_words(terms, self.twin.receipt(claim), signed_by)

    def fill(self, signed_by: str = "stranger", **changes: object) -> list[Any]:
        order = Order(bid=a_bid(**({"nonce": 20} | changes)), rate=ASK, signed_by=signed_by)
        return self.twin.chain.fill_words(order)

    def gang(self) -> list[Any]:
        bid = words_of(a_bid(nonce=21, members=2))
        signature = split(self.twin.chain.sign("Bid", bid, "stranger"))
        return [[words_of(an_offer())], [[0, ASK], [0, ASK]], bid, *signature, bytes(32)]

    def withdrawal(self) -> list[Any]:
        item = Withdrawal(
            account=party("buyer"), to=party("stranger"), amount=5, nonce=30, deadline=2**40 - 1
        )
        signature = self.twin.chain.sign("Withdraw", words_of(item), "stranger")
        return [words_of(item), *split(signature)]

    def permit(self) -> list[Any]:
        """To the stranger, of the buyer's tokens."""
        return [account("buyer"), account("stranger"), 5, 2**40, 27, bytes(32), bytes(32)]

    def worth(self) -> dict[str, tuple[int, ...]]:
        """What everybody but the stranger could take out: balance, free stake, queue, wallet."""
        market, token = self.twin.chain.market, self.twin.chain.token
        return {
            name: (
                market.balanceOf(account(name)),
                market.stakeOf(account(name)),
                market.unstakingOf(account(name))[0],
                token.balanceOf(account(name)),
            )
            for name in NAMES
            if name != "stranger"
        }


@pytest.fixture
def scene(twin: MarketTwin) -> Scene:
    return Scene(twin)


@dataclass(frozen=True, kw_only=True)
class Try:
    """One thing that a stranger tries: refused by a revert, skipped, or allowed to anybody."""

    function: str
    given: Arguments
    reverts: bool = True


def words(name: str) -> Arguments:
    return lambda s: [words_of(getattr(s, name))]


def known(s: Scene) -> list[Any]:
    return words_of(an_offer())


TRIES = [
    Try(function="market.deposit", given=lambda s: [10**18]),
    Try(
        function="market.depositWithPermit",
        given=lambda s: s.twin.chain.permit_words("buyer", 5, NOW + 999, signed_by="stranger"),
    ),
    Try(function="market.withdraw", given=lambda s: [1]),
    Try(function="market.withdrawSigned", given=Scene.withdrawal),
    Try(function="market.stake", given=lambda s: [1]),
    Try(function="market.requestUnstake", given=lambda s: [1]),
    Try(function="market.finishUnstake", given=lambda s: [account("provider")]),
    Try(function="market.pause", given=lambda s: []),
    Try(function="market.unpause", given=lambda s: []),
    Try(function="market.renounceGuardian", given=lambda s: []),
    Try(function="market.setDelegate", given=lambda s: [account("laptop"), 3, 10**9, NOW], reverts=False),
    Try(function="market.registerOffer", given=lambda s: [words_of(an_offer(salt=7))]),
    Try(function="market.registerOffers", given=lambda s: [[words_of(an_offer(salt=7))]]),
    Try(function="market.cancelOffer", given=lambda s: [known(s)]),
    Try(function="market.bumpEpoch", given=lambda s: [], reverts=False),
    Try(function="market.cancelNonces", given=lambda s: [0, 2**256 - 1], reverts=False),
    Try(function="market.matchBid", given=lambda s: [known(s), s.fill()], reverts=False),
    Try(function="market.matchBids", given=lambda s: [[known(s)], [s.fill()], bytes(32)], reverts=False),
    Try(function="market.matchGang", given=Scene.gang, reverts=False),
    Try(
        function="market.continueLease",
        given=lambda s: [
            s.receipt(s.active, "signer"),
            known(s),
            s.fill(continues=s.twin.chain.lease_id(s.active)),
        ],
    ),
    Try(function="market.settle", given=lambda s: [s.receipt(s.active)], reverts=False),
    Try(function="market.settleMany", given=lambda s: [[s.receipt(s.active)]], reverts=False),
    Try(function="market.release", given=words("active")),
    Try(function="market.terminate", given=words("active")),
    Try(function="market.close", given=words("active")),
    Try(function="market.closeMany", given=lambda s: [[words_of(s.active)]], reverts=False),
    Try(function="market.claim", given=lambda s: [words_of(s.active), 10_000]),
    Try(function="market.contest", given=words("claimed")),
    Try(function="market.decide", given=lambda s: [words_of(s.contested), 0, 1]),
    Try(function="market.finalize", given=words("contested")),
    Try(function="market.judge", given=lambda s: [words_of(s.members[0]), True]),
    Try(function="jury.bind", given=lambda s: []),
    Try(function="jury.commit", given=lambda s: [words_of(s.members[1]), RESULT]),
    Try(
        function="jury.reveal",
        given=lambda s: [words_of(s.replicas), words_of(s.members[0]), RESULT, SALT],
    ),
    Try(
        function="jury.decide",
        given=lambda s: [words_of(s.replicas), [words_of(terms) for terms in s.members]],
    ),
    Try(function="token.transfer", given=lambda s: [account("rival"), 10**18]),
    Try(function="token.transferFrom", given=lambda s: [account("buyer"), account("stranger"), 1]),
    Try(function="token.approve", given=lambda s: [account("rival"), 1], reverts=False),
    Try(function="token.permit", given=Scene.permit),
]


@pytest.mark.parametrize("tried", TRIES, ids=lambda tried: tried.function)
def test_a_stranger_takes_nothing_from_anybody(scene: Scene, tried: Try) -> None:
    role, _, function = tried.function.partition(".")
    before = scene.worth()
    arguments = tried.given(scene)
    reverted = False
    try:
        scene.twin.chain.send(role, function, *arguments, sender=account("stranger"))
    except boa.BoaError:
        reverted = True
    assert reverted is tried.reverts
    assert scene.worth() == before
    assert scene.twin.chain.view("market", "guardian") == account("guardian")


def test_every_function_that_changes_anything_was_tried() -> None:
    changing = {
        f"{role}.{entry['name']}"
        for role, name in ARTIFACTS.items()
        for entry in artifact(name).abi
        if entry["type"] == "function" and entry["stateMutability"] in ("nonpayable", "payable")
    }
    assert {tried.function for tried in TRIES} == changing


ALLOWED = {
    "finishUnstake": lambda s: [account("provider")],
    "settle": lambda s: [s.receipt(s.active, "signer")],
    "settleMany": lambda s: [[s.receipt(s.active, "signer")]],
    "close": words("active"),
    "closeMany": lambda s: [[words_of(s.active)]],
    "finalize": words("claimed"),
}
"""What anybody may do once it is time, for whoever forgot it."""


@pytest.mark.parametrize("function", ALLOWED)
def test_what_a_stranger_may_do_lowers_nobodys_worth(scene: Scene, function: str) -> None:
    if not function.startswith("settle"):
        scene.twin.chain.advance(a_bid().duration + EMBEDDED.arbitration_window)
    before = scene.worth()
    scene.twin.chain.call(function, *ALLOWED[function](scene), sender="stranger")
    after = scene.worth()
    assert all(
        now >= then for name in before for now, then in zip(after[name], before[name], strict=True)
    ) or (
        # The queue moved to the balance.
        function == "finishUnstake" and sum(after["provider"]) == sum(before["provider"])
    )
    assert after != before
    assert scene.twin.chain.view("market", "balanceOf", account("stranger")) == 0
