"""Blocks, transactions, receipts and logs as JSON-RPC reads them: look-ups, nothing is executed."""

from collections.abc import Callable

from ledger.chain.embedded import formatting, parameters
from ledger.chain.embedded.block_references import BlockReferences, is_pending
from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.evm import base_fee
from ledger.chain.embedded.feeds import MAX_LOGS
from ledger.chain.embedded.formatting import Json
from ledger.chain.embedded.pending import PendingBlock
from ledger.chain.embedded.queries import Queries
from ledger.chain.embedded.rows import BlockRow, TransactionRow
from ledger.chain.embedded.rpc_error import LIMIT_EXCEEDED, RpcError, invalid
from ledger.chain.embedded.transactions import PooledTransaction


class BlockMethods:
    """Bound to one chain."""

    def __init__(self, chain: EmbeddedChain, references: BlockReferences, pending: PendingBlock) -> None:
        self._chain = chain
        self._references = references
        self._pending = pending

    def table(self) -> dict[str, Callable[..., object]]:
        """Method names and what answers them."""
        return {
            "eth_getBlockByNumber": self.block_by_number,
            "eth_getBlockByHash": self.block_by_hash,
            "eth_getHeaderByNumber": self.header,
            "eth_getHeaderByHash": self.header,
            "eth_getBlockReceipts": self.block_receipts,
            "eth_getBlockTransactionCountByNumber": self.transaction_count_in,
            "eth_getBlockTransactionCountByHash": self.transaction_count_in,
            "eth_getUncleCountByBlockNumber": self.uncle_count,
            "eth_getUncleCountByBlockHash": self.uncle_count,
            "eth_getUncleByBlockNumberAndIndex": self.uncle,
            "eth_getUncleByBlockHashAndIndex": self.uncle,
            "eth_getTransactionByHash": self.transaction_by_hash,
            "eth_getTransactionByBlockNumberAndIndex": self.transaction_by_place,
            "eth_getTransactionByBlockHashAndIndex": self.transaction_by_place,
            "eth_getRawTransactionByHash": self.raw_by_hash,
            "eth_getRawTransactionByBlockNumberAndIndex": self.raw_by_place,
            "eth_getRawTransactionByBlockHashAndIndex": self.raw_by_place,
            "eth_getTransactionReceipt": self.transaction_receipt,
            "eth_getLogs": self.logs,
        }

    def block_by_number(self, block: object, full: object = False) -> Json | None:
        """The canonical block at a number or tag; null when there is none."""
        whole = parameters.flag(full)
        if is_pending(block):
            pending = self._pending.current()
            return formatting.pending_block(pending.row, pending.transactions, full=whole)
        with self._chain.store.reading() as query:
            row = self._references.find(query, block)
            return None if row is None else _block(query, row, full=whole)

    def block_by_hash(self, block: object, full: object = False) -> Json | None:
        """A block by hash, replaced ones included."""
        whole = parameters.flag(full)
        with self._chain.store.reading() as query:
            row = query.block_by_hash(parameters.block_hash(block))
            return None if row is None else _block(query, row, full=whole)

    def header(self, block: object) -> Json | None:
        """A header by number, tag or hash; null when there is none, and for the pending block."""
        if is_pending(block):
            return None
        with self._chain.store.reading() as query:
            row = self._references.find(query, block)
            return None if row is None else formatting.header(row)

    def block_receipts(self, block: object) -> list[Json] | None:
        """All receipts of a block (number, tag or hash); null for the pending block."""
        if is_pending(block):
            return None
        with self._chain.store.reading() as query:
            row = self._references.find(query, block)
            if row is None:
                return None
            outcomes = zip(query.transactions_of(row.hash), query.receipts_of(row.hash), strict=True)
            return [
                formatting.receipt(row, tx, outcome, query.logs_of(row.hash, tx.position))
                for tx, outcome in outcomes
            ]

    def transaction_count_in(self, block: object) -> str | None:
        """How many transactions a block holds."""
        if is_pending(block):
            return hex(len(self._pending.current().transactions))
        with self._chain.store.reading() as query:
            row = self._references.find(query, block)
            return None if row is None else hex(query.transaction_count(row.hash))

    def uncle_count(self, block: object) -> str | None:
        """0 for every block there is: nobody competes here."""
        with self._chain.store.reading() as query:
            return None if self._references.find(query, block) is None else "0x0"

    def uncle(self, block: object, position: object) -> None:
        """Null: no block has an uncle."""
        parameters.quantity(position, "index")
        self.uncle_count(block)

    def transaction_by_hash(self, transaction: object) -> Json | None:
        """A sealed transaction, else a waiting one, else null."""
        found = self._found(transaction)
        if isinstance(found, TransactionRow):
            with self._chain.store.reading() as query:
                return _included(query, found)
        return None if found is None else formatting.waiting(found.signed, found.hash, found.sender)

    def transaction_by_place(self, block: object, position: object) -> Json | None:
        """The transaction at a position of a sealed block."""
        with self._chain.store.reading() as query:
            row = self._at(query, block, position)
            return None if row is None else _included(query, row)

    def raw_by_hash(self, transaction: object) -> str | None:
        """A transaction's bytes as they were received, sealed or waiting; null when unknown."""
        found = self._found(transaction)
        return None if found is None else formatting.data(found.raw)

    def raw_by_place(self, block: object, position: object) -> str | None:
        """The bytes of the transaction at a position of a sealed block."""
        with self._chain.store.reading() as query:
            row = self._at(query, block, position)
        return None if row is None else formatting.data(row.raw)

    def transaction_receipt(self, transaction: object) -> Json | None:
        """The receipt of a sealed transaction; null while it waits or is unknown."""
        with self._chain.store.reading() as query:
            row = query.transaction(parameters.block_hash(transaction))
            if row is None:
                return None
            outcome, logs = query.receipt(row.block, row.position), query.logs_of(row.block, row.position)
            return formatting.receipt(_known(query, row.block), row, outcome, logs)

    def logs(self, wanted: object) -> list[Json]:
        """Logs by range or block hash, address and topics, in chain order."""
        if not isinstance(wanted, dict):
            raise invalid("filter object is missing")
        with self._chain.store.reading() as query:
            first, last = self._references.span(query, wanted)
            found = query.logs(parameters.log_filter(wanted, first, last), MAX_LOGS + 1)
        if len(found) > MAX_LOGS:
            raise RpcError(LIMIT_EXCEEDED, f"query returned more than {MAX_LOGS} results")
        return [formatting.log(row) for row in found]

    def _found(self, transaction: object) -> TransactionRow | PooledTransaction | None:
        key = parameters.block_hash(transaction)
        with self._chain.changed:  # asked first: what is sealed in between is found in the store
            waiting = self._chain.mempool.get(key)
        with self._chain.store.reading() as query:
            return query.transaction(key) or waiting

    def _at(self, query: Queries, block: object, position: object) -> TransactionRow | None:
        place = parameters.quantity(position, "index")
        if is_pending(block):
            return None
        row = self._references.find(query, block)
        rows = [] if row is None else query.transactions_of(row.hash)
        return rows[place] if place < len(rows) else None


def _block(query: Queries, row: BlockRow, *, full: bool) -> Json:
    return formatting.block(row, query.transactions_of(row.hash), full=full)


def _included(query: Queries, row: TransactionRow) -> Json:
    block = _known(query, row.block)
    return formatting.included(row, block, base_fee(decode_header(block)))


def _known(query: Queries, block: bytes) -> BlockRow:
    row = query.block_by_hash(block)
    assert row is not None, "a transaction row names a stored block"
    return row
