"""The block that would be sealed now: what the tag `pending` shows of transactions that wait.

It is executed on a database whose writes go nowhere, only when somebody asks, and kept until the chain or
the pool changes.
"""

import threading
from dataclasses import dataclass

from eth.abc import AtomicDatabaseAPI, BlockHeaderAPI

from ledger.chain.embedded import evm
from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.rows import BlockRow, TransactionRow

_LIMIT = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The block and the state after it."""

    row: BlockRow
    transactions: tuple[TransactionRow, ...]
    database: AtomicDatabaseAPI

    @property
    def header(self) -> BlockHeaderAPI:
        """Its header, with the root of the state after it."""
        return decode_header(self.row)


class PendingBlock:
    """Builds it for one chain; safe to use from several threads."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        self._lock = threading.Lock()
        self._built: tuple[object, Pending] | None = None

    def current(self) -> Pending:
        """The block of this second."""
        with self._lock:
            head = self._chain.head()
            with self._chain.changed:
                pool = self._chain.mempool.arrived, len(self._chain.mempool)
            version = head.hash, pool, self._chain.now()
            if self._built is None or self._built[0] != version:
                self._built = version, self._build(head)
            return self._built[1]

    def _build(self, head: BlockRow) -> Pending:
        parent = decode_header(head)
        base = self._chain.child_header(parent)
        database = self._chain.reading_database()
        nonces = self._chain.accounts(parent).nonce
        with self._chain.changed:
            waiting = self._chain.mempool.ready(nonces, evm.base_fee(base), _LIMIT)
        candidate = self._chain.execute(base, waiting, database)
        return Pending(
            row=evm.block_row(candidate.block),
            transactions=tuple(evm.transaction_rows(candidate)),
            database=database,
        )
