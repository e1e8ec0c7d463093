"""Bid nonces that no two submits from one wallet share, even at once and from several shells.

Nonces run on from the newest that the chain has seen, so that they stay inside the window that an
account's own storage word holds (PROTOCOL "Storage": about 5,000 gas a job). A counter in a file under an
exclusive lock knows those that were given out and not yet opened. A second machine does not see that file:
should both sign with one nonce, the contract opens it once and the other submit is refused.
"""

import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ledger.market.errors import Rejected, Unavailable

WINDOW_NONCES = 1 << 21
"""nonces below this fit the window; a counter above it began before nonces were counted from the chain"""


class NonceCounter:
    """The counter of one account at one market; `unused(count, first)` asks the chain for that many unused
    nonces, none below `first`."""

    def __init__(self, path: Path, unused: Callable[[int, int], Sequence[int]]) -> None:
        self._path = path
        self._unused = unused

    def peek(self) -> int:
        """A nonce to estimate with; it is not given out."""
        return self._unused(1, 0)[0]

    def take(self, count: int) -> tuple[int, ...]:
        """`count` ascending nonces that were never given out here; on disk before this returns."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise Unavailable(
                "nonce-file", f"{self._path} cannot be written: {exc.strerror}.", "Correct its folder."
            ) from exc
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            nonces = tuple(self._unused(count, self._given_out(file.read(64))))
            file.seek(0)
            file.write(b"%d\n" % (nonces[-1] + 1))
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        return nonces

    def _given_out(self, content: bytes) -> int:
        if content.strip() and not content.strip().isdigit():
            raise Rejected(
                "nonce-file", f"{self._path} does not hold a number.", "Delete it; a new one is made."
            )
        counted = int(content) if content.strip() else 0
        return counted if counted < WINDOW_NONCES else 0
