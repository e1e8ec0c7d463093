import asyncio
from dataclasses import replace
from typing import cast

import pytest

from ledger.chain.client import MarketClient
from ledger.chain.typed_data import Domain, commitment, lease_id
from ledger.market.bid import Bid
from ledger.market.errors import LostRace
from ledger.market.identity import Address, BidId, Digest, LeaseId, text
from ledger.market.instructions import CommitResult, DecideReplicas, OpenClaim, RevealResult
from ledger.market.instructions import Instruction as Wish
from provider_agent.lifecycle.instructions import Claim, Commit, Decide, Reveal
from provider_agent.lifecycle.lease_state import LeaseState, Replica, ReplicaResult, Stage
from provider_agent.lifecycle.stimuli import JuryRead
from provider_agent.state_store import StateStore
from provider_agent.work.chain_effects import ChainEffects
from provider_agent.work.wishing import Wishes
from tests.factories import NOW, a_bid, a_digest, an_address, some_terms

DOMAIN = Domain(chain_id=7, market=an_address("market"))
MEMBERS = tuple(some_terms(member=number) for number in range(3))
MINE = lease_id(DOMAIN, MEMBERS[1])
RESULT = ReplicaResult(hash=a_digest("result"), salt=a_digest("salt"))
STATE = LeaseState(
    id=MINE,
    terms=MEMBERS[1],
    start=NOW,
    escrow=600,
    stage=Stage.JUDGING,
    since=0,
    retry_at=0,
    undecided=True,
    replica=Replica(agree=2, members=MEMBERS, result=RESULT),
)


class World:
    """A chain with a jury, a store with a bid, and a list of what was wished."""

    def __init__(self, state: LeaseState = STATE, *, balance: int = 0, bid: Bid | None = None) -> None:
        self.state = state
        self.balance = balance
        self.kept = bid
        self.commits: set[LeaseId] = set()
        self.results: dict[LeaseId, Digest] = {}
        self.wished: list[tuple[str, Wish]] = []
        self.effects = ChainEffects(
            DOMAIN,
            cast(MarketClient, self),
            cast(StateStore, self),
            cast(Wishes, self),
            lambda _lease: self.state,
        )

    def wish(self, key: str, wish: Wish) -> None:
        self.wished.append((key, wish))

    def bid(self, _lease: LeaseId) -> Bid | None:
        return self.kept

    def balance_of(self, _account: Address) -> int:
        return self.balance

    def commitment_of(self, lease: LeaseId) -> Digest | None:
        return a_digest("commitment") if lease in self.commits else None

    def commits_of(self, _bid: BidId) -> int:
        return len(self.commits)

    def result_of(self, lease: LeaseId) -> Digest | None:
        return self.results.get(lease)


def test_the_same_result_gives_the_same_commitment_however_often_it_is_sent() -> None:
    world = World()
    for _ in range(2):
        asyncio.run(world.effects.wish(MINE, Commit()))
    word = commitment(MINE, STATE.terms.provider, RESULT.hash, RESULT.salt)
    wish = CommitResult(lease=MINE, terms=STATE.terms, commitment=word)
    assert world.wished == [(f"commit:{text(MINE)}", wish)] * 2


def test_a_result_is_shown_with_the_salt_that_it_was_committed_with() -> None:
    world = World(bid=a_bid())
    asyncio.run(world.effects.wish(MINE, Reveal()))
    asyncio.run(world.effects.wish(MINE, Decide()))
    assert [wish for _, wish in world.wished] == [
        RevealResult(lease=MINE, bid=a_bid(), terms=STATE.terms, result=RESULT.hash, salt=RESULT.salt),
        DecideReplicas(bid_id=STATE.terms.bid, bid=a_bid(), members=MEMBERS),
    ]


@pytest.mark.parametrize("instruction", [Reveal(), Decide()])
def test_without_the_bid_nothing_is_shown_or_decided(instruction: Reveal | Decide) -> None:
    with pytest.raises(LostRace, match="bid"):
        asyncio.run(World().effects.wish(MINE, instruction))


def test_nothing_is_committed_before_there_is_a_result() -> None:
    case = Replica(agree=2, members=MEMBERS)
    with pytest.raises(LostRace, match="result"):
        asyncio.run(World(replace(STATE, replica=case)).effects.wish(MINE, Commit()))


def test_the_jury_is_read_for_all_members() -> None:
    world = World()
    world.commits = {MINE, lease_id(DOMAIN, MEMBERS[0])}
    world.results = {lease_id(DOMAIN, MEMBERS[0]): a_digest("other")}
    assert asyncio.run(world.effects.ask_jury(MINE, 9)) == JuryRead(
        at=9, committed=True, revealed=False, commits=2, results=(a_digest("other"),)
    )


@pytest.mark.parametrize(("balance", "claimed"), [(5, 30_000), (4, 20_000)])
def test_a_claim_with_a_bond_is_made_where_the_balance_can_pay_it(balance: int, claimed: int) -> None:
    world = World(balance=balance)
    asyncio.run(world.effects.wish(MINE, Claim(milliseconds=30_000, free=20_000, bond=5)))
    assert world.wished == [
        (f"claim:{text(MINE)}", OpenClaim(lease=MINE, terms=STATE.terms, milliseconds=claimed))
    ]
