"""Everything an operator can set, read once at the start; below this module single values are passed."""

from dataclasses import dataclass
from pathlib import Path

from ledger.chain.external_signer import ExternalAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """One node. Sizes are bytes, times seconds."""

    directory: Path
    """books, blobs, job logs, the node's key, and the embedded chain if it has one; what several processes
    on one PostgreSQL share"""
    books: str = ""
    """where the books are: a path, sqlite:///path or postgresql://…; "" is a file in the directory"""
    host: str = "127.0.0.1"
    port: int = 8440
    """0 takes a free one; the chosen address is written to `node.url` in the directory"""
    advertised: str = ""
    """where other processes of this node reach this one; "" is the address that it listens at"""
    rpc_url: str | None = None
    """None: an embedded chain is started and supervised"""
    market: str | None = None
    """the market's address; None: the embedded chain's own"""
    confirmations: int = 1
    """how deep a block must lie before its events count: 1, the head, for an embedded chain; 12 or more
    elsewhere"""
    first_block: int = 0
    """where the market was deployed, so that nothing before it is read"""
    seal_seconds: float = 0.2
    """embedded chain: the longest a transaction waits for its block"""
    seal_on_demand: bool = False
    """embedded chain: blocks only when asked for (test grids)"""
    heartbeat_timeout: int = 10
    """an agent that is silent for longer gets no new lease"""
    lost_after: int = 30
    """an agent that is silent for longer has lost its leases: they end and are refunded"""
    blob_limit: int = 4 << 30
    """the largest single upload"""
    store_limit: int = 64 << 30
    """all uploads together"""
    chunk_limit: int = 8 << 20
    """one request's body"""
    log_limit: int = 16 << 20
    """the log kept of one lease; what comes after is dropped, and said so"""
    epoch_days: int = 30
    """for how many days the pages of published epochs are kept; their headers stay"""
    epoch_limit: int = 16 << 30
    """all pages of published epochs together"""
    gas_budget: int | None = None
    """the most wei that the node's transactions of one UTC day may cost; None sets no limit"""
    signer: ExternalAccount | None = None
    """the account of an external signer that is the node's; None: the key in the directory"""
    poll_seconds: float = 0.1
    """how often the chain is asked for a new head"""

    @property
    def books_url(self) -> str:
        """Where the books are, by default too."""
        return self.books or str(self.directory / "books.sqlite3")
