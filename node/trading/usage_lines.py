"""The node holds every usage line of a lease in order, and takes the next one only with the root it gives.

An agent sends a line until it is acknowledged, so the same line may come again: it is the one that is held.
Anything else out of its place shows that the two do not have the same lines, and nothing is signed for it.
What the next root needs is remembered for each lease, and read from the books again where it is not.
"""

from collections import OrderedDict

from ledger.books.queries import Queries
from ledger.books.rows import LeaseRow
from ledger.chain.typed_data import keccak
from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import UsageReported
from ledger.market.identity import NO_DIGEST, LeaseId, text
from ledger.market.receipt import UsageReceipt
from ledger.market.usage_tree import NO_LINES, UsageLine, UsageProof, UsageTree, lines_differ, prove

_REMEMBERED = 4_096


class UsageLines:
    """The trees of the leases that report; use it inside the unit of work that keeps the line."""

    def __init__(self) -> None:
        self._trees: OrderedDict[LeaseId, UsageTree] = OrderedDict()

    def holds(self, queries: Queries, fact: UsageReported) -> bool:
        """Whether this very line is held; `LostRace` "usage-lines-differ" where another is in its place."""
        sequence = _numbered(fact)
        held = queries.usage_lines(fact.lease, sequence, 1)
        if not held:
            return False
        if line_of(held[0]) != line_of(fact) or held[0].evidence != fact.evidence:
            raise lines_differ(fact.lease, held_lines(queries, fact.lease))
        return True

    def check_next(self, queries: Queries, row: LeaseRow, fact: UsageReported) -> None:
        """Refuse a line that is not the next one, or whose `evidence` is not the root that it gives."""
        tree = self._tree(queries, row).followed_by(line_of(fact), keccak)
        if tree.root(keccak) != fact.evidence:
            raise lines_differ(fact.lease, tree.size - 1)
        self._remember(row.id, tree)

    def _tree(self, queries: Queries, row: LeaseRow) -> UsageTree:
        tree, size = self._trees.get(row.id, NO_LINES), lines_held(row)
        newest = NO_DIGEST if size == 0 or row.usage is None else row.usage.evidence
        # What was remembered may have been undone with its unit of work.
        return tree if (tree.size, tree.root(keccak)) == (size, newest) else _read(queries, row.id)

    def _remember(self, lease: LeaseId, tree: UsageTree) -> None:
        self._trees[lease] = tree
        self._trees.move_to_end(lease)
        if len(self._trees) > _REMEMBERED:
            self._trees.popitem(last=False)


def line_of(fact: UsageReported) -> UsageLine:
    """The line that a report is."""
    return UsageLine(
        lease=fact.lease,
        sequence=_numbered(fact),
        milliseconds=fact.milliseconds,
        cpu_ns=fact.cpu_ns,
        peak_bytes=fact.peak_bytes,
        last=fact.last,
    )


def lines_held(row: LeaseRow) -> int:
    """How many lines of the lease are held."""
    usage = row.usage
    return 0 if usage is None or usage.sequence is None else usage.sequence + 1


def held_lines(queries: Queries, lease: LeaseId) -> int:
    """The same, where no row is at hand."""
    row = queries.lease(lease)
    return 0 if row is None else lines_held(row)


def check_evidence(queries: Queries, receipt: UsageReceipt) -> None:
    """Refuse a receipt signed elsewhere over lines that this node does not hold: nobody could prove one of
    them. One for no line at all carries `NO_DIGEST`."""
    if receipt.evidence == NO_DIGEST or queries.is_evidence(receipt.lease, receipt.evidence):
        return
    raise Rejected(
        "unknown-evidence",
        f"{text(receipt.evidence)} is not the root of this lease's usage lines.",
        "Sign the evidence of a report that the node shows.",
    )


def proof_of(queries: Queries, lease: LeaseId, sequence: int) -> tuple[UsageProof, bytes]:
    """The proof of a line under the newest root that the chain shows for the lease, and the transaction that
    settled it.

    `Rejected` "unknown-line" where there is no such line, `LostRace` "line-not-settled" where no root on the
    chain is over it: not yet, or, on a closed lease, because what closed it came before.
    """
    lines = queries.usage_lines(lease)
    if sequence >= len(lines):
        raise Rejected(
            "unknown-line",
            f"The lease {text(lease)} has {len(lines)} usage lines; line {sequence} is none of them.",
            "Count from 0.",
        )
    sizes = {line.evidence: number for number, line in enumerate(lines, start=1)}
    for settled in reversed(queries.settlements(lease)):
        size = sizes.get(getattr(settled.event, "evidence", NO_DIGEST), 0)
        if size > sequence:
            covered = [line_of(line) for line in lines[:size]]
            return prove(covered, sequence, keccak), settled.transaction
    raise LostRace(
        "line-not-settled",
        f"No receipt on the chain is for line {sequence} of the lease {text(lease)}.",
        "Wait until the lease's next receipt is settled; one that closed before the line never will be.",
    )


def _read(queries: Queries, lease: LeaseId) -> UsageTree:
    tree = NO_LINES
    for fact in queries.usage_lines(lease):
        tree = tree.followed_by(line_of(fact), keccak)
    return tree


def _numbered(fact: UsageReported) -> int:
    if fact.sequence is None:
        raise Rejected("missing-key", "The report names no sequence.", "Run an agent of this release.")
    return fact.sequence
