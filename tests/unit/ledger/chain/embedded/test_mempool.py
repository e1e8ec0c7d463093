"""What waits keeps its order and gives way only to a better offer."""

from collections import defaultdict

import pytest
from eth.vm.forks.prague import PragueVM
from eth_typing import Address
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.embedded.mempool import Mempool
from ledger.chain.embedded.transactions import PooledTransaction
from ledger.market.errors import LostRace, Rejected, Unavailable

ANA, BEN = b"\x0a" * 20, b"\x0b" * 20
UNSIGNED = PragueVM.get_transaction_builder().create_unsigned_transaction(
    nonce=0, gas_price=0, gas=21_000, to=Address(ANA), value=0, data=b""
)


def waiting(sender: bytes, nonce: int, *, fee: int = 100, tip: int = 10, mark: int = 0) -> PooledTransaction:
    return PooledTransaction(
        hash=sender[:1] + nonce.to_bytes(15, "big") + fee.to_bytes(8, "big") + mark.to_bytes(8, "big"),
        sender=sender,
        nonce=nonce,
        gas=21_000,
        max_fee=fee,
        tip=tip,
        cost=21_000 * fee,
        raw=b"",
        signed=UNSIGNED,  # type: ignore[arg-type]  # the pool never looks inside
    )


def test_transactions_leave_in_the_order_of_their_nonces() -> None:
    pool = Mempool()
    for nonce in (2, 0, 1):
        pool.add(waiting(ANA, nonce), 0)
    assert [tx.nonce for tx in pool.ready(lambda _: 0, 0, 10)] == [0, 1, 2]


def test_a_gap_holds_back_what_comes_after_it() -> None:
    pool = Mempool()
    pool.add(waiting(ANA, 0), 0)
    pool.add(waiting(ANA, 2), 0)
    assert [tx.nonce for tx in pool.ready(lambda _: 0, 0, 10)] == [0]
    assert pool.next_nonce(ANA, 0) == 1


def test_accounts_take_turns_by_arrival() -> None:
    pool = Mempool()
    pool.add(waiting(BEN, 0), 0)
    pool.add(waiting(ANA, 0), 0)
    pool.add(waiting(BEN, 1), 0)
    assert [tx.sender for tx in pool.ready(lambda _: 0, 0, 10)] == [BEN, ANA, BEN]


def test_the_same_transaction_twice_is_already_known() -> None:
    pool = Mempool()
    pool.add(waiting(ANA, 0), 0)
    with pytest.raises(LostRace, match="already known"):
        pool.add(waiting(ANA, 0), 0)


def test_a_used_nonce_is_too_low() -> None:
    with pytest.raises(LostRace, match="nonce too low: next nonce 5, tx nonce 4"):
        Mempool().add(waiting(ANA, 4), 5)


def test_ten_per_cent_more_replaces() -> None:
    pool = Mempool()
    pool.add(waiting(ANA, 0), 0)
    pool.add(waiting(ANA, 0, fee=110, tip=11), 0)
    assert [tx.max_fee for tx in pool.ready(lambda _: 0, 0, 10)] == [110]
    assert len(pool) == 1


@pytest.mark.parametrize(("fee", "tip"), [(109, 11), (110, 10), (100, 10)])
def test_less_than_ten_per_cent_more_is_underpriced(fee: int, tip: int) -> None:
    pool = Mempool()
    pool.add(waiting(ANA, 0), 0)
    with pytest.raises(Rejected, match="replacement transaction underpriced"):
        pool.add(waiting(ANA, 0, fee=fee, tip=tip, mark=1), 0)
    assert len(pool) == 1


def test_an_offer_below_the_base_fee_waits_and_holds_its_account() -> None:
    pool = Mempool()
    pool.add(waiting(ANA, 0, fee=9), 0)
    pool.add(waiting(ANA, 1, fee=50), 0)
    assert pool.ready(lambda _: 0, 10, 10) == []
    assert [tx.nonce for tx in pool.ready(lambda _: 0, 9, 10)] == [0, 1]


def test_what_was_sealed_meanwhile_is_forgotten() -> None:
    pool = Mempool()
    pool.add(waiting(ANA, 0), 0)
    assert pool.ready(lambda _: 1, 0, 10) == []
    assert len(pool) == 0


def test_a_full_pool_asks_to_come_back() -> None:
    pool = Mempool(capacity=1)
    pool.add(waiting(ANA, 0), 0)
    with pytest.raises(Unavailable, match="txpool is full"):
        pool.add(waiting(BEN, 0), 0)


@given(
    st.lists(st.tuples(st.sampled_from([ANA, BEN]), st.integers(0, 6)), unique=True),
    st.integers(0, 3),
    st.integers(0, 12),
)
def test_a_block_takes_unbroken_runs_from_each_accounts_nonce(
    arrivals: list[tuple[bytes, int]], account_nonce: int, limit: int
) -> None:
    pool = Mempool()
    for sender, nonce in arrivals:
        pool.add(waiting(sender, nonce), 0)
    taken: dict[bytes, list[int]] = defaultdict(list)
    for tx in pool.ready(lambda _: account_nonce, 0, limit):
        taken[tx.sender].append(tx.nonce)
    for nonces in taken.values():
        assert nonces == list(range(account_nonce, account_nonce + len(nonces)))
    assert sum(map(len, taken.values())) <= limit
    assert all(pool.next_nonce(sender, account_nonce) >= account_nonce for sender, _ in arrivals)


def test_arrivals_are_told_in_order_from_where_one_looked_last() -> None:
    pool = Mempool()
    first, second = waiting(ANA, 0), waiting(BEN, 0)
    pool.add(first, 0)
    seen = pool.arrived
    assert pool.arrivals_since(seen) == []
    pool.add(second, 0)
    pool.remove(second.hash)
    assert pool.arrivals_since(seen) == [second.hash]
    assert pool.arrivals_since(0) == [first.hash, second.hash]


def test_the_oldest_of_very_many_arrivals_are_forgotten() -> None:
    pool = Mempool(capacity=2)
    added = [waiting(ANA, nonce) for nonce in range(4)]
    for transaction in added:
        pool.add(transaction, 0)
        pool.remove(transaction.hash)
    assert pool.arrivals_since(0) == [transaction.hash for transaction in added[2:]]


def test_what_waits_is_told_by_account_in_the_order_of_nonces() -> None:
    pool = Mempool()
    for nonce in (2, 0):
        pool.add(waiting(ANA, nonce), 0)
    assert {sender: list(txs) for sender, txs in pool.by_account().items()} == {ANA: [0, 2]}
