"""One node a directory: two writers of the same books would sign the same nonce twice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.market.errors import Rejected


@contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Wait for other processes that share the directory and are about to make something in it."""
    descriptor = os.open(directory / "making", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def only_instance(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; `Rejected` where another process holds it. The kernel drops it at death."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise Rejected(
                "node-already-running",
                f"A node runs in {directory} already.",
                "Stop it first, or choose another --dir.",
            ) from exc
        yield
    finally:
        os.close(descriptor)
