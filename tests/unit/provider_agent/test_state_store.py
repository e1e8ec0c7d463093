from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain.follower import FollowCursor
from ledger.market.errors import Unavailable
from ledger.market.events import BlockRef
from ledger.market.facts import OutputFile
from ledger.market.identity import LeaseId, OfferId
from ledger.market.policy import EMBEDDED
from ledger.market.receipt import SignedReceipt, UsageReceipt
from provider_agent.lifecycle.lease_state import Ending, LeaseState, Replica, ReplicaResult, Stage
from provider_agent.state_store import Sample, StateStore
from tests.factories import a_bid, a_digest, a_job, an_offer, some_terms

LEASE = LeaseId(a_digest("lease"))
RECEIPT = SignedReceipt(
    receipt=UsageReceipt(lease=LEASE, milliseconds=5, evidence=a_digest("e"), last=True), signature=bytes(64)
)
PLAIN = LeaseState(id=LEASE, terms=some_terms(), start=1, escrow=2, stage=Stage.SEEN, since=3, retry_at=4)
FULL = replace(
    PLAIN,
    stage=Stage.SETTLING,
    ending=Ending(code="a", cause="b"),
    receipt=RECEIPT,
    outputs=(OutputFile(path="a", sha256="ab" * 32, size=1),),
    missing=("b",),
    exit_code=0,
    ended_after=9,
    adopted=LeaseId(a_digest("first")),
    remark=Ending(code="c", cause="d"),
    replica=Replica(
        agree=2,
        members=(some_terms(), some_terms()),
        result=ReplicaResult(hash=a_digest("result"), salt=a_digest("salt")),
        results=(a_digest("result"),),
    ),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    opened = StateStore(tmp_path / "agent.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("state", [PLAIN, FULL])
def test_a_state_comes_back_as_it_was_also_after_a_restart(tmp_path: Path, state: LeaseState) -> None:
    first = StateStore(tmp_path / "agent.db")
    first.save(state, 7)
    second = StateStore(tmp_path / "agent.db")
    assert second.present() == {LEASE: state}
    for one in (first, second):
        one.close()


def test_a_lease_that_is_gone_is_remembered_but_not_present(store: StateStore) -> None:
    store.save(replace(PLAIN, stage=Stage.GONE))
    assert store.present() == {}
    assert store.lease(LEASE) is not None
    assert store.lease(LeaseId(a_digest("other"))) is None


def test_leases_above_a_block_are_found_for_a_reorganisation(store: StateStore) -> None:
    store.save(PLAIN, 7)
    store.save(FULL)
    assert (store.opened_above(6), store.opened_above(7)) == ([LEASE], [])


def test_job_devices_and_samples_stay_with_their_lease(store: StateStore) -> None:
    store.save(PLAIN)
    assert (store.job(LEASE), store.devices(LEASE), store.sample(LEASE)) == (None, (), Sample())
    store.keep_job(LEASE, a_job(), ("nvidia.com/gpu=a",))
    store.keep_sample(LEASE, Sample(cpu_ns=5, peak_bytes=9))
    store.keep_sample(LEASE, Sample(cpu_ns=7, peak_bytes=3))
    store.save(FULL)
    assert (store.job(LEASE), store.devices(LEASE)) == (a_job(), ("nvidia.com/gpu=a",))
    assert store.sample(LEASE) == Sample(cpu_ns=7, peak_bytes=9)


def test_a_bid_stays_with_its_lease(store: StateStore) -> None:
    store.save(PLAIN)
    assert store.bid(LEASE) is None
    store.keep_bid(LEASE, a_bid())
    assert store.bid(LEASE) == a_bid()


def test_a_lease_begins_with_what_the_one_before_it_had(store: StateStore) -> None:
    other = LeaseId(a_digest("next"))
    store.save(PLAIN)
    store.keep_job(LEASE, a_job(), ("nvidia.com/gpu=a",))
    store.keep_sample(LEASE, Sample(cpu_ns=5, peak_bytes=9))
    store.save(replace(PLAIN, id=other))
    store.inherit(other, LEASE)
    assert (store.job(other), store.devices(other)) == (a_job(), ("nvidia.com/gpu=a",))
    assert store.sample(other) == Sample(cpu_ns=5, peak_bytes=9)


def test_earnings_count_each_lease_once(store: StateStore) -> None:
    store.save(PLAIN)
    for paid in (3, 8, 8):
        store.keep_paid(LEASE, paid)
    assert store.earned() == 8
    assert store.payments() == [8]


def test_cursor_policy_and_offers_come_back(store: StateStore) -> None:
    assert (store.cursor(), store.policy(), store.offers()) == (None, None, {})
    block = BlockRef(number=1, hash=b"\x01" * 32, parent=b"\x02" * 32, at=3)
    store.keep_cursor(FollowCursor(block=block, tail=(block,)))
    store.keep_policy(EMBEDDED)
    name, offer = OfferId(a_digest("offer")), an_offer()
    store.keep_offer(name, offer, registered=False)
    store.keep_offer(name, offer, registered=True)
    store.keep_offer(name, offer, registered=False)
    assert store.cursor() == FollowCursor(block=block, tail=(block,))
    assert (store.policy(), store.offers()) == (EMBEDDED, {name: (offer, True)})
    store.forget_offer(name)
    assert store.offers() == {}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be opened"):
        StateStore(tmp_path / "file" / "agent.db")
