"""Proves that a chain's file holds what its headers commit to, after a crash, a restore or a doubt.

A header binds its parent, its transactions, receipts, logs and the state; so every row is checked against the
header above it, and the headers against each other down to the block that the genesis document describes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import rlp
from eth.db.atomic import AtomicDB
from eth_hash.auto import keccak

from ledger.chain.embedded.chain import decode_header
from ledger.chain.embedded.evm import genesis_block, list_root
from ledger.chain.embedded.genesis import Genesis
from ledger.chain.embedded.queries import Queries
from ledger.chain.embedded.rows import BlockRow, LogRow, ReceiptRow
from ledger.chain.embedded.store import Store
from ledger.chain.embedded.walk import state_nodes
from ledger.market.errors import Broken

Progress = Callable[[str, int, int], None]
"""told what is being checked, how much of it is done, and how much there is"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found whole: the head, and how many of everything; states are `oldest_state` to `head`."""

    head: int
    head_hash: bytes
    transactions: int
    logs: int
    nodes: int
    oldest_state: int


def silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def verify(store: Store, identity: Genesis, progress: Progress = silent) -> Verified:
    """Check the canonical chain from block 0 to the head and every state that is kept.

    `Broken` names the first thing that is wrong.
    """
    _check_file(store)
    with store.reading() as query:
        head = query.head()
        transactions = logs = 0
        parent: BlockRow | None = None
        for number in range(head.number + 1):
            block = _linked(query, number, parent)
            counts = _check_contents(query, block)
            transactions, logs, parent = transactions + counts[0], logs + counts[1], block
            progress("blocks", number + 1, head.number + 1)
        _check_genesis(query, identity)
        nodes = _check_states(query, head, progress)
        return Verified(
            head=head.number,
            head_hash=head.hash,
            transactions=transactions,
            logs=logs,
            nodes=nodes,
            oldest_state=query.oldest_state(),
        )


def _check_file(store: Store) -> None:
    findings = store.integrity()
    if findings:
        raise _damaged(f"SQLite finds the file damaged: {findings[0]}")


def _linked(query: Queries, number: int, parent: BlockRow | None) -> BlockRow:
    block = query.block_by_number(number)
    if block is None:
        raise _damaged(f"Block {number} is missing")
    if keccak(block.header) != block.hash:
        raise _damaged(f"The header of block {number} differs from its hash")
    if parent is not None and block.parent != parent.hash:
        raise _damaged(f"Block {number} does not follow block {parent.number}")
    header = decode_header(block)
    named = (header.block_number, bytes(header.parent_hash), header.timestamp)
    if named != (block.number, block.parent, block.timestamp):
        raise _damaged(f"The row of block {number} differs from its header")
    return block


def _check_contents(query: Queries, block: BlockRow) -> tuple[int, int]:
    header = decode_header(block)
    transactions, receipts = query.transactions_of(block.hash), query.receipts_of(block.hash)
    if any(keccak(row.raw) != row.hash for row in transactions):
        raise _damaged(f"A transaction of block {block.number} differs from its hash")
    if list_root([row.raw for row in transactions]) != header.transaction_root:
        raise _damaged(f"The transactions of block {block.number} are not those of its header")
    logs = [query.logs_of(block.hash, row.position) for row in receipts]
    encoded = [_receipt(row, emitted) for row, emitted in zip(receipts, logs, strict=True)]
    if list_root(encoded) != header.receipt_root:
        raise _damaged(f"The receipts or logs of block {block.number} are not those of its header")
    return len(transactions), sum(len(emitted) for emitted in logs)


def _check_genesis(query: Queries, identity: Genesis) -> None:
    first = query.block_by_number(0)
    if first is None or first.hash != bytes(genesis_block(AtomicDB(), identity).hash):
        raise Broken(
            "chain-genesis-differs",
            "Block 0 is not the one that the genesis document describes.",
            "Put the chain file and the genesis document of one chain together.",
        )


def _check_states(query: Queries, head: BlockRow, progress: Progress) -> int:
    known: set[tuple[bytes, bytes]] = set()
    oldest = query.oldest_state()
    blocks = query.blocks_between(oldest, head.number)
    for done, block in enumerate(blocks, start=1):
        for node in state_nodes(query.node, bytes(decode_header(block).state_root), known):
            known.add((node.owner, node.hash))
        progress("states", done, len(blocks))
    return len(known)


def _receipt(row: ReceiptRow, logs: Sequence[LogRow]) -> bytes:
    events = [
        [
            log.address,
            [topic for topic in (log.topic0, log.topic1, log.topic2, log.topic3) if topic],
            log.data,
        ]
        for log in logs
    ]
    body: bytes = rlp.encode([row.status, row.cumulative_gas, row.bloom, events])
    return bytes([row.type]) + body if row.type else body


def _damaged(cause: str) -> Broken:
    return Broken("chain-damaged", f"{cause}.", "Restore the chain from a backup.")
