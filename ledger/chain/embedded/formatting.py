"""Rows to the JSON objects of the Ethereum JSON-RPC specification (execution-apis), hex and all."""

from collections.abc import Iterable, Sequence
from typing import Any

from eth.abc import SignedTransactionAPI

from ledger.chain.embedded.chain import decode_header
from ledger.chain.embedded.evm import base_fee
from ledger.chain.embedded.rows import BlockRow, LogRow, ReceiptRow, TransactionRow
from ledger.chain.embedded.transactions import decode

Json = dict[str, Any]
_DYNAMIC_FEE = 2
_EIP155_OFFSET = 35


def quantity(value: int) -> str:
    """An integer without leading zeros."""
    return hex(value)


def data(value: bytes) -> str:
    """Bytes, two digits each."""
    return f"0x{value.hex()}"


def header(row: BlockRow) -> Json:
    """A header object, as `newHeads` announces it."""
    fields = decode_header(row)
    return {
        "number": quantity(row.number),
        "hash": data(row.hash),
        "parentHash": data(row.parent),
        "sha3Uncles": data(fields.uncles_hash),
        "miner": data(fields.coinbase),
        "stateRoot": data(fields.state_root),
        "transactionsRoot": data(fields.transaction_root),
        "receiptsRoot": data(fields.receipt_root),
        "withdrawalsRoot": data(fields.withdrawals_root or b""),
        "parentBeaconBlockRoot": data(fields.parent_beacon_block_root or b""),
        "requestsHash": data(fields.requests_hash),
        "logsBloom": data(fields.bloom.to_bytes(256, "big")),
        "difficulty": "0x0",
        "gasLimit": quantity(fields.gas_limit),
        "gasUsed": quantity(fields.gas_used),
        "baseFeePerGas": quantity(base_fee(fields)),
        "blobGasUsed": quantity(fields.blob_gas_used),
        "excessBlobGas": quantity(fields.excess_blob_gas),
        "timestamp": quantity(row.timestamp),
        "extraData": data(fields.extra_data),
        "mixHash": data(fields.mix_hash),
        "nonce": data(fields.nonce),
    }


def block(row: BlockRow, transactions: Sequence[TransactionRow], *, full: bool) -> Json:
    """A block object with transaction hashes, or whole transactions when `full`."""
    fields = header(row)
    fields.update(totalDifficulty="0x0", size=quantity(row.size), uncles=[], withdrawals=[])
    if full:
        burnt = base_fee(decode_header(row))
        shown: list[object] = [included(tx, row, burnt) for tx in transactions]
    else:
        shown = [data(tx.hash) for tx in transactions]
    return {**fields, "transactions": shown}


def pending_block(row: BlockRow, transactions: Sequence[TransactionRow], *, full: bool) -> Json:
    """The block that would be sealed now: what only sealing fixes is null."""
    fields = block(row, transactions, full=full)
    return {**fields, "hash": None, "nonce": None, "miner": None}


def included(row: TransactionRow, block_row: BlockRow, burnt: int) -> Json:
    """A transaction object of a sealed block, whose base fee was `burnt`."""
    fields = _transaction(decode(row.raw), row.hash, row.sender)
    fields["blockHash"] = data(row.block)
    fields["blockNumber"] = quantity(block_row.number)
    fields["blockTimestamp"] = quantity(block_row.timestamp)
    fields["transactionIndex"] = quantity(row.position)
    if "maxFeePerGas" in fields:
        price = min(int(fields["maxFeePerGas"], 16), burnt + int(fields["maxPriorityFeePerGas"], 16))
        fields["gasPrice"] = quantity(price)
    return fields


def waiting(signed: SignedTransactionAPI, transaction: bytes, sender: bytes) -> Json:
    """A transaction object of the mempool: no block yet."""
    fields = _transaction(signed, transaction, sender)
    fields.update(blockHash=None, blockNumber=None, transactionIndex=None)
    fields.setdefault("gasPrice", fields.get("maxFeePerGas"))
    return fields


def receipt(
    block_row: BlockRow, transaction: TransactionRow, outcome: ReceiptRow, logs: Sequence[LogRow]
) -> Json:
    """A receipt object with its logs."""
    signed = decode(transaction.raw)
    return {
        "transactionHash": data(transaction.hash),
        "transactionIndex": quantity(transaction.position),
        "blockHash": data(block_row.hash),
        "blockNumber": quantity(block_row.number),
        "from": data(transaction.sender),
        "to": data(signed.to) if signed.to else None,
        "type": quantity(outcome.type),
        "status": quantity(outcome.status),
        "gasUsed": quantity(outcome.gas_used),
        "cumulativeGasUsed": quantity(outcome.cumulative_gas),
        "effectiveGasPrice": quantity(int(outcome.price)),
        "contractAddress": data(outcome.contract) if outcome.contract else None,
        "logsBloom": data(outcome.bloom),
        "logs": [log(one, block_row.timestamp) for one in logs],
    }


def log(row: LogRow, timestamp: int | None = None, *, removed: bool = False) -> Json:
    """A log object, `removed` if its block was replaced; `blockTimestamp` where the caller knows it."""
    topics = (row.topic0, row.topic1, row.topic2, row.topic3)
    fields: Json = {
        "address": data(row.address),
        "topics": [data(topic) for topic in topics if topic is not None],
        "data": data(row.data),
        "blockNumber": quantity(row.number),
        "blockHash": data(row.block),
        "transactionHash": data(row.transaction),
        "transactionIndex": quantity(row.transaction_position),
        "logIndex": quantity(row.position),
        "removed": removed,
    }
    if timestamp is not None:
        fields["blockTimestamp"] = quantity(timestamp)
    return fields


def access_list(listed: Iterable[tuple[bytes, Sequence[int]]]) -> list[Json]:
    """EIP-2930's list."""
    return [
        {"address": data(address), "storageKeys": [data(slot.to_bytes(32, "big")) for slot in slots]}
        for address, slots in listed
    ]


def _transaction(signed: SignedTransactionAPI, transaction: bytes, sender: bytes) -> Json:
    kind, chain_id = signed.type_id or 0, signed.chain_id or 0
    fields: Json = {
        "hash": data(transaction),
        "type": quantity(kind),
        "nonce": quantity(signed.nonce),
        "from": data(sender),
        "to": data(signed.to) if signed.to else None,
        "value": quantity(signed.value),
        "gas": quantity(signed.gas),
        "input": data(signed.data),
        "chainId": quantity(chain_id),
        "r": quantity(signed.r),
        "s": quantity(signed.s),
    }
    if kind == 0:
        fields["v"] = quantity(_EIP155_OFFSET + 2 * chain_id + signed.y_parity)
    else:
        fields.update(v=quantity(signed.y_parity), yParity=quantity(signed.y_parity))
        fields["accessList"] = access_list(signed.access_list)
    if kind == _DYNAMIC_FEE:
        fields["maxFeePerGas"] = quantity(signed.max_fee_per_gas)
        fields["maxPriorityFeePerGas"] = quantity(signed.max_priority_fee_per_gas)
    else:
        fields["gasPrice"] = quantity(signed.gas_price)
    return fields
