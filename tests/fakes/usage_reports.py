"""What an agent would report next of a lease, and what a node shows of what was reported."""

from typing import Any

from ledger.books.queries import Queries
from ledger.chain.typed_data import keccak
from ledger.market.errors import Rejected
from ledger.market.facts import UsageReported
from ledger.market.identity import NO_DIGEST, Digest, LeaseId, text
from ledger.market.usage_plain import line_to_plain
from ledger.market.usage_tree import NO_LINES, UsageLine, UsageTree
from node.trading.usage_lines import line_of


def next_line(
    queries: Queries, lease: LeaseId, milliseconds: int, *, last: bool = False, at: int
) -> UsageReported:
    """The line after those that are held, with the root that it gives; no counters were read. The newest
    line itself where it says the same; what no agent would say has no root."""
    held = queries.usage_lines(lease)
    if held and (held[-1].milliseconds, held[-1].last) == (milliseconds, last):
        return held[-1]
    tree = NO_LINES
    for fact in held:
        tree = tree.followed_by(line_of(fact), keccak)
    line = _after(tree, lease, milliseconds, last=last)
    try:
        evidence = tree.followed_by(line, keccak).root(keccak)
    except Rejected:
        evidence = NO_DIGEST
    return reported(line, evidence, at)


def _after(tree: UsageTree, lease: LeaseId, milliseconds: int, *, last: bool) -> UsageLine:
    return UsageLine(
        lease=lease, sequence=tree.size, milliseconds=milliseconds, cpu_ns=0, peak_bytes=0, last=last
    )


def reported(line: UsageLine, evidence: Digest, at: int) -> UsageReported:
    """The report that brings a line."""
    return UsageReported(
        lease=line.lease,
        milliseconds=line.milliseconds,
        cpu_ns=line.cpu_ns,
        peak_bytes=line.peak_bytes,
        evidence=evidence,
        last=line.last,
        at=at,
        sequence=line.sequence,
    )


class ShownLines:
    """The lines of a lease as a node's API shows them."""

    def __init__(self, lease: LeaseId) -> None:
        self.lease = lease
        self.tree = NO_LINES
        self.lines: list[dict[str, Any]] = []

    def add(self, milliseconds: int, *, last: bool = False) -> dict[str, Any]:
        """One more line; the report that it came with."""
        line = _after(self.tree, self.lease, milliseconds, last=last)
        self.tree = self.tree.followed_by(line, keccak)
        self.lines.append(line_to_plain(line) | {"evidence": text(self.tree.root(keccak)), "at": 0})
        return self.lines[-1]

    def page(self, first: int, limit: int = 1_000) -> dict[str, Any]:
        """What `GET …/usage/lines` answers."""
        return {"held": len(self.lines), "lines": self.lines[first : first + limit]}
