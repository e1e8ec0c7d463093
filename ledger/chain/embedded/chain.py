"""The embedded chain: one writer that turns waiting transactions into blocks on disk.

A block is acknowledged by becoming visible, and it becomes visible by SQLite's commit: after a kill the
chain continues from the last block anybody saw. Transactions that wait are not persisted (see `mempool`).
Reads never wait for the writer: they use their own connections and, for state, content-addressed nodes.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rlp
from eth.abc import AtomicDatabaseAPI, BlockHeaderAPI
from eth.vm.forks.prague.blocks import PragueBlockHeader

from ledger.chain.embedded import evm, genesis
from ledger.chain.embedded.accounts import Accounts
from ledger.chain.embedded.changes import changes_of, first_changes
from ledger.chain.embedded.database import NodeCache, OverlayDatabase
from ledger.chain.embedded.genesis import Genesis
from ledger.chain.embedded.mempool import Mempool
from ledger.chain.embedded.rows import BlockRow
from ledger.chain.embedded.store import Store
from ledger.chain.embedded.transactions import PooledTransaction, pooled
from ledger.market.errors import LostRace, Rejected

Clock = Callable[[], float]
"""Seconds since the epoch; fractions are cut off, so that no timestamp runs ahead."""

DEFAULT_FINALITY = 2
DEFAULT_KEEP_STATES = 128
"""blocks: finality, reorganisations of 64 below it, and as many again for who looks back"""
LOCK_FILE = "chain.lock"
_BLOCK_LIMIT = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A block that is on disk: `included` and `invalid` are transaction hashes."""

    number: int
    hash: bytes
    timestamp: int
    included: Sequence[bytes]
    invalid: Sequence[bytes]


