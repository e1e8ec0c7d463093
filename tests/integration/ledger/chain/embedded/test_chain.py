"""Branches: the longer one wins, and the tables follow in the same transaction."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.faucet import HOUR, Faucet, FaucetPolicy, sign
from ledger.chain.embedded.grid import deploy, initialise, open_chain
from ledger.chain.embedded.transactions import TRANSACTION_GAS_CAP, pooled
from ledger.market.errors import Rejected, Unavailable

KEY = b"\x05" * 32
ANA = b"\x0a" * 20


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    initialise(tmp_path, chain_id=77, at=int(time.time()), faucet_key=KEY)
    opened = open_chain(tmp_path, time.time)
    yield opened
    opened.close()


def balance(chain: EmbeddedChain) -> int:
    with chain.store.reading() as query:
        head = query.head()
    return chain.accounts(decode_header(head)).balance(ANA)


def test_an_equal_branch_does_not_take_over_and_a_longer_one_does(chain: EmbeddedChain) -> None:
    root = chain.head().hash
    payment = sign(chain, to=ANA, value=7, gas=21_000)
    chain.submit(payment)
    first = chain.seal()
    assert first is not None
    rival = chain.mine_on(root, extra=b"rival")
    assert chain.head().hash == first.hash
    longer = chain.mine_on(rival.hash, extra=b"rival")
    assert chain.head().hash == longer.hash
    with chain.store.reading() as query:
        assert query.transaction(first.included[0]) is None
        assert [block.hash for block in query.blocks_between(0, 9)] == [root, rival.hash, longer.hash]
    assert balance(chain) == 0


def test_a_branch_may_carry_the_transaction_elsewhere(chain: EmbeddedChain) -> None:
    root = chain.head().hash
    payment = sign(chain, to=ANA, value=7, gas=21_000)
    chain.submit(payment)
    first = chain.seal()
    assert first is not None
    rival = chain.mine_on(root, extra=b"rival")
    moved = chain.mine_on(rival.hash, [payment])
    assert moved.included == first.included
    with chain.store.reading() as query:
        row = query.transaction(first.included[0])
    assert row is not None
    assert row.block == moved.hash
    assert balance(chain) == 7
    back = chain.mine_on(chain.mine_on(first.hash, extra=b"a").hash, extra=b"b")
    assert chain.head().hash == back.hash
    with chain.store.reading() as query:
        row = query.transaction(first.included[0])
    assert row is not None
    assert row.block == first.hash


def test_a_block_on_nothing_and_the_same_block_twice_are_refused(chain: EmbeddedChain) -> None:
    with pytest.raises(Rejected) as refusal:
        chain.mine_on(b"\x01" * 32)
    assert refusal.value.code == "block-unknown"
    root = chain.head().hash
    clock = chain.clock
    now = int(clock())
    chain.clock = lambda: now
    chain.mine_on(root)
    with pytest.raises(Rejected) as refusal:
        chain.mine_on(root)
    assert refusal.value.code == "block-exists"
    assert chain.seal(empty=True) is not None


def test_a_clock_set_back_holds_the_chains_time_still(chain: EmbeddedChain) -> None:
    before = chain.head().timestamp
    chain.clock = lambda: before - 1_000
    sealed = chain.seal(empty=True)
    assert sealed is not None
    assert sealed.timestamp == before


@pytest.mark.parametrize("depth", [0, 2])
def test_a_reorg_deeper_than_the_chain_is_refused(chain: EmbeddedChain, depth: int) -> None:
    chain.seal(empty=True)
    with pytest.raises(Rejected) as refusal:
        chain.reorg(depth)
    assert refusal.value.code == "reorg-depth"


def test_one_that_cannot_pay_is_left_out_and_the_rest_is_sealed(chain: EmbeddedChain) -> None:
    fields = {"type": 2, "chainId": 77, "nonce": 0, "to": ANA, "value": 1, "gas": 21_000}
    fees = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}
    poor = bytes(Account.sign_transaction({**fields, **fees}, b"\x06" * 32).raw_transaction)
    payment = sign(chain, to=ANA, value=7, gas=21_000)
    sealed = chain.mine_on(chain.head().hash, [poor, payment])
    assert sealed.invalid == [pooled(poor, 77).hash]
    assert sealed.included == [pooled(payment, 77).hash]
    assert balance(chain) == 7


def test_the_deepest_recursion_that_gas_buys_is_sealed(chain: EmbeddedChain) -> None:
    calls_itself = bytes.fromhex("5f5f5f5f5f305af100")  # call(gas, this, 0, nothing, nothing)
    contract = deploy(chain, bytes.fromhex("68") + calls_itself + bytes.fromhex("5f5260096017f3"))
    chain.submit(sign(chain, to=contract, gas=TRANSACTION_GAS_CAP))
    sealed = chain.seal()
    assert sealed is not None
    assert len(sealed.included) == 1


def test_grants_are_remembered(chain: EmbeddedChain) -> None:
    faucet = Faucet(chain, FaucetPolicy(per_address=1))
    assert len(faucet.grant(ANA)) == 1
    again = Faucet(chain, FaucetPolicy(per_address=1))
    with pytest.raises(Rejected) as refusal:
        again.grant(ANA)
    assert refusal.value.code == "faucet-limit"
    later = chain.now() + HOUR + 1
    chain.clock = lambda: later
    assert len(again.grant(ANA)) == 1


def test_a_block_that_cannot_be_written_never_was(chain: EmbeddedChain) -> None:
    payment = sign(chain, to=ANA, value=7, gas=21_000)
    key = chain.submit(payment)
    before = chain.head()
    with sqlite3.connect(chain.directory / "chain.sqlite3") as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON receipts BEGIN SELECT no_such_function(); END")
    other.close()
    with pytest.raises(Unavailable) as failure:
        chain.seal()
    assert failure.value.code == "chain-file-unwritable"
    assert chain.head() == before
    with sqlite3.connect(chain.directory / "chain.sqlite3") as other:
        other.execute("DROP TRIGGER full")
    other.close()
    sealed = chain.seal()
    assert sealed is not None
    assert sealed.included == [key]


def test_nothing_waiting_seals_nothing(chain: EmbeddedChain) -> None:
    assert chain.seal() is None
    assert chain.head().number == 0
