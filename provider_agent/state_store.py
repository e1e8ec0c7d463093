"""What the agent remembers over a kill -9: each lease's state, its document, the cursor, its offers.

One SQLite file, one writer (the agent's loop), each change durable before the call returns. The outbox
keeps its own file; its intents are unique by key, so the two need no common transaction.
"""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ledger.books.mapping import dumps, loads
from ledger.chain.follower import FollowCursor
from ledger.chain.typed_data import keccak
from ledger.market.bid import Bid
from ledger.market.errors import Unavailable
from ledger.market.identity import LeaseId, OfferId
from ledger.market.job import Job, job_from_plain
from ledger.market.offer import Offer
from ledger.market.policy import Policy
from provider_agent.lifecycle.lease_state import LeaseState, Stage
from provider_agent.usage_lines import UsageLines

T = TypeVar("T")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
    id BLOB PRIMARY KEY, block INTEGER NOT NULL, gone INTEGER NOT NULL, state TEXT NOT NULL,
    job TEXT, devices TEXT NOT NULL DEFAULT '[]',
    cpu_ns INTEGER NOT NULL DEFAULT 0, peak_bytes INTEGER NOT NULL DEFAULT 0,
    paid INTEGER NOT NULL DEFAULT 0, bid TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS present ON leases (gone);
