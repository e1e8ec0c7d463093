"""Orders that a delegate signed: what the buyer's money may be spent on by a key that is not the buyer's."""

from hashlib import sha256
from typing import Any

import pytest

from ledger.chain.keys import LocalKey
from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.job import Gang, Job
from ledger.market.lifecycle import JobState
from node.trading.admission import Order
from node.trading.resting import INCLUSION_SECONDS
from tests.factories import HOUR, a_job
from tests.fakes.node_twin import BUYER, NodeTwin

LAPTOP = LocalKey(sha256(b"laptop").digest())


def allow(node: NodeTwin, allowance: int = 834, roles: int = Role.SPEND, until: int | None = None) -> None:
    node.pending += node.model.set_delegate(
        BUYER.address, LAPTOP.address, roles, allowance, node.now + HOUR if until is None else until
    )
    node.seal()


def order(node: NodeTwin, job: Job | None = None, **changes: Any) -> Order:
    """Signed by the laptop for the buyer."""
    return node.order(job or a_job(), LAPTOP, behalf=BUYER.address, **changes)


def code_of(node: NodeTwin, one: Order) -> str:
    with pytest.raises(Rejected) as caught:
        node.exchange.submit(one, 600, node.now)
    assert node.books.queries.jobs() == []
    return caught.value.code


def test_a_delegates_bid_is_the_buyers_and_opens(node: NodeTwin) -> None:
    node.beat(node.lend())
    allow(node)
    job = node.exchange.submit(order(node), 0, node.now).job
    row = node.job(job)
    assert (row.buyer, row.delegate) == (BUYER.address, LAPTOP.address)
    node.mine()
    node.seal()
    assert node.job(job).state is JobState.STARTING
    assert node.delegation_of(BUYER.address, LAPTOP.address).allowance == 834 - 184


def test_a_stranger_an_operator_and_a_revoked_key_sign_nothing(node: NodeTwin) -> None:
    assert code_of(node, order(node)) == "bad-signature"
    allow(node, roles=Role.OPERATE)
    assert code_of(node, order(node)) == "bad-signature"
    allow(node)
    allow(node, roles=0, allowance=0, until=0)
    assert code_of(node, order(node)) == "bad-signature"


def test_a_key_that_expires_before_the_match_is_mined_signs_nothing(node: NodeTwin) -> None:
    allow(node, until=node.now + INCLUSION_SECONDS - 1)
    assert code_of(node, order(node)) == "delegate-expired"
    allow(node, until=node.now + INCLUSION_SECONDS)
    node.exchange.submit(order(node), 600, node.now)


def test_the_allowance_covers_the_limit_of_all_members_beside_what_rests(node: NodeTwin) -> None:
    allow(node, 833)
    assert code_of(node, order(node)) == "allowance-too-small"
    allow(node, 3 * 834 - 1)
    assert code_of(node, order(node, a_job(gang=Gang(members=3)))) == "allowance-too-small"
    node.exchange.submit(order(node, a_job(gang=Gang(members=2))), 600, node.now)
    with pytest.raises(Rejected) as caught:
        node.exchange.submit(order(node), 600, node.now)
    assert caught.value.facts == {"needed": "834", "left": "833"}


def test_what_the_buyer_signed_itself_takes_nothing_of_the_allowance(node: NodeTwin) -> None:
    allow(node)
    node.submit(wait=600)
    node.exchange.submit(order(node), 600, node.now)


def test_the_delegate_is_a_party_of_the_document(node: NodeTwin) -> None:
    allow(node)
    one = order(node)
    node.exchange.submit(one, 600, node.now)
    assert node.books.queries.parties(one.ways[0].document) == {BUYER.address, LAPTOP.address}
