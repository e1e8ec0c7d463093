"""Old state goes, kept state stays whole: to the last node, whatever the accounts did."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from eth_hash.auto import keccak
from eth_typing import Address, Hash32
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.changes import first_changes
from ledger.chain.embedded.database import NodeCache, OverlayDatabase
from ledger.chain.embedded.faucet import sign
from ledger.chain.embedded.grid import deploy, initialise, open_chain
from ledger.chain.embedded.rows import BlockRow
from ledger.chain.embedded.state import CODE, RecordingAccounts
from ledger.chain.embedded.store import Store
from ledger.chain.embedded.walk import state_nodes
from ledger.market.errors import Broken, Rejected

KEY = b"\x05" * 32
ANA = b"\x0a" * 20
EMPTY_ROOT = Hash32(keccak(b"\x80"))


@dataclass
class States:
    """Blocks that hold nothing but their effect on the accounts."""

    store: Store
    roots: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.overlay = OverlayDatabase(self.store.node, NodeCache())

    def block(self, writes: list[tuple[int, int, int]]) -> None:
        accounts = RecordingAccounts(self.overlay, Hash32(self.roots[-1] if self.roots else EMPTY_ROOT))
        for account, slot, value in writes:
            address = Address(bytes([account + 1]) * 20)
            if slot:
                accounts.set_nonce(address, 1)
                accounts.set_storage(address, slot, value)
            elif value:
                accounts.set_code(address, bytes([value]) * 40)
            else:
                accounts.set_balance(address, accounts.get_balance(address) + 1)
        accounts.persist()
        self.roots.append(bytes(accounts.state_root))
        number = len(self.roots) - 1
        block = BlockRow(keccak(b"block %d" % number), number, b"", 0, b"", 0)
        self.store.commit(first_changes(self.overlay, block))
        self.overlay.settle()

    def reachable(self) -> set[tuple[bytes, bytes]]:
        roots = self.roots[self.store.oldest_state() :]
        return {(node.owner, node.hash) for root in roots for node in state_nodes(self.store.node, root)}


@contextmanager
def states(keep: int | None) -> Iterator[States]:
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "chain.sqlite3", keep_states=keep)
        yield States(store)
        store.close()


def nodes_of(chain: States) -> set[tuple[bytes, bytes]]:
    with chain.store.reading() as query:
        return set(query._db.execute("SELECT owner, hash FROM nodes").fetchall())


writes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)), max_size=6)
many = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60), st.integers(0, 2)), max_size=60)


@settings(max_examples=25, deadline=None)
@given(st.lists(writes, min_size=1, max_size=10), st.integers(0, 3))
def test_what_is_kept_is_what_the_kept_states_reach(
    blocks: list[list[tuple[int, int, int]]], keep: int
) -> None:
    with states(keep) as chain:
        for one in blocks:
            chain.block(one)
            old_code = {(CODE, keccak(bytes([value]) * 40)) for value in (1, 2)}
            assert nodes_of(chain) - old_code == chain.reachable() - old_code


@given(st.lists(many, min_size=1, max_size=6), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_deep_tries_are_kept_whole_too(blocks: list[list[tuple[int, int, int]]], keep: int) -> None:
    with states(keep) as chain:
        for one in blocks:
            chain.block(one)
        old_code = {(CODE, keccak(bytes([value]) * 40)) for value in (1, 2)}
        assert nodes_of(chain) - old_code == chain.reachable() - old_code


def test_nothing_goes_where_everything_is_kept() -> None:
    with states(None) as chain:
        for value in range(1, 9):
            chain.block([(0, 1, value), (1, 1, value)])
        assert chain.store.oldest_state() == 0
        assert nodes_of(chain) == chain.reachable()


def test_a_long_backlog_is_worked_off_a_few_blocks_at_a_time(tmp_path: Path) -> None:
    archive = Store(tmp_path / "chain.sqlite3")
    chain = States(archive)
    for value in range(1, 21):
        chain.block([(0, 1, value)])
    archive.close()
    store = Store(tmp_path / "chain.sqlite3", keep_states=2)
    chain = States(store, chain.roots)
    reached = []
    for value in range(21, 29):
        chain.block([(0, 1, value)])
        reached.append(store.oldest_state())
    assert reached == [4, 8, 12, 16, 20, 23, 24, 25]
    assert nodes_of(chain) == chain.reachable()
    assert store.prune(27, 1) == 1
    assert store.prune(27, 9) == 0
    assert store.prune(3, 9) == 0
    assert nodes_of(chain) == chain.reachable()
    store.close()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    initialise(tmp_path, chain_id=77, at=int(time.time()), faucet_key=KEY)
    opened = open_chain(tmp_path, time.time, finality=1, keep_states=3)
    yield opened
    opened.close()


def pay(chain: EmbeddedChain) -> None:
    chain.submit(sign(chain, to=ANA, value=1, gas=21_000))
    assert chain.seal() is not None


def test_a_pruned_state_is_refused_by_name_and_a_kept_one_answers(chain: EmbeddedChain) -> None:
    for _ in range(6):
        pay(chain)
    with chain.store.reading() as query:
        headers = [decode_header(block) for block in query.blocks_between(0, 6)]
    assert [chain.accounts(header).balance(ANA) for header in headers[3:]] == [3, 4, 5, 6]
    for header in headers[:3]:
        with pytest.raises(Rejected) as refusal:
            chain.accounts(header)
        assert refusal.value.code == "state-pruned"
        assert refusal.value.facts["oldest"] == 3


def test_a_reorganisation_reaches_as_deep_as_state_is_kept_and_no_deeper(chain: EmbeddedChain) -> None:
    for _ in range(6):
        pay(chain)
    chain.reorg(3)
    header = decode_header(chain.head())
    assert header.block_number == 7
    assert chain.accounts(header).balance(ANA) == 3
    sealed = chain.seal()
    assert sealed is not None
    assert len(sealed.included) == 3
    with pytest.raises(Rejected) as refusal:
        chain.reorg(5)
    assert refusal.value.code == "state-pruned"


def test_a_branch_from_before_the_kept_states_is_not_built_upon(chain: EmbeddedChain) -> None:
    root = chain.head().hash
    branch = chain.mine_on(root, extra=b"branch")
    for _ in range(7):
        pay(chain)
    with pytest.raises(Rejected) as refusal:
        chain.mine_on(branch.hash)
    assert refusal.value.code == "state-pruned"


def test_what_a_branch_replaced_stays_while_the_other_branch_needs_it(chain: EmbeddedChain) -> None:
    pay(chain)
    fork = chain.head().hash
    pay(chain)
    rival = chain.mine_on(fork, extra=b"rival")
    rival = chain.mine_on(rival.hash, extra=b"rival")
    assert chain.head().hash == rival.hash
    for _ in range(5):
        assert chain.seal(empty=True) is not None
    header = decode_header(chain.head())
    assert chain.accounts(header).balance(ANA) == 1
    assert len(list(state_nodes(chain.store.node, bytes(header.state_root)))) == 3


def test_code_that_reads_like_a_trie_node_outlives_it(chain: EmbeddedChain) -> None:
    root = bytes(decode_header(chain.head()).state_root)
    node = chain.store.node(root)
    assert node is not None
    size = len(node)
    creation = bytes([0x60, size, 0x60, 12, 0x5F, 0x39, 0x60, size, 0x5F, 0xF3]).ljust(12, b"\0") + node
    contract = deploy(chain, creation)
    for _ in range(6):
        pay(chain)
    assert chain.accounts(decode_header(chain.head())).code(contract) == node


def test_windows_that_do_not_reach_finality_are_refused(chain: EmbeddedChain, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refusal:
        open_chain(tmp_path, time.time, finality=4, keep_states=4)
    assert refusal.value.code == "keep-states-range"


def test_a_damaged_node_is_found_and_named(chain: EmbeddedChain) -> None:
    pay(chain)
    root = bytes(decode_header(chain.head()).state_root)
    assert len(list(state_nodes(chain.store.node, root))) > 0
    with sqlite3.connect(chain.directory / "chain.sqlite3") as db:
        db.execute("UPDATE nodes SET value = x'c0' WHERE hash = ?", (root,))
    db.close()
    with pytest.raises(Broken) as failure:
        list(state_nodes(chain.store.node, root))
    assert failure.value.code == "chain-state-damaged"
    assert failure.value.facts["node"] == f"0x{root.hex()}"
