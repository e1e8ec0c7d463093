"""Who may write: on PostgreSQL the one process that holds an advisory lock, on the connection it writes with.

The lock lives and dies with that connection, so a writer that lost it has lost the means to write as well,
however late it notices, and nobody need ask a clock. A seat is taken at most once: what its holder keeps
in memory is stale once another has written, so after a loss it opens the books anew.
"""

import time
from typing import Any, Final

from ledger.market.errors import LostRace, Unavailable

WRITER_LOCK: Final = int.from_bytes(b"bingwang")
"""the lock's number; one a database, so a database holds the books of one market"""
PATIENCE_SECONDS: Final = 10.0
"""how long a writer waits for the one before it, whose end the server may not have noticed yet"""
_LOOK_SECONDS: Final = 0.05


class Seat:
    """The writer's place in one opening of the books."""

    def __init__(self) -> None:
        self.patience = PATIENCE_SECONDS
        self._taken = False

    def on_connect(self, connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection
        """Take the lock on a fresh connection of the writing engine, or close it and say why not."""
        try:
            self._take(connection)
        except BaseException:
            connection.close()
            raise

    def _take(self, connection: Any) -> None:  # noqa: ANN401 - the driver's connection
        if self._taken:
            raise Unavailable(
                "writer-deposed",
                "The connection that held the writer's place was lost.",
                "Open the books again to stand for it once more.",
            )
        deadline = time.monotonic() + self.patience
        connection.autocommit = True
        while not _locked(connection):
            if time.monotonic() >= deadline:
                raise LostRace(
                    "another-writer",
                    "Another process writes these books.",
                    "Send the request to it, or stop it first.",
                )
            time.sleep(_LOOK_SECONDS)
        connection.autocommit = False
        self._taken = True


def _locked(connection: Any) -> bool:  # noqa: ANN401 - the driver's connection
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (WRITER_LOCK,)).fetchone()
    return bool(row[0])
