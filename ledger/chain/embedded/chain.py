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
from eth.abc import BlockHeaderAPI
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_typing import BlockNumber

from ledger.chain.embedded import evm, genesis
from ledger.chain.embedded.accounts import Accounts
from ledger.chain.embedded.database import NodeCache, OverlayDatabase
from ledger.chain.embedded.genesis import Genesis
from ledger.chain.embedded.mempool import Mempool
from ledger.chain.embedded.rows import BlockChanges, BlockRow
from ledger.chain.embedded.store import Store
from ledger.chain.embedded.transactions import PooledTransaction, pooled
from ledger.market.errors import LostRace, Rejected

Clock = Callable[[], float]
"""Seconds since the epoch; fractions are cut off, so that no timestamp runs ahead."""

DEFAULT_FINALITY = 2
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

    `finality` is how many blocks behind the head `finalized` and `safe` stand.
    """

    def __init__(self, directory: Path, clock: Clock, *, finality: int = DEFAULT_FINALITY) -> None:
        self.directory = directory
        self.clock = clock
        self.finality = finality
        self._lock_file = lock(directory)
        try:
            self.genesis: Genesis = genesis.read(directory)
            self.faucet_key = genesis.read_key(directory)
            self.store = Store(directory / genesis.CHAIN_FILE)
        except BaseException:
            os.close(self._lock_file)
            raise
        self.cache = NodeCache()
        self.mempool = Mempool()
        self.changed = threading.Condition()
        self.submissions = 0
        self._sealing = threading.RLock()
        self._overlay = OverlayDatabase(self.store.node, self.cache)
        self._chain = _open(self.genesis, self._overlay, self.store)

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
        header, account = self._at_head()
        with self.changed:
            self._check_funds(transaction, account)
            _check_fee(transaction, evm.base_fee(header))
            self.mempool.add(transaction, account.nonce(transaction.sender))
            self.submissions += 1
            self.changed.notify_all()
        return transaction.hash

    def next_nonce(self, address: bytes) -> int:
        """The nonce for a new transaction of `address`, waiting ones counted."""
        _, account = self._at_head()
        with self.changed:
            return self.mempool.next_nonce(address, account.nonce(address))

    def seal(self, *, empty: bool = False, limit: int = _BLOCK_LIMIT) -> Sealed | None:
        """Seal what waits into one block on the head; None when nothing can run and `empty` is false."""
        with self._sealing:
            parent, account = self._at_head()
            with self.changed:
                base_fee = evm.base_fee(self._base_header(parent))
                waiting = self.mempool.ready(account.nonce, base_fee, limit)
            if not waiting and not empty:
                return None
            return self._seal_on(parent, waiting)

    def record_grant(self, address: bytes, at: int) -> None:
        """Note on disk that the faucet serves `address` at second `at`."""
        with self._sealing:
            self.store.record_grant(address, at)

    def has_ready(self) -> bool:
        """Whether a transaction waits that the next block could execute."""
        parent, account = self._at_head()
        with self.changed:
            base_fee = evm.base_fee(self._base_header(parent))
            return bool(self.mempool.ready(account.nonce, base_fee, 1))

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
            transactions = [pooled(raw, self.genesis.chain_id) for raw in raws]
            return self._seal_on(decode_header(row), transactions, extra=extra)

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
        """Balances, nonces, code and storage after that block; reads committed data only."""
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

    def child_header(self, parent: BlockHeaderAPI) -> BlockHeaderAPI:
        """The header that a block sealed now would start from."""
        return self._base_header(parent)

    def _at_head(self) -> tuple[BlockHeaderAPI, Accounts]:
        header = decode_header(self.head())
        return header, self.accounts(header)

    def _base_header(self, parent: BlockHeaderAPI, extra: bytes = b"") -> BlockHeaderAPI:
        return self._chain.create_header_from_parent(
            parent,
            timestamp=max(self.now(), parent.timestamp),
            gas_limit=parent.gas_limit,
            coinbase=self.genesis.faucet,
            extra_data=extra,
        )

    def _seal_on(
        self, parent: BlockHeaderAPI, waiting: Sequence[PooledTransaction], *, extra: bytes = b""
    ) -> Sealed:
        with self._discarding_on_failure():
            candidate = evm.build_block(self._chain, self._base_header(parent, extra), waiting)
            self._check_new(bytes(candidate.block.hash))
            joined, left = self._chain.chaindb.persist_block(candidate.block)
            self.store.commit(self._changes(candidate, joined, left))
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

    def _changes(
        self, candidate: evm.Candidate, joined: Sequence[bytes], left: Sequence[bytes]
    ) -> BlockChanges:
        return BlockChanges(
            nodes=self._overlay.written(),
            block=evm.block_row(candidate.block),
            transactions=evm.transaction_rows(candidate),
            receipts=evm.receipt_rows(candidate),
            logs=evm.log_rows(candidate),
            canonical=[bytes(block) for block in joined],
            orphaned=[bytes(block) for block in left],
        )

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
        chain = _chain_class(identity).from_genesis(
            overlay, genesis.header_fields(identity), genesis.state(identity)
        )
        block = chain.get_canonical_block_by_number(BlockNumber(0))
        changes = BlockChanges(
            nodes=overlay.written(),
            block=evm.block_row(block),
            transactions=(),
            receipts=(),
            logs=(),
            canonical=(bytes(block.hash),),
            orphaned=(),
        )
        store.commit(changes)
    finally:
        store.close()


def _chain_class(identity: Genesis) -> type[evm.GridChain]:
    return evm.GridChain.configure(__name__="GridChain", chain_id=identity.chain_id)


def _open(identity: Genesis, overlay: OverlayDatabase, store: Store) -> evm.GridChain:
    with store.reading() as query:
        head = decode_header(query.head())
    return _chain_class(identity)(overlay, head)


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
