"""A process that stays: its log, one line an event on stderr, and how it is told to go."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager


def to_stderr() -> None:
    """Show what our own modules say from INFO on, and libraries' warnings."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for package in ("ledger", "node", "provider_agent"):
        logging.getLogger(package).setLevel(logging.INFO)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the main thread as an exit, so that everything opened is closed.

    uvicorn raises the signal again once it has shut down; by default that would kill the process at once.
    """

    def leave(number: int, frame: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
