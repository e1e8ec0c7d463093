"""Which block a request means: a number, a tag, or a hash with EIP-1898's objects around them.

`pending` is no block on disk: who can answer for it asks `is_pending` first; for everybody else it is the
head, as on a node that builds no blocks.
"""

from typing import Any

from ledger.chain.embedded import parameters
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.queries import Queries
from ledger.chain.embedded.rows import BlockRow
from ledger.chain.embedded.rpc_error import SERVER_ERROR, RpcError, invalid

TAGS = frozenset({"latest", "pending", "safe", "finalized", "earliest"})
HIGHEST = 2**63 - 1
"""what an SQLite integer holds"""
_HASH_TEXT = len("0x") + 64


def is_pending(block: object) -> bool:
    """Whether the request means the block that is not sealed yet."""
    return _unwrapped(block) == "pending"


class BlockReferences:
    """Resolves references on one chain. `safe` and `finalized` are the block `finality` behind the head."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain

    def read(self, block: object) -> BlockRow:
        """As `require`, in a reading of its own."""
        with self._chain.store.reading() as query:
            return self.require(query, block)

    def require(self, query: Queries, block: object) -> BlockRow:
        """The block. `RpcError` when there is none, or one that EIP-1898 wanted canonical is not."""
        row = self.find(query, block)
        if row is None:
            raise RpcError(SERVER_ERROR, "header not found")
        wanted_canonical = isinstance(block, dict) and block.get("requireCanonical") is True
        if wanted_canonical and not query.is_canonical(row):
            raise RpcError(SERVER_ERROR, "hash is not currently canonical")
        return row

    def find(self, query: Queries, block: object) -> BlockRow | None:
        """The block; None when there is none."""
        block = _unwrapped(block)
        if isinstance(block, str) and len(block) == _HASH_TEXT:
            return query.block_by_hash(parameters.block_hash(block))
        return query.block_by_number(self.number(query, block))

    def number(self, query: Queries, block: object) -> int:
        """The height that a number or tag names; no reference is the head."""
        if block is None or (isinstance(block, str) and block in TAGS):
            head = query.head().number
            behind = {"safe": self._chain.finality, "finalized": self._chain.finality, "earliest": head}
            return max(head - behind.get(str(block), 0), 0)
        return min(parameters.quantity(block, "block"), HIGHEST)

    def span(self, query: Queries, wanted: dict[str, Any]) -> tuple[int, int]:
        """First and last height of a log filter; (0, 0) for one that names a block by hash."""
        if wanted.get("blockHash") is not None:
            if "fromBlock" in wanted or "toBlock" in wanted:
                raise invalid("cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other")
            if query.block_by_hash(parameters.block_hash(wanted["blockHash"])) is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            return 0, 0
        first, last = (self.number(query, wanted.get(key)) for key in ("fromBlock", "toBlock"))
        if first > last:
            raise invalid("invalid block range params")
        return first, last


def _unwrapped(block: object) -> object:
    if not isinstance(block, dict):
        return block
    if ("blockHash" in block) == ("blockNumber" in block):
        raise invalid("name the block by either blockHash or blockNumber")
    reference = block.get("blockHash", block.get("blockNumber"))
    if "blockHash" in block:
        parameters.block_hash(reference)
    return reference
