"""What one sealed block leaves behind, so that readers never decode a trie to answer a question.

A header commits to transactions and receipts by tries; a look-up by hash or a log filter would walk them.
These rows are their decoded form, in the column order of the tables in `schema`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class BlockRow(NamedTuple):
    """A block: `header` is its RLP, `size` the length in bytes of the whole block's RLP."""

    hash: bytes
    number: int
    parent: bytes
    timestamp: int
    header: bytes
    size: int


class TransactionRow(NamedTuple):
    """A transaction as it was received (`raw`, EIP-2718), at its place in one block."""

    block: bytes
    position: int
    hash: bytes
    sender: bytes
    raw: bytes


class ReceiptRow(NamedTuple):
    """The outcome of one transaction; `price` is decimal text because wei pass SQLite's 63 bits."""

    block: bytes
    position: int
    type: int
    status: int
    gas_used: int
    cumulative_gas: int
    price: str
    contract: bytes | None
    bloom: bytes


class LogRow(NamedTuple):
    """One event; `position` counts through the block, `transaction_position` names the emitter."""

    block: bytes
    position: int
    number: int
    transaction_position: int
    transaction: bytes
    address: bytes
    topic0: bytes | None
    topic1: bytes | None
    topic2: bytes | None
    topic3: bytes | None
    data: bytes


class NodeRow(NamedTuple):
    """A trie node or code: `owner` is the trie that has it, `number` the block that last wrote it."""

    hash: bytes
    owner: bytes
    number: int
    value: bytes


class ReplacedRow(NamedTuple):
    """The nodes, 32 bytes each, that the block took out of `owner`'s trie."""

    number: int
    block: bytes
    owner: bytes
    hashes: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockChanges:
    """Everything that one block adds; committed whole or not at all.

    `canonical` and `orphaned` are the hashes that join and leave the canonical chain, the new block
    among the former unless it stays on a side branch.
    """

    nodes: Sequence[NodeRow]
    replaced: Sequence[ReplacedRow]
    block: BlockRow
    transactions: Sequence[TransactionRow]
    receipts: Sequence[ReceiptRow]
    logs: Sequence[LogRow]
    canonical: Sequence[bytes]
    orphaned: Sequence[bytes]