CREATE TABLE IF NOT EXISTS offers (
    id BLOB PRIMARY KEY, offer TEXT NOT NULL, registered INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The highest counters seen of a job: CPU nanoseconds and peak bytes of memory."""

    cpu_ns: int = 0
    peak_bytes: int = 0


class StateStore:
    """The agent's memory; for the thread that opened it."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self.usage_lines = UsageLines(self._db, keccak)
        except (OSError, sqlite3.Error) as exc:
            raise Unavailable(
                "state-unreadable",
                f"{path} cannot be opened: {exc}.",
                "Check the directory's rights and space.",
            ) from exc

    def close(self) -> None:
        self._db.close()

    def save(self, state: LeaseState, block: int | None = None) -> None:
        """Keep a lease's state; `block` is the number of the block that opened it."""
        self._db.execute(
            "INSERT INTO leases (id, block, gone, state) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET block = coalesce(?, block), gone = excluded.gone, state = excluded.state",
            (state.id, block or 0, state.stage is Stage.GONE, dumps(state), block),
        )

    def present(self) -> dict[LeaseId, LeaseState]:
        """Every lease that is not yet done with."""
        rows = self._db.execute("SELECT id, state FROM leases WHERE NOT gone")
        return {LeaseId(row[0]): loads(LeaseState, row[1]) for row in rows}

    def lease(self, lease: LeaseId) -> LeaseState | None:
        """One lease, done with or not."""
        row = self._row("SELECT state FROM leases WHERE id = ?", lease)
        return None if row is None else loads(LeaseState, row[0])

    def opened_above(self, block: int) -> list[LeaseId]:
        """Leases whose opening block has a higher number."""
        rows = self._db.execute("SELECT id FROM leases WHERE block > ?", (block,))
        return [LeaseId(row[0]) for row in rows]

    def keep_job(self, lease: LeaseId, job: Job, devices: tuple[str, ...]) -> None:
        """Keep a verified job and the devices assigned to it."""
        self._db.execute(
            "UPDATE leases SET job = ?, devices = ? WHERE id = ?",
            (json.dumps(job.to_plain()), json.dumps(devices), lease),
        )

    def keep_bid(self, lease: LeaseId, bid: Bid) -> None:
        """Keep the bid that the lease's terms are the hash of."""
        self._db.execute("UPDATE leases SET bid = ? WHERE id = ?", (dumps(bid), lease))

    def inherit(self, lease: LeaseId, before: LeaseId) -> None:
        """Let a lease begin with job, devices and counters of the one that it continues."""
        self._db.execute(
            "UPDATE leases SET (job, devices, cpu_ns, peak_bytes) ="
            " (SELECT job, devices, cpu_ns, peak_bytes FROM leases WHERE id = ?) WHERE id = ?",
            (before, lease),
        )

    def bid(self, lease: LeaseId) -> Bid | None:
        """The lease's verified bid; None before there was one."""
        row = self._row("SELECT bid FROM leases WHERE id = ?", lease)
        return loads(Bid, row[0]) if row and row[0] else None

    def job(self, lease: LeaseId) -> Job | None:
        """The lease's verified job; None before there was one."""
        row = self._row("SELECT job FROM leases WHERE id = ?", lease)
        return job_from_plain(json.loads(row[0])) if row and row[0] else None

    def devices(self, lease: LeaseId) -> tuple[str, ...]:
        """The devices assigned to the lease, by CDI name."""
        row = self._row("SELECT devices FROM leases WHERE id = ?", lease)
        return tuple(json.loads(row[0])) if row else ()

    def keep_sample(self, lease: LeaseId, sample: Sample) -> None:
        """Raise the lease's highest counters; they never fall."""
        self._db.execute(
            "UPDATE leases SET cpu_ns = max(cpu_ns, ?), peak_bytes = max(peak_bytes, ?) WHERE id = ?",
            (sample.cpu_ns, sample.peak_bytes, lease),
        )

    def sample(self, lease: LeaseId) -> Sample:
        """The lease's highest counters so far."""
        row = self._row("SELECT cpu_ns, peak_bytes FROM leases WHERE id = ?", lease)
        return Sample(cpu_ns=row[0], peak_bytes=row[1]) if row else Sample()

    def keep_cursor(self, cursor: FollowCursor) -> None:
        """Remember how far the chain was followed; what it told is committed already."""
        self._note("cursor", cursor)

    def cursor(self) -> FollowCursor | None:
        """How far the chain was followed; None at the first start."""
        return self._noted("cursor", FollowCursor)

    def keep_offer(self, name: OfferId, offer: Offer, *, registered: bool) -> None:
        """Remember an offer of this agent: before it is registered, and when the chain has it."""
        self._db.execute(
            "INSERT INTO offers VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET registered = max(registered, excluded.registered)",
            (name, dumps(offer), registered),
        )

    def forget_offer(self, name: OfferId) -> None:
        """The chain has cancelled it, or will never register it."""
        self._db.execute("DELETE FROM offers WHERE id = ?", (name,))

    def offers(self) -> dict[OfferId, tuple[Offer, bool]]:
        """Offers of this agent, oldest first, and whether the chain has each."""
        rows = self._db.execute("SELECT id, offer, registered FROM offers ORDER BY rowid")
        return {OfferId(row[0]): (loads(Offer, row[1]), bool(row[2])) for row in rows}

    def keep_paid(self, lease: LeaseId, paid: int) -> None:
        """Remember the base units that the chain has paid for the lease in total."""
        self._db.execute("UPDATE leases SET paid = max(paid, ?) WHERE id = ?", (paid, lease))

    def earned(self) -> int:
        """Base units that all leases have paid, the matchers' fees among them."""
        return sum(self.payments())

    def payments(self) -> list[int]:
        """Base units that each lease has paid."""
        return [int(row[0]) for row in self._db.execute("SELECT paid FROM leases WHERE paid > 0")]

    def keep_policy(self, policy: Policy) -> None:
        """Remember the market's windows, so that a restart does not need the chain to know them."""
        self._note("policy", policy)

    def policy(self) -> Policy | None:
        """The market's windows, as last read from the contract."""
        return self._noted("policy", Policy)

    def _note(self, name: str, value: object) -> None:
        self._db.execute(
            "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
            (name, dumps(value)),
        )

    def _noted(self, name: str, kind: type[T]) -> T | None:
        row = self._db.execute("SELECT body FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else loads(kind, row[0])

    def _row(self, query: str, lease: LeaseId) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(query, (lease,)).fetchone()
        return row
