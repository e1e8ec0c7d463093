"""Rows to the JSON objects of the Ethereum JSON-RPC specification (execution-apis), hex and all."""

from collections.abc import Sequence
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


def block(row: BlockRow, transactions: Sequence[TransactionRow], *, full: bool) -> Json:
    """A block object with transaction hashes, or whole transactions when `full`."""
    header = decode_header(row)
    fields: Json = {
        "number": quantity(row.number),
        "hash": data(row.hash),
        "parentHash": data(row.parent),
        "sha3Uncles": data(header.uncles_hash),
        "miner": data(header.coinbase),
        "stateRoot": data(header.state_root),
        "transactionsRoot": data(header.transaction_root),
        "receiptsRoot": data(header.receipt_root),
        "withdrawalsRoot": data(header.withdrawals_root or b""),
        "parentBeaconBlockRoot": data(header.parent_beacon_block_root or b""),
        "requestsHash": data(header.requests_hash),
        "logsBloom": data(header.bloom.to_bytes(256, "big")),
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "baseFeePerGas": quantity(base_fee(header)),
        "blobGasUsed": quantity(header.blob_gas_used),
        "excessBlobGas": quantity(header.excess_blob_gas),
        "timestamp": quantity(row.timestamp),
        "extraData": data(header.extra_data),
        "mixHash": data(header.mix_hash),
        "nonce": data(header.nonce),
        "size": quantity(row.size),
        "uncles": [],
        "withdrawals": [],
    }
    if full:
        burnt = base_fee(header)
        fields["transactions"] = [included(tx, row.number, burnt) for tx in transactions]
    else:
        fields["transactions"] = [data(tx.hash) for tx in transactions]
    return fields


def included(row: TransactionRow, number: int, burnt: int) -> Json:
    """A transaction object of a sealed block."""
    fields = _transaction(decode(row.raw), row.hash, row.sender)
    fields["blockHash"] = data(row.block)
    fields["blockNumber"] = quantity(number)
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


def log(row: LogRow, timestamp: int | None = None) -> Json:
    """A log object; `blockTimestamp` is there where the caller knows it."""
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
        "removed": False,
    }
    if timestamp is not None:
        fields["blockTimestamp"] = quantity(timestamp)
    return fields


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
        fields["accessList"] = [_access(address, slots) for address, slots in signed.access_list]
    if kind == _DYNAMIC_FEE:
        fields["maxFeePerGas"] = quantity(signed.max_fee_per_gas)
        fields["maxPriorityFeePerGas"] = quantity(signed.max_priority_fee_per_gas)
    else:
        fields["gasPrice"] = quantity(signed.gas_price)
    return fields


def _access(address: bytes, slots: Sequence[int]) -> Json:
    return {"address": data(address), "storageKeys": [data(slot.to_bytes(32, "big")) for slot in slots]}
