"""What a stranger asks the chain about a usage line: whether the root that line and path give was settled.

Nothing in a proof is believed. The root is computed, and the named transaction's own logs must hold it, in a
`UsageSettled` of that lease by that market: so the line was among those that the lease's signer agreed to and
the provider was paid for. Which market counts is for the stranger to know.
"""

from dataclasses import dataclass
from typing import Protocol

from ledger.chain.client import MinedReceipt
from ledger.chain.typed_data import keccak
from ledger.market.errors import Rejected
from ledger.market.events import BlockRef, UsageSettled
from ledger.market.identity import text
from ledger.market.usage_plain import SettledLine


class MarketOnChain(Protocol):
    """The proof's market on the stranger's own chain; `ledger.chain.client.MarketClient` is one."""

    def check_chain(self, expected: int) -> None: ...

    def receipt(self, transaction: bytes) -> MinedReceipt | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Where the root was found, and what was paid with it."""

    event: UsageSettled
    block: BlockRef


def settlement_of(market: MarketOnChain, settled: SettledLine) -> Settlement:
    """The payment whose root is over the line.

    `Rejected` "usage-not-proven" where the transaction settled no such root, "unknown-transaction" where the
    chain does not hold it, "wrong-chain", or "usage-proof-malformed".
    """
    root = settled.proof.root(keccak)
    market.check_chain(settled.chain_id)
    mined = market.receipt(settled.transaction)
    if mined is None:
        raise Rejected(
            "unknown-transaction",
            f"The chain holds no transaction {text(settled.transaction)}.",
            "Ask for the proof again; a reorganisation may have moved the payment.",
        )
    for event in mined.events:
        if not isinstance(event, UsageSettled) or event.lease != settled.proof.line.lease:
            continue
        if event.evidence == root:
            return Settlement(event=event, block=mined.block)
    raise Rejected(
        "usage-not-proven",
        f"The transaction settled no root {text(root)} of that lease.",
        "The line is not among those that were paid for, or the proof was altered.",
    )