class EmbeddedChain:
    """An open chain directory. Threads may share it; `close` releases the directory.

    `finality` is how many blocks behind the head `finalized` and `safe` stand, `keep_states` for how many
    the state stays (None: for all).
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        *,
        finality: int = DEFAULT_FINALITY,
        keep_states: int | None = DEFAULT_KEEP_STATES,
    ) -> None:
        if keep_states is not None and keep_states <= finality:
            raise Rejected(
                "keep-states-range",
                f"{keep_states} kept states do not reach back to the last final block, {finality} deep.",
                "Keep more states.",
            )
        self.directory = directory
        self.clock = clock
        self.finality = finality
        self._lock_file = lock(directory)
        try:
            self.genesis: Genesis = genesis.read(directory)
            self.faucet_key = genesis.read_key(directory)
            self.store = Store(directory / genesis.CHAIN_FILE, keep_states=keep_states)
        except BaseException:
            os.close(self._lock_file)
            raise
        self.cache = NodeCache()
        self.mempool = Mempool()
        self.changed = threading.Condition()
        self.submissions = 0
        self._head_state: tuple[bytes, BlockHeaderAPI, Accounts] | None = None
        self._sealing = threading.RLock()
        self._overlay = OverlayDatabase(self.store.node, self.cache)

    def close(self) -> None:
        """Wait for the block being sealed, close the file and let another process have the directory."""
        with self._sealing:
            self.store.close()
            os.close(self._lock_file)

    def now(self) -> int:
        """The clock, in whole seconds."""
        return int(self.clock())

    def submit(self, raw: bytes) -> bytes:
        """Check a signed transaction and pool it; returns its hash.

        Raises `Rejected`, `LostRace` or `Unavailable` with go-ethereum's message as the cause.
        """
        transaction = pooled(raw, self.genesis.chain_id)
        with self.changed:
            header, account = self._at_head()
            self._check_funds(transaction, account)
            _check_fee(transaction, evm.base_fee(header))
            self.mempool.add(transaction, account.nonce(transaction.sender))
            self.submissions += 1
            self.changed.notify_all()
        return transaction.hash

    def next_nonce(self, address: bytes) -> int:
        """The nonce for a new transaction of `address`, waiting ones counted."""
        with self.changed:
            _, account = self._at_head()
            return self.mempool.next_nonce(address, account.nonce(address))

    def seal(self, *, empty: bool = False, limit: int = _BLOCK_LIMIT) -> Sealed | None:
        """Seal what waits into one block on the head; None when nothing can run and `empty` is false."""
        with self._sealing:
            with self.changed:
                parent, account = self._at_head()
                waiting = self._ready(parent, account, limit)
            if not waiting and not empty:
                return None
            return self._seal_on(parent, waiting)

    def record_grant(self, address: bytes, at: int) -> None:
        """Note on disk that the faucet serves `address` at second `at`."""
        with self._sealing:
            self.store.record_grant(address, at)

    def has_ready(self) -> bool:
        """Whether a transaction waits that the next block could execute."""
        with self.changed:
            return bool(self._ready(*self._at_head(), 1))

    def has_unfinalised_transactions(self) -> bool:
        """Whether one of the blocks that are not final yet holds a transaction."""
        with self.store.reading() as query:
            number = query.head().number
            tail = query.blocks_between(max(number - self.finality + 1, 0), number)
            return self.finality > 0 and any(query.transaction_count(block.hash) for block in tail)

    def mine_on(self, parent: bytes, raws: Sequence[bytes] = (), *, extra: bytes = b"") -> Sealed:
        """Seal a block on any known block. A branch longer than the canonical one replaces it.

        `extra` (≤ 32 bytes) tells two blocks apart that would otherwise be the same.
        """
        with self._sealing:
            with self.store.reading() as query:
                row = query.block_by_hash(parent)
            if row is None:
                raise Rejected("block-unknown", "The parent block is unknown.", "Name a sealed block.")
            header = decode_header(row)
            self.require_state(header)
            transactions = [pooled(raw, self.genesis.chain_id) for raw in raws]
            return self._seal_on(header, transactions, extra=extra)

    def reorg(self, depth: int) -> Sealed:
        """Replace the last `depth` blocks by `depth` + 1 empty ones; their transactions wait again."""
        with self._sealing:
            with self.store.reading() as query:
                head = query.head()
                if not 0 < depth <= head.number:
                    raise Rejected(
                        "reorg-depth", f"Cannot replace {depth} of {head.number} blocks.", "Go less deep."
                    )
                dropped = query.blocks_between(head.number - depth + 1, head.number)
                raws = [tx.raw for block in dropped for tx in query.transactions_of(block.hash)]
            sealed = self.mine_on(dropped[0].parent, extra=b"reorg" + head.hash[:16])
            for _ in range(depth):
                sealed = self.mine_on(sealed.hash, extra=b"reorg" + head.hash[:16])
            self._resubmit(raws)
            return sealed

    def accounts(self, header: BlockHeaderAPI) -> Accounts:
        """Balances, nonces, code and storage after that block; reads committed data only.

        Raises as `require_state` does.
        """
        self.require_state(header)
        return Accounts(self.reading_database(), header)

    def reading_database(self) -> OverlayDatabase:
        """A database over what is committed; writes to it go nowhere."""

        def read(key: bytes) -> bytes | None:
            with self.store.reading() as query:
                return query.node(key)

        return OverlayDatabase(read, self.cache)

    def head(self) -> BlockRow:
        """The last canonical block."""
        with self.store.reading() as query:
            return query.head()

    def execute(
        self, base: BlockHeaderAPI, waiting: Sequence[PooledTransaction], database: AtomicDatabaseAPI
    ) -> evm.Candidate:
        """The block of these transactions with `base` as its header's start; nothing is sealed.

        The state after it is in `database`, which must answer for the state of `base`.
        """
        ancestry = evm.Ancestry(database, self._header_of)
        return evm.build_block(ancestry, self.genesis.chain_id, base, waiting)

    def child_header(self, parent: BlockHeaderAPI, extra: bytes = b"") -> BlockHeaderAPI:
        """The header that a block sealed on `parent` now would start from."""
        header: PragueBlockHeader = evm.SharedSecondVM.create_header_from_parent(
            parent,
            timestamp=max(self.now(), parent.timestamp),
            gas_limit=parent.gas_limit,
            coinbase=self.genesis.faucet,
            extra_data=extra,
        )
        return header

    def require_state(self, header: BlockHeaderAPI) -> None:
        """`Rejected` ("state-pruned") where the block's state is not kept any more."""
        with self.store.reading() as query:
            oldest = query.oldest_state()
            reach = int(header.block_number)
            ancestor = query.canonical_ancestor(bytes(header.hash)) if reach >= oldest else None
            if ancestor is not None:
                reach = ancestor.number
        if reach < oldest:
            raise Rejected(
                "state-pruned",
                f"The state of block {header.block_number} is not kept any more; the oldest is {oldest}.",
                "Ask for a later block, or run the chain with --archive from its start.",
                oldest=oldest,
            )

    def _at_head(self) -> tuple[BlockHeaderAPI, Accounts]:
        """For who holds `changed`: accounts remember what they read and are not for two threads at once."""
        head = self.head()
        if self._head_state is None or self._head_state[0] != head.hash:
            header = decode_header(head)
            self._head_state = head.hash, header, Accounts(self.reading_database(), header)
        return self._head_state[1], self._head_state[2]

    def _ready(self, parent: BlockHeaderAPI, account: Accounts, limit: int) -> list[PooledTransaction]:
        if not len(self.mempool):
            return []
        return self.mempool.ready(account.nonce, evm.base_fee(self.child_header(parent)), limit)

    def _seal_on(
        self, parent: BlockHeaderAPI, waiting: Sequence[PooledTransaction], *, extra: bytes = b""
    ) -> Sealed:
        with self._discarding_on_failure():
            base = self.child_header(parent, extra)
            candidate = self.execute(base, waiting, self._overlay)
            self._check_new(bytes(candidate.block.hash))
            with self.store.reading() as query:
                changes = changes_of(query, self._overlay, candidate)
            self.store.commit(changes)
            self._overlay.settle()
        self._forget(candidate)
        header = candidate.block.header
        return Sealed(
            number=header.block_number,
            hash=bytes(header.hash),
            timestamp=header.timestamp,
            included=[tx.hash for tx in candidate.included],
            invalid=[tx.hash for tx in candidate.invalid],
        )

    def _check_new(self, block: bytes) -> None:
        with self.store.reading() as query:
            if query.block_by_hash(block) is not None:
                raise Rejected(
                    "block-exists", "A block with this content is sealed already.", "Give it extra data."
                )

    def _header_of(self, block: bytes) -> BlockHeaderAPI | None:
        with self.store.reading() as query:
            row = query.block_by_hash(block)
        return None if row is None else decode_header(row)

    @contextmanager
    def _discarding_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._overlay.discard()
            raise

    def _forget(self, candidate: evm.Candidate) -> None:
        with self.changed:
            for transaction in (*candidate.included, *candidate.invalid):
                self.mempool.remove(transaction.hash)
            self.changed.notify_all()

    def _resubmit(self, raws: Sequence[bytes]) -> None:
        for raw in raws:
            try:
                self.submit(raw)
            except (Rejected, LostRace):
                continue

    def _check_funds(self, transaction: PooledTransaction, account: Accounts) -> None:
        balance = account.balance(transaction.sender)
        committed = self.mempool.spending(transaction.sender, transaction.nonce)
        if balance < transaction.cost + committed:
            raise Rejected(
                "insufficient-funds",
                "insufficient funds for gas * price + value: "
                f"balance {balance}, tx cost {transaction.cost}, queued cost {committed}.",
                "Fund the account, or lower the fee or value.",
            )


