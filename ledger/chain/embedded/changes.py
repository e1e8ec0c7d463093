"""What an executed block changes on disk, and which branch it makes the canonical one.

The longer branch wins, of equal ones the older; a block that extends the head is decided without a search.
"""

from ledger.chain.embedded import evm
from ledger.chain.embedded.database import OverlayDatabase
from ledger.chain.embedded.queries import Queries
from ledger.chain.embedded.rows import BlockChanges, BlockRow, NodeRow, ReplacedRow


def changes_of(query: Queries, overlay: OverlayDatabase, candidate: evm.Candidate) -> BlockChanges:
    """The changes of a block whose state was noted in `overlay`."""
    block = evm.block_row(candidate.block)
    joined, left = fork_choice(query, block)
    nodes, replaced = state_rows(overlay, block)
    return BlockChanges(
        nodes=nodes,
        replaced=replaced,
        block=block,
        transactions=evm.transaction_rows(candidate),
        receipts=evm.receipt_rows(candidate),
        logs=evm.log_rows(candidate),
        canonical=joined,
        orphaned=left,
    )


def first_changes(overlay: OverlayDatabase, block: BlockRow) -> BlockChanges:
    """The changes of a block 0, or of any that holds nothing and is canonical."""
    nodes, replaced = state_rows(overlay, block)
    return BlockChanges(
        nodes=nodes,
        replaced=replaced,
        block=block,
        transactions=(),
        receipts=(),
        logs=(),
        canonical=(block.hash,),
        orphaned=(),
    )


def fork_choice(query: Queries, block: BlockRow) -> tuple[list[bytes], list[bytes]]:
    """The blocks that join and leave the canonical chain with `block`.

    The longer branch wins, of equal ones the older: nothing changes unless the block is above the head.
    """
    head = query.head()
    if block.parent == head.hash:
        return [block.hash], []
    if block.number <= head.number:
        return [], []
    joined, parent = [block.hash], query.block_by_hash(block.parent)
    while parent is not None and not query.is_canonical(parent):
        joined.append(parent.hash)
        parent = query.block_by_hash(parent.parent)
    fork = -1 if parent is None else parent.number
    return joined, [left.hash for left in query.blocks_between(fork + 1, head.number)]


def state_rows(overlay: OverlayDatabase, block: BlockRow) -> tuple[list[NodeRow], list[ReplacedRow]]:
    """What the block made and replaced, as the store keeps it."""
    written = overlay.written()
    nodes = [NodeRow(key, owner, block.number, value) for (owner, key), value in written.items()]
    replaced = [
        ReplacedRow(block.number, block.hash, owner, b"".join(keys))
        for owner, keys in overlay.replaced().items()
    ]
    return nodes, replaced
