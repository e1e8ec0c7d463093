"""Quantities: seven lanes in one 256-bit word, so that the contract compares them all in one operation.

Lane widths, units and the guard bit are those of PROTOCOL "Money and quantities": each lane is 32 bits
of which the top one is a guard and always 0; the top 32 bits of the word are 0 in an offer and a bid.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from struct import Struct

from ledger.market.errors import Rejected
from ledger.market.ranges import unsigned

LANE_BITS = 32
LANE_LIMIT = 1 << 31
LANE_NAMES = ("cpu", "memory", "disk", "gpu", "gpu_memory", "network", "reserved")
GUARDS = sum(1 << (LANE_BITS * lane + 31) for lane in range(len(LANE_NAMES)))
LANES_MASK = (1 << (LANE_BITS * len(LANE_NAMES))) - 1
_WORD = Struct(f"<{len(LANE_NAMES)}I")
_lanes: Callable[[object], tuple[int, ...]] = attrgetter(*LANE_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """Capacity, want, used amount, or (as prices per 1,000 units an hour) an ask."""

    cpu: int = 0
    """milli-cores"""
    memory: int = 0
    """MiB"""
    disk: int = 0
    """MiB"""
    gpu: int = 0
    """milli-devices"""
    gpu_memory: int = 0
    """MiB, all devices together"""
    network: int = 0
    """Mbit/s"""
    reserved: int = 0
    """always 0 until a protocol gives it a meaning"""

    def __post_init__(self) -> None:
        for lane in fields(self):
            unsigned(lane.name, getattr(self, lane.name), 31)

    def __iter__(self) -> Iterator[int]:
        return iter(_lanes(self))

    def pack(self) -> int:
        """The word that is signed and stored, lane 0 lowest."""
        return int.from_bytes(_WORD.pack(*_lanes(self)), "little")

    @classmethod
    def unpack(cls, word: int) -> "Quantities":
        """The lanes of a signed word; a set guard bit or set top bits are `Rejected`."""
        unsigned("quantities", word, 256)
        if word & GUARDS or word >> (LANE_BITS * len(LANE_NAMES)):
            raise Rejected(
                "lanes-out-of-range",
                "The quantities word has a guard bit or a bit above its lanes set.",
                "Give each lane a value below 2^31.",
            )
        mask = LANE_LIMIT - 1
        return cls(**{n: (word >> (LANE_BITS * i)) & mask for i, n in enumerate(LANE_NAMES)})

    def within(self, free: "Quantities") -> bool:
        """Whether every lane fits into `free`: the same answer as the contract's one-word test."""
        return ((free.pack() | GUARDS) - self.pack()) & GUARDS == GUARDS

    def plus(self, other: "Quantities") -> "Quantities":
        """Lane by lane; `Rejected` where a lane would overflow."""
        return Quantities(**{n: getattr(self, n) + getattr(other, n) for n in LANE_NAMES})

    def less(self, other: "Quantities") -> "Quantities":
        """Lane by lane, never below 0: releasing capacity saturates, as in the contract."""
        return Quantities(**{n: max(0, getattr(self, n) - getattr(other, n)) for n in LANE_NAMES})

    def lacking(self, free: "Quantities") -> dict[str, int]:
        """By how much each lane exceeds `free`; empty where everything fits."""
        pairs = zip(LANE_NAMES, self, free, strict=True)
        return {name: want - have for name, want, have in pairs if want > have}

    def with_lanes(self, **lanes: int) -> "Quantities":
        return replace(self, **lanes)
