"""When a block is sealed: soon after the first transaction arrives, or when many wait, or only when told.

Blocks keep a distance, so that a burst shares one; on a chain that rested the first transaction need not
wait it out, only a moment for others that were sent with it.

After a block with transactions the loop adds empty ones until it stands `finality` deep, so that a follower
waiting for `finalized` is not left hanging on a quiet grid, and then one now and then for a while: a client
that looks for its receipt at each new block (ethers first polls after 4 s) must see one come. Then the chain
rests and grows no further.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ledger.chain.embedded.chain import EmbeddedChain

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealPolicy:
    """`seconds` after the block before, and at the latest `seconds` after the first waiting transaction; or
    as soon as `count` of them wait.

    `on_demand` seals only by `evm_mine`. `confirm_seconds` is the pause before each empty block that makes
    the last transaction final, `linger_pause` the pause before those that follow until `linger_seconds`
    after it.
    """

    seconds: float = 0.2
    count: int = 128
    on_demand: bool = False
    confirm_seconds: float = 1.0
    linger_pause: float = 3.0
    linger_seconds: float = 60.0


_GATHERING = 0.1
"""the part of `seconds` that the first transaction after a rest waits for others"""


class SealingLoop:
    """The thread that seals. It measures pauses with the monotonic clock; timestamps are the chain's.

    `failed` is called once, from the thread, when a block cannot be written; nothing is sealed after that.
    """

    def __init__(self, chain: EmbeddedChain, policy: SealPolicy, failed: Callable[[Exception], None]) -> None:
        self._chain = chain
        self._policy = policy
        self._failed = failed
        self._stopping = False
        self._seen = 0
        self._first_arrival: float | None = None
        self._confirm_at: float | None = None
        self._planned_at = float("-inf")
        self._busy_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="sealing", daemon=True)

    def start(self) -> None:
        """Begin; a policy on demand starts no thread."""
        if not self._policy.on_demand:
            self._thread.start()

    def stop(self) -> None:
        """Finish the block in progress and end. What waits is for its senders to send again."""
        with self._chain.changed:
            self._stopping = True
            self._chain.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._plan(busy=False)
            while self._wait():
                busy = self._first_arrival is not None
                self._chain.seal(empty=not busy)
                self._plan(busy=busy)
        except Exception as exc:
            _log.exception("sealing ended")
            self._failed(exc)

    def _wait(self) -> bool:
        """Sleep until a block is due; False when stopping."""
        with self._chain.changed:
            while not self._stopping:
                now = time.monotonic()
                due = self._due(now)
                if due is not None and due <= now:
                    self._seen = self._chain.submissions
                    return True
                self._chain.changed.wait(None if due is None else due - now)
        return False

    def _due(self, now: float) -> float | None:
        if self._first_arrival is None and self._chain.submissions > self._seen:
            self._first_arrival = now
        if self._first_arrival is None:
            return self._confirm_at
        if len(self._chain.mempool) >= self._policy.count:
            return now
        gathered = self._first_arrival + _GATHERING * self._policy.seconds
        return max(gathered, min(self._planned_at, self._first_arrival) + self._policy.seconds)

    def _plan(self, *, busy: bool) -> None:
        now = self._planned_at = time.monotonic()
        if busy:
            self._busy_at = now
        self._first_arrival = now if self._chain.has_ready() else None
        pause = self._pause(now)
        self._confirm_at = None if pause is None else now + pause

    def _pause(self, now: float) -> float | None:
        """Seconds before the next empty block; None where the chain rests."""
        if self._chain.has_unfinalised_transactions():
            return self._policy.confirm_seconds
        lingers = now < self._busy_at + self._policy.linger_seconds
        return self._policy.linger_pause if lingers else None
