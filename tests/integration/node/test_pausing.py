"""While the guardian keeps the market paused, the node takes and opens nothing new; what rests is kept."""

import pytest

from ledger.market.errors import Unavailable
from ledger.market.lifecycle import JobState
from tests.factories import a_job
from tests.fakes.node_twin import NODE, NodeTwin


def test_a_submit_is_put_off_and_nothing_is_kept(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.pending += node.model.pause(NODE.address, node.now)
    node.seal()
    order = node.order()
    with pytest.raises(Unavailable) as refused:
        node.exchange.submit(order, 600, node.now)
    assert refused.value.code == "market-paused"
    assert node.books.queries.job(order.id) is None


def test_what_rested_before_is_opened_once_the_pause_is_over(node: NodeTwin) -> None:
    offer = node.lend()
    node.seal()
    job = node.submit(a_job(), wait=600)
    node.pending += node.model.pause(NODE.address, node.now)
    node.seal()
    node.beat(offer)
    assert node.job(job).state is JobState.RESTING
    node.pending += node.model.unpause(NODE.address, node.now)
    node.seal()
    assert node.job(job).state is JobState.OPENING
