"""Bid nonces that no two submits from one wallet share, even at once and from several shells.

A counter in a file under an exclusive lock: nonces run on one by one, which the contract stores for the
least gas (a window of the newest page). A new or lost file starts at the clock in milliseconds: older
counters of the same wallet began at an earlier clock, and would have had to give out a nonce every
millisecond since to reach it. So a second machine, or a restored backup, repeats none either.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from ledger.market.errors import Rejected, Unavailable

_MILLISECONDS = 1000


class NonceCounter:
    """The counter of one account at one market; `clock` gives seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock

    def take(self, count: int) -> range:
        """`count` consecutive nonces that were never given out; they are on disk before this returns."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise Unavailable(
                "nonce-file", f"{self._path} cannot be written: {exc.strerror}.", "Correct its folder."
            ) from exc
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            first = self._next(file.read(64))
            file.seek(0)
            file.write(b"%d\n" % (first + count))
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        return range(first, first + count)

    def _next(self, content: bytes) -> int:
        if not content.strip():
            return int(self._clock() * _MILLISECONDS)
        if not content.strip().isdigit():
            raise Rejected(
                "nonce-file", f"{self._path} does not hold a number.", "Delete it; a new one is made."
            )
        return int(content)
