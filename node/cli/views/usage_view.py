"""Usage lines for people, and what a verified proof says."""

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.market.events import BlockRef, UsageSettled
from ledger.market.identity import text
from ledger.market.usage_plain import SettledLine
from node.cli.views.output import Render, table

_COLUMNS = ("line", "metered", "cpu", "peak memory", "last", "evidence")


def lines_table(lease: str, lines: Sequence[Mapping[str, Any]]) -> Render:
    """One row a line: seconds, CPU seconds and MiB, all since the lease's start."""
    rows = [
        (
            one["sequence"],
            f"{one['milliseconds'] / 1000:.3f} s",
            f"{one['cpu_ns'] / 1e9:.3f} s",
            f"{one['peak_bytes'] / (1 << 20):.1f} MiB",
            "yes" if one["last"] else "",
            one["evidence"],
        )
        for one in lines
    ]
    return table(f"Usage of the lease {lease}", _COLUMNS, rows)


def verified_plain(settled: SettledLine, event: UsageSettled, block: BlockRef) -> dict[str, Any]:
    """The line, and the payment whose root it is under; amounts in base units."""
    line = settled.proof.line
    return {
        "proven": True,
        "chain_id": settled.chain_id,
        "market": text(settled.market),
        "lease": text(line.lease),
        "line": line.sequence,
        "of_lines": settled.proof.lines,
        "milliseconds": line.milliseconds,
        "cpu_ns": line.cpu_ns,
        "peak_bytes": line.peak_bytes,
        "last": line.last,
        "evidence": text(event.evidence),
        "buyer": text(event.buyer),
        "provider": text(event.provider),
        "settled_milliseconds": event.milliseconds,
        "paid": str(event.paid),
        "transaction": text(settled.transaction),
        "block": block.number,
        "at": block.at,
    }
