"""The buyer's own view of a lease's usage lines: it signs a root that it computed, never one it was shown.

Lines are read from the node and added to those that were read before. A report's root is agreed to where it
is theirs, and where they still begin with the lines that this key has agreed to: a line that was signed for
can be neither changed nor taken out afterwards.
"""

from dataclasses import dataclass

from ledger.chain.typed_data import keccak
from ledger.market.errors import MarketError, Rejected
from ledger.market.identity import NO_DIGEST, Digest, LeaseId, from_text, text
from ledger.market.plain import Reader
from ledger.market.usage_plain import read_line
from ledger.market.usage_tree import NO_LINES, UsageLine, UsageTree
from node.buying.client import NodeClient, Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedLines:
    """The lines that were read of a lease, and the root that this key signed last (`NO_DIGEST`: none)."""

    tree: UsageTree = NO_LINES
    signed: Digest = NO_DIGEST

    @property
    def root(self) -> Digest:
        return self.tree.root(keccak)


def read_lines(node: NodeClient, lease: LeaseId, report: Plain, known: AgreedLines) -> AgreedLines:
    """The lease's lines up to `report`, the node's newest; `Rejected` "report-refused" where they are not
    what the report stands for, or do not go on from those that were agreed to."""
    last = report.get("sequence")
    if type(last) is not int:
        raise report_refused("The report names no line of usage.")
    tree = known.tree
    agreed = known.signed in (NO_DIGEST, known.root)
    while tree.size <= last:
        page = node.usage_lines(text(lease), tree.size)
        if not page:
            raise report_refused(f"The node does not show line {tree.size}, though it reports line {last}.")
        for shown in page[: last + 1 - tree.size]:
            tree = _followed(tree, _line(lease, shown))
            agreed = agreed or tree.root(keccak) == known.signed
    if not agreed:
        raise report_refused("The lines that the node shows are not those that were signed for before.")
    found = AgreedLines(tree=tree, signed=known.signed)
    if found.root != from_text(str(report["evidence"]), 32) or not _says(tree.newest, report):
        raise report_refused("The report is not what its lines say.")
    return found


def _followed(tree: UsageTree, line: UsageLine) -> UsageTree:
    try:
        return tree.followed_by(line, keccak)
    except MarketError as exc:
        raise report_refused(f"The node's lines do not follow each other: {exc.cause}") from exc


def _line(lease: LeaseId, shown: object) -> UsageLine:
    return read_line(lease, Reader(shown, "line"))


def _says(newest: UsageLine | None, report: Plain) -> bool:
    """Whether the newest line is the report; of an earlier report the lines were read already."""
    if newest is None or newest.sequence != report["sequence"]:
        return False
    return (newest.milliseconds, newest.last) == (report["milliseconds"], report["last"])


def report_refused(cause: str) -> Rejected:
    """Why a signer does not agree to what the node shows of a lease."""
    return Rejected(
        "report-refused", cause, "Nothing was signed; cancel the job if the provider does not correct it."
    )
