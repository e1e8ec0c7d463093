"""The usage lines that this agent reported, or is about to: kept before they are sent, over a kill -9.

A line that the node may have seen is sent again as it is, never in other words: what the two sides hold must
be the same list, since the roots that receipts carry are over it. Each line is kept with what its root
needs, so that a long lease costs no more than a short one. One table of the agent's file.
"""

import sqlite3
from dataclasses import dataclass
from typing import Any

from ledger.market.identity import Digest, LeaseId
from ledger.market.usage_tree import NO_LINES, Hash, UsageLine, UsageTree

_SCHEMA = """
CREATE TABLE IF NOT EXISTS usage_lines (
    lease BLOB NOT NULL, sequence INTEGER NOT NULL, milliseconds INTEGER NOT NULL,
    cpu_ns INTEGER NOT NULL, peak_bytes INTEGER NOT NULL, last INTEGER NOT NULL,
    peaks BLOB NOT NULL, acknowledged INTEGER NOT NULL, given INTEGER NOT NULL,
    PRIMARY KEY (lease, sequence)
) STRICT, WITHOUT ROWID;
"""
_HASH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLine:
    """A line, the root over the lines up to it, and whether the node said that it has it."""

    line: UsageLine
    evidence: Digest
    acknowledged: bool


class UsageLines:
    """Lines by lease, in the open file of `provider_agent.state_store`."""

    def __init__(self, db: sqlite3.Connection, keccak: Hash) -> None:
        self._db = db
        self._keccak = keccak
        self._db.executescript(_SCHEMA)

    def newest(self, lease: LeaseId) -> KeptLine | None:
        """The lease's newest line; None before the first."""
        row = self._newest(lease)
        return None if row is None else self._kept(row)

    def unacknowledged(self, lease: LeaseId) -> list[KeptLine]:
        """The lines that the node may not have, in their order."""
        rows = self._db.execute(
            "SELECT * FROM usage_lines WHERE lease = ? AND NOT acknowledged ORDER BY sequence",
            (lease,),
        )
        return [self._kept(row) for row in rows]

    def acknowledged(self, lease: LeaseId) -> int:
        """How many lines the node has, for all that it said."""
        query = "SELECT count(*) FROM usage_lines WHERE lease = ? AND acknowledged"
        return int(self._db.execute(query, (lease,)).fetchone()[0])

    def keep(self, line: UsageLine, *, acknowledged: bool = False) -> None:
        """Keep the next line of its lease, for good or until it is dropped."""
        row = self._newest(line.lease)
        tree = (NO_LINES if row is None else _tree(row)).followed_by(line, self._keccak)
        counts = (line.sequence, line.milliseconds, line.cpu_ns, line.peak_bytes)
        self._db.execute(
            "INSERT INTO usage_lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (line.lease, *counts, line.last, b"".join(tree.peaks), acknowledged, acknowledged),
        )

    def acknowledge(self, lease: LeaseId, held: int) -> None:
        """The node has exactly the first `held` lines of the lease: what it lost is to be sent again."""
        self._db.execute(
            "UPDATE usage_lines SET acknowledged = sequence < ?, given = given OR sequence < ?"
            " WHERE lease = ? AND acknowledged <> (sequence < ?)",
            (held, held, lease, held),
        )

    def drop_refused(self, lease: LeaseId) -> None:
        """Forget what was never acknowledged. A line that once was may be under a settled root: it stays."""
        self._db.execute("DELETE FROM usage_lines WHERE lease = ? AND NOT given", (lease,))

    def _newest(self, lease: LeaseId) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(
            "SELECT * FROM usage_lines WHERE lease = ? ORDER BY sequence DESC LIMIT 1", (lease,)
        ).fetchone()
        return row

    def _kept(self, row: tuple[Any, ...]) -> KeptLine:
        return KeptLine(line=_line(row), evidence=_tree(row).root(self._keccak), acknowledged=bool(row[7]))


def _line(row: tuple[Any, ...]) -> UsageLine:
    return UsageLine(
        lease=LeaseId(row[0]),
        sequence=row[1],
        milliseconds=row[2],
        cpu_ns=row[3],
        peak_bytes=row[4],
        last=bool(row[5]),
    )


def _tree(row: tuple[Any, ...]) -> UsageTree:
    packed = bytes(row[6])
    peaks = tuple(packed[at : at + _HASH] for at in range(0, len(packed), _HASH))
    return UsageTree(size=row[1] + 1, peaks=peaks, newest=_line(row))
