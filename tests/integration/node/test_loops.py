from collections.abc import Sequence
from typing import Literal

import pytest

from ledger.chain.follower import Follower
from ledger.chain.outcomes import Outcome
from ledger.market.errors import LostRace, Unavailable
from ledger.market.events import BlockRef, LeaseOpened, Logged
from ledger.market.facts import ChainObserved
from ledger.market.lifecycle import JobState
from ledger.market.outbox import IntentState
from ledger.market.policy import EMBEDDED
from node.loops import Following, Sending
from node.trading.wishing import MARGIN_SECONDS
from tests.factories import an_address
from tests.fakes.node_twin import BUYER, GENESIS, NodeTwin


class Blocks:
    """The twin's blocks as a chain to follow."""

    def __init__(self, blocks: list[ChainObserved]) -> None:
        self.blocks = blocks

    def block(self, which: int | Literal["latest", "finalized"]) -> BlockRef:
        chain = [GENESIS, *(one.block for one in self.blocks)]
        if which == "latest":
            return chain[-1]
        if which == "finalized" or which >= len(chain):
            raise LostRace("no-block", "There is no such block.", "Look again.")
        return chain[which]

    def logs_at_once(self, first: int, last: int) -> Sequence[Logged]:
        return [event for one in self.blocks[first - 1 : last] for event in one.events]

    def logs_of(self, block_hash: bytes) -> Sequence[Logged]:
        return next(one.events for one in self.blocks if one.block.hash == block_hash)


class SilentOutbox:
    """An outbox whose chain does not answer."""

    def step(self, at: int) -> int:
        raise Unavailable("rpc-unreachable", "The chain does not answer.", "Wait.")


def following(node: NodeTwin, opened: list[LeaseOpened]) -> Following:
    follower = Follower(Blocks(node.blocks))
    return Following(node.books, follower, node.exchange, node.track_records, 1, opened.append)


def test_following_tells_each_opening_once_and_goes_on_after_a_restart(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.sealed()
    opened: list[LeaseOpened] = []
    assert following(node, opened).step(node.now) is False
    job = node.submit()
    node.mine()
    node.sealed()

    following(node, opened).step(node.now)
    following(node, opened).step(node.now)

    assert [event.id for event in opened] == list(node.job(job).leases)
    assert node.job(job).state is JobState.STARTING
    assert node.books.queries.cursor() is not None


def test_plans_fail_even_while_the_chain_is_silent(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    job = node.submit(wait=600)
    (wish,) = node.wishes()
    node.settle(wish, Outcome(intent=wish.id, state=IntentState.FAILED, detail="CAPACITY"))
    with pytest.raises(Unavailable):
        Sending(node.books, SilentOutbox(), node.exchange).step(node.now)
    assert node.job(job).state is JobState.RESTING


def test_reputations_are_in_step_with_what_was_followed(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    node.exchange.submit(node.order(signer=BUYER.address), 0, node.now)
    node.mine()
    node.seal()
    node.now += 600 + EMBEDDED.grace + MARGIN_SECONDS
    node.settlement.sweep(node.now)
    node.mine()
    node.sealed()
    provider = an_address("provider")
    assert node.track_records.reputation(provider, node.now).no_shows == 0
    following(node, []).step(node.now)
    assert node.track_records.reputation(provider, node.now).no_shows == 1
    node.restart()
    assert node.track_records.reputation(provider, node.now).no_shows == 1