def decode_header(row: BlockRow) -> PragueBlockHeader:
    """The header of a stored block."""
    header: PragueBlockHeader = rlp.decode(row.header, sedes=PragueBlockHeader)
    return header


def found(directory: Path, identity: Genesis) -> None:
    """Write block 0 of `identity` into a new chain file in `directory`."""
    store = Store(directory / genesis.CHAIN_FILE)
    try:
        overlay = OverlayDatabase(store.node, NodeCache())
        block = evm.block_row(evm.genesis_block(overlay, identity))
        store.commit(first_changes(overlay, block))
    finally:
        store.close()


def _check_fee(transaction: PooledTransaction, base_fee: int) -> None:
    if transaction.max_fee < base_fee * 7 // 8:
        raise Rejected(
            "fee-too-low",
            "max fee per gas less than block base fee: "
            f"maxFeePerGas: {transaction.max_fee}, baseFee: {base_fee}.",
            "Raise the maximum fee.",
        )


def lock(directory: Path) -> int:
    """Take the directory for this process; the descriptor holds it until it is closed or the process dies.

    `Rejected` when there is no such directory or another process has it.
    """
    if not directory.is_dir():
        raise Rejected("chain-not-initialised", f"There is no chain in {directory}.", "Initialise one first.")
    descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise Rejected(
            "chain-already-running",
            f"Another process runs the chain in {directory}.",
            "Use that one, or stop it first.",
        ) from exc
    return descriptor


def is_running(directory: Path) -> bool:
    """Whether some process holds the directory right now."""
    try:
        os.close(lock(directory))
    except Rejected:
        return True
    return False
