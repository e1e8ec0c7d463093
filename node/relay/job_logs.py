"""Job logs: what a lease's container wrote, appended by byte offset so that a resend adds nothing.

One file a lease, bounded; the buyer reads it while it grows. A log is not money: it is written through
to the operating system, not synced.
"""

import threading
from pathlib import Path

from ledger.market.errors import LostRace
from ledger.market.identity import LeaseId

_TRUNCATED = b"\n[bingwang: the log limit is reached; what follows is dropped]\n"


class JobLogs:
    """Append-only byte files below one folder, each at most `limit` bytes."""

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)

    def append(self, lease: LeaseId, offset: int, data: bytes) -> int:
        """Add `data` that begins at `offset`; bytes already here are skipped. Returns the new end, which
        counts dropped bytes too, so that the agent's and the node's offsets agree."""
        with self._lock:
            end = self._end(lease)
            if not 0 <= offset <= end:
                raise LostRace(
                    "wrong-offset",
                    f"The log stands at {end}, not at {offset}.",
                    f"Go on from {end}.",
                    offset=end,
                )
            fresh = data[end - offset :]
            if fresh:
                self._write(lease, end, fresh)
            return max(end, offset + len(data))

    def read(self, lease: LeaseId, offset: int, most: int = 1 << 16) -> bytes:
        """At most `most` bytes from `offset`; b"" where there is nothing yet."""
        path = self._path(lease)
        if not path.exists():
            return b""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(most)

    def end(self, lease: LeaseId) -> int:
        """The offset at which the agent goes on."""
        with self._lock:
            return self._end(lease)

    def _write(self, lease: LeaseId, end: int, fresh: bytes) -> None:
        room = max(0, self._limit - end)
        with self._path(lease).open("ab") as file:
            file.write(fresh[:room])
            if len(fresh) > room and not self._dropped(lease).exists():
                file.write(_TRUNCATED)
        if len(fresh) > room:
            self._dropped(lease).write_text(str(end + len(fresh)))

    def _end(self, lease: LeaseId) -> int:
        dropped = self._dropped(lease)
        if dropped.exists() and (text := dropped.read_text()).isdecimal():
            return int(text)
        path = self._path(lease)
        return path.stat().st_size if path.exists() else 0

    def _path(self, lease: LeaseId) -> Path:
        return self._directory / f"{lease.hex()}.log"

    def _dropped(self, lease: LeaseId) -> Path:
        return self._directory / f"{lease.hex()}.end"
