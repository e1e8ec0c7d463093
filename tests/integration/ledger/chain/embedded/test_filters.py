"""Filters are forgotten when nobody polls them, and there are never too many."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.filters import IDLE_SECONDS, MAX_FILTERS, Filters
from ledger.chain.embedded.grid import initialise, open_chain
from ledger.chain.embedded.rpc_error import RpcError


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    initialise(tmp_path, chain_id=77, at=int(time.time()), faucet_key=b"\x05" * 32)
    opened = open_chain(tmp_path, time.time)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def filters(chain: EmbeddedChain, clock: Clock) -> Filters:
    numbers = count()
    return Filters(chain, lambda wanted: [wanted], clock, lambda: hex(next(numbers)))


def test_a_filter_that_is_polled_stays(filters: Filters, chain: EmbeddedChain, clock: Clock) -> None:
    key = filters.new_block_filter()
    for _ in range(3):
        clock.now += IDLE_SECONDS
        sealed = chain.seal(empty=True)
        assert sealed is not None
        assert filters.changes(key) == [f"0x{sealed.hash.hex()}"]


def test_a_filter_that_nobody_polls_is_forgotten(filters: Filters, clock: Clock) -> None:
    key = filters.new_block_filter()
    clock.now += IDLE_SECONDS + 1
    with pytest.raises(RpcError, match="filter not found"):
        filters.changes(key)


def test_there_are_only_so_many_until_old_ones_go(filters: Filters, clock: Clock) -> None:
    for _ in range(MAX_FILTERS):
        filters.new_pending_filter()
    with pytest.raises(RpcError) as refusal:
        filters.new_pending_filter()
    assert refusal.value.code == -32005
    clock.now += IDLE_SECONDS + 1
    assert filters.new_pending_filter()


def test_all_logs_of_a_filter_are_asked_for_as_it_was_given(filters: Filters) -> None:
    wanted = {"fromBlock": "0x0", "topics": []}
    assert filters.filter_logs(filters.new_filter(wanted)) == [wanted]
    with pytest.raises(RpcError, match="filter not found"):
        filters.filter_logs(filters.new_block_filter())


@pytest.mark.parametrize("wanted", [{"blockHash": "0x" + "11" * 32}, {"fromBlock": "soon"}, None])
def test_what_cannot_be_followed_is_refused(filters: Filters, wanted: object) -> None:
    with pytest.raises(RpcError) as refusal:
        filters.new_filter(wanted)
    assert refusal.value.code == -32602


def test_whole_transactions_are_not_offered(filters: Filters) -> None:
    with pytest.raises(RpcError, match="not offered"):
        filters.new_pending_filter(True)
