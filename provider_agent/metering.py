"""How long a job ran is what is paid, so it is computed in one pure place from three times.

Wall-clock time from container start to exit, by the host's clock, is authoritative. CPU time and peak
memory stand beside it as evidence: each report is a line of `ledger.market.usage_tree`.
"""

from dataclasses import dataclass

_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTimes:
    """When a container started and ended (None while it runs), in milliseconds since the epoch."""

    started_at: int
    finished_at: int | None = None


def elapsed_ms(times: RunTimes, *, now: int, limit_seconds: int, at_least: int = 0) -> int:
    """Billed milliseconds up to `now` (milliseconds since the epoch), at most the lease's duration.

    A clock that steps back takes nothing away: the answer is never below 0 nor below `at_least`, the
    milliseconds of the report before.
    """
    until = now if times.finished_at is None else times.finished_at
    return min(max(until - times.started_at, at_least, 0), limit_seconds * _MS)
