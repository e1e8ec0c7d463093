"""What one sealed block leaves behind, so that readers never decode a trie to answer a question.

py-evm keeps transactions and receipts in tries keyed by block; a look-up by hash or a log filter would
walk them. These rows are their decoded form, in the column order of the tables in `store`.
"""

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockChanges:
    """Everything that one block adds; committed whole or not at all.

    `canonical` and `orphaned` are the hashes that join and leave the canonical chain, the new block
    among the former unless it stays on a side branch.
    """

    nodes: Mapping[bytes, bytes | None]
    block: BlockRow
    transactions: Sequence[TransactionRow]
    receipts: Sequence[ReceiptRow]
    logs: Sequence[LogRow]
    canonical: Sequence[bytes]
    orphaned: Sequence[bytes]
