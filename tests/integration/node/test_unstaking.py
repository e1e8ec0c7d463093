import pytest

from ledger.market.instructions import FinishUnstake
from ledger.market.outbox import TxIntent
from ledger.market.policy import EMBEDDED
from node.trading.unstaking import LOOK_SECONDS, Unstaking
from node.trading.wishing import MARGIN_SECONDS
from tests.factories import an_address
from tests.fakes.node_twin import BUYER, STAKE, NodeTwin

PROVIDER = an_address("provider")


@pytest.fixture
def unlock_at(node: NodeTwin) -> int:
    """A provider of this node asked for half of its stake; when it may have that."""
    node.lend()
    node.pending += node.model.request_unstake(PROVIDER, STAKE // 2, node.now)
    node.seal()
    return node.now + EMBEDDED.unstake_delay


def swept(node: NodeTwin, at: int) -> list[TxIntent]:
    Unstaking(node.books).sweep(at)
    return node.wishes()


def test_a_ripe_unstake_is_finished_once(node: NodeTwin, unlock_at: int) -> None:
    assert swept(node, unlock_at + MARGIN_SECONDS - 1) == []
    node.now = unlock_at + MARGIN_SECONDS
    for _ in range(2):
        (wish,) = swept(node, node.now)
        assert wish.instruction == FinishUnstake(account=PROVIDER)
    node.mine()
    node.seal()
    assert node.balance_of(PROVIDER) == STAKE // 2
    assert swept(node, node.now + 3_600) == []


def test_a_further_request_starts_the_clock_again(node: NodeTwin, unlock_at: int) -> None:
    node.now = unlock_at - 1
    node.pending += node.model.request_unstake(PROVIDER, 1, node.now)
    node.seal()
    assert swept(node, unlock_at + MARGIN_SECONDS) == []
    assert len(swept(node, node.now + EMBEDDED.unstake_delay + MARGIN_SECONDS)) == 1


def test_who_does_not_lend_here_is_left_to_itself(node: NodeTwin) -> None:
    node.pending += node.model.stake(BUYER.address, 1_000)
    node.pending += node.model.request_unstake(BUYER.address, 1_000, node.now)
    node.seal()
    assert swept(node, node.now + EMBEDDED.unstake_delay + MARGIN_SECONDS) == []


def test_the_stakes_are_not_read_with_every_sweep(node: NodeTwin, unlock_at: int) -> None:
    unstaking, early = Unstaking(node.books), unlock_at + MARGIN_SECONDS - 1
    unstaking.sweep(early)
    unstaking.sweep(early + 1)
    assert node.wishes() == []
    unstaking.sweep(early + LOOK_SECONDS)
    assert len(node.wishes()) == 1
