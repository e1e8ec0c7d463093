"""How long a job ran is what is paid, so it is computed in one pure place from three times.

Wall-clock time from container start to exit, by the host's clock, is authoritative. CPU time and peak
memory stand beside it as evidence: both sides hash the same bytes of the report.
"""

import struct
from dataclasses import dataclass

from ledger.market.ranges import exact_bytes, unsigned

_MS = 1000
_TAG = b"bingwang/usage/1"
_LAYOUT = struct.Struct(">16s32sQQQB")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Cumulative usage of a lease: billed milliseconds, CPU nanoseconds, peak memory in bytes.

    `last` says that the container has ended and that nothing follows.
    """

    lease: bytes
    milliseconds: int
    cpu_ns: int
    peak_bytes: int
    last: bool

    def __post_init__(self) -> None:
        exact_bytes("lease", self.lease, 32)
        for name in ("milliseconds", "cpu_ns", "peak_bytes"):
            unsigned(name, getattr(self, name), 64)


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


def evidence(usage: UsageReport) -> bytes:
    """The bytes whose keccak256 is a receipt's `evidence`.

    A 16-byte tag, the lease's 32 bytes, milliseconds, CPU nanoseconds and peak bytes as 64-bit
    big-endian integers, and one byte for `last`.
    """
    return _LAYOUT.pack(_TAG, usage.lease, usage.milliseconds, usage.cpu_ns, usage.peak_bytes, usage.last)
