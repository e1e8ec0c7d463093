"""The `eth_`, `net_` and `web3_` methods: reads over the store, calls, transactions to the pool."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

from ledger.chain.embedded import calls, fees, formatting, parameters
from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.evm import base_fee
from ledger.chain.embedded.formatting import Json
from ledger.chain.embedded.parameters import TAGS, invalid
from ledger.chain.embedded.queries import Queries
from ledger.chain.embedded.rows import BlockRow, TransactionRow
from ledger.chain.embedded.rpc_error import LIMIT_EXCEEDED, SERVER_ERROR, RpcError

MAX_LOGS = 20_000
_HIGHEST = 2**63 - 1  # what an SQLite integer holds


class EthMethods:
    """Bound to one chain. `safe` and `finalized` are the block `finality` behind the head."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain

    def table(self) -> dict[str, Callable[..., object]]:
        """Method names and what answers them."""
        chain_id = self._chain.genesis.chain_id
        return {
            "eth_chainId": lambda: hex(chain_id),
            "net_version": lambda: str(chain_id),
            "net_listening": lambda: True,
            "web3_clientVersion": lambda: f"bingwang-embedded/py-evm-{metadata.version('py-evm')}",
            "eth_syncing": lambda: False,
            "eth_accounts": self.accounts,
            "eth_blockNumber": lambda: hex(self._chain.head().number),
            "eth_getBlockByNumber": self.block_by_number,
            "eth_getBlockByHash": self.block_by_hash,
            "eth_getBlockReceipts": self.block_receipts,
            "eth_getBlockTransactionCountByNumber": self.transaction_count_in,
            "eth_getBlockTransactionCountByHash": self.transaction_count_in,
            "eth_getUncleCountByBlockNumber": lambda _: "0x0",
            "eth_getUncleCountByBlockHash": lambda _: "0x0",
            "eth_getTransactionByHash": self.transaction_by_hash,
            "eth_getTransactionByBlockNumberAndIndex": self.transaction_by_place,
            "eth_getTransactionByBlockHashAndIndex": self.transaction_by_place,
            "eth_getTransactionReceipt": self.transaction_receipt,
            "eth_getTransactionCount": self.transaction_count,
            "eth_getLogs": self.logs,
            "eth_getBalance": self.balance,
            "eth_getCode": self.code,
            "eth_getStorageAt": self.storage_at,
            "eth_call": self.call,
            "eth_estimateGas": self.estimate_gas,
            "eth_gasPrice": lambda: hex(fees.gas_price(self._chain)),
            "eth_maxPriorityFeePerGas": lambda: hex(fees.TIP),
            "eth_feeHistory": self.fee_history,
            "eth_sendRawTransaction": self.send_raw_transaction,
        }

    def accounts(self) -> list[str]:
        """Nothing: this node holds no keys for its clients."""
        return []

    def block_by_number(self, block: object, full: bool = False) -> Json | None:
        """The canonical block at a number or tag; null when there is none."""
        with self._chain.store.reading() as query:
            row = self._find(query, block)
            return None if row is None else _block(query, row, full=bool(full))

    def block_by_hash(self, block: object, full: bool = False) -> Json | None:
        """A block by hash, replaced ones included."""
        with self._chain.store.reading() as query:
            row = query.block_by_hash(parameters.block_hash(block))
            return None if row is None else _block(query, row, full=bool(full))

    def block_receipts(self, block: object) -> list[Json] | None:
        """All receipts of a block (number, tag or hash)."""
        with self._chain.store.reading() as query:
            row = self._find(query, block)
            if row is None:
                return None
            outcomes = zip(query.transactions_of(row.hash), query.receipts_of(row.hash), strict=True)
            return [
                formatting.receipt(row, tx, outcome, query.logs_of(row.hash, tx.position))
                for tx, outcome in outcomes
            ]

    def transaction_count_in(self, block: object) -> str | None:
        """How many transactions a block holds."""
        with self._chain.store.reading() as query:
            row = self._find(query, block)
            return None if row is None else hex(query.transaction_count(row.hash))

    def transaction_by_hash(self, transaction: object) -> Json | None:
        """A sealed transaction, else a waiting one, else null."""
        key = parameters.block_hash(transaction)
        with self._chain.changed:
            waiting = self._chain.mempool.get(key)
        with self._chain.store.reading() as query:
            row = query.transaction(key)
            if row is not None:
                return _included(query, row)
        return None if waiting is None else formatting.waiting(waiting.signed, key, waiting.sender)

    def transaction_by_place(self, block: object, position: object) -> Json | None:
        """The transaction at a position of a block."""
        place = parameters.quantity(position, "index")
        with self._chain.store.reading() as query:
            row = self._find(query, block)
            rows = [] if row is None else query.transactions_of(row.hash)
            return _included(query, rows[place]) if place < len(rows) else None

    def transaction_receipt(self, transaction: object) -> Json | None:
        """The receipt of a sealed transaction; null while it waits or is unknown."""
        with self._chain.store.reading() as query:
            row = query.transaction(parameters.block_hash(transaction))
            if row is None:
                return None
            outcome, logs = query.receipt(row.block, row.position), query.logs_of(row.block, row.position)
            return formatting.receipt(_known(query, row.block), row, outcome, logs)

    def transaction_count(self, address: object, block: object = "latest") -> str:
        """An account's nonce; `pending` counts its waiting transactions too."""
        account = parameters.address(address)
        if block == "pending":
            return hex(self._chain.next_nonce(account))
        return hex(self._chain.accounts(decode_header(self._block(block))).nonce(account))

    def logs(self, wanted: object) -> list[Json]:
        """Logs by range or block hash, address and topics, in chain order."""
        if not isinstance(wanted, dict):
            raise invalid("filter object is missing")
        with self._chain.store.reading() as query:
            first, last = self._range(query, wanted)
            found = query.logs(parameters.log_filter(wanted, first, last), MAX_LOGS + 1)
        if len(found) > MAX_LOGS:
            raise RpcError(LIMIT_EXCEEDED, f"query returned more than {MAX_LOGS} results")
        return [formatting.log(row) for row in found]

    def balance(self, address: object, block: object = "latest") -> str:
        """An account's coin, in wei."""
        accounts = self._chain.accounts(decode_header(self._block(block)))
        return hex(accounts.balance(parameters.address(address)))

    def code(self, address: object, block: object = "latest") -> str:
        """An account's code."""
        accounts = self._chain.accounts(decode_header(self._block(block)))
        return formatting.data(accounts.code(parameters.address(address)))

    def storage_at(self, address: object, slot: object, block: object = "latest") -> str:
        """One storage word of an account."""
        accounts = self._chain.accounts(decode_header(self._block(block)))
        value = accounts.storage(parameters.address(address), parameters.quantity(slot, "slot"))
        return formatting.data(value.to_bytes(32, "big"))

    def call(self, request: object, block: object = "latest", *_overrides: object) -> str:
        """The output of a call; error 3 with the revert data when it reverts."""
        if _overrides and any(_overrides):
            raise invalid("state overrides are not supported")
        pending = block in ("latest", "pending", None)
        row = self._block(block)
        return formatting.data(calls.call(self._chain, parameters.call(request), row, pending=pending))

    def estimate_gas(self, request: object, block: object = "latest") -> str:
        """A gas limit that suffices."""
        return hex(calls.estimate_gas(self._chain, parameters.call(request), self._block(block)))

    def fee_history(self, count: object, newest: object, percentiles: object = None) -> Json:
        """Base fees, fullness and tips of recent blocks (EIP-1559)."""
        wanted = fees.percentiles(percentiles)
        with self._chain.store.reading() as query:
            last = self._require(query, newest)
            return fees.history(query, last, parameters.quantity(count, "count"), wanted)

    def send_raw_transaction(self, raw: object) -> str:
        """Pool a signed transaction; its hash."""
        return formatting.data(self._chain.submit(parameters.data(raw, "transaction")))

    def _block(self, block: object) -> BlockRow:
        with self._chain.store.reading() as query:
            return self._require(query, block)

    def _require(self, query: Queries, block: object) -> BlockRow:
        row = self._find(query, block)
        if row is None:
            raise RpcError(SERVER_ERROR, "header not found")
        return row

    def _find(self, query: Queries, block: object) -> BlockRow | None:
        if isinstance(block, dict):  # EIP-1898
            block = block.get("blockHash") or block.get("blockNumber")
        if isinstance(block, str) and len(block) == len("0x") + 64:
            return query.block_by_hash(parameters.block_hash(block))
        return query.block_by_number(self._number(query, block))

    def _number(self, query: Queries, block: object) -> int:
        if block is None or (isinstance(block, str) and block in TAGS):
            head = query.head().number
            behind = {"safe": self._chain.finality, "finalized": self._chain.finality, "earliest": head}
            return max(head - behind.get(str(block), 0), 0)
        return min(parameters.quantity(block, "block"), _HIGHEST)

    def _range(self, query: Queries, wanted: dict[str, Any]) -> tuple[int, int]:
        if wanted.get("blockHash") is not None:
            if "fromBlock" in wanted or "toBlock" in wanted:
                raise invalid("blockHash excludes fromBlock and toBlock")
            if query.block_by_hash(parameters.block_hash(wanted["blockHash"])) is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            return 0, 0
        first, last = (self._number(query, wanted.get(key)) for key in ("fromBlock", "toBlock"))
        if first > last:
            raise invalid("invalid block range params")
        return first, last


def _block(query: Queries, row: BlockRow, *, full: bool) -> Json:
    return formatting.block(row, query.transactions_of(row.hash), full=full)


def _included(query: Queries, row: TransactionRow) -> Json:
    block = _known(query, row.block)
    return formatting.included(row, block.number, base_fee(decode_header(block)))


def _known(query: Queries, block: bytes) -> BlockRow:
    row = query.block_by_hash(block)
    assert row is not None, "a transaction row names a stored block"
    return row
