"""Devices: how the GPUs of one offer are shared, so that no device is ever lent twice.

An offer's GPU lane is one number, but a job runs on devices: 500 milli left on each of two do not make
one whole GPU. An offer lends as many whole devices as its lane holds thousands, or one slice where the
lane is below 1000.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ledger.market.errors import Rejected
from ledger.market.ranges import unsigned
from ledger.market.resource import Quantities

WHOLE = 1000
"""milli of one whole device"""


def devices_of(want: Quantities) -> int:
    """How many devices a want is spread over where nothing else is said: as few as can be."""
    return -(-want.gpu // WHOLE)


def per_device(want: Quantities, count: int) -> tuple[int, int]:
    """Milli and MiB of each of `count` devices that a lease of `want` uses."""
    return -(-want.gpu // count), -(-want.gpu_memory // count)


def lent_devices(gpu: int) -> tuple[int, int]:
    """Of an offer that lends `gpu` milli: how many devices, and the milli that each of them lends."""
    return (gpu // WHOLE, WHOLE) if gpu >= WHOLE else (min(gpu, 1), gpu)


def check_both(free_milli: tuple[int, ...], free_memory: tuple[int, ...]) -> None:
    """`Rejected` unless both are said of each device."""
    if len(free_milli) != len(free_memory):
        raise Rejected(
            "devices-unequal",
            f"{len(free_milli)} devices have free milli, {len(free_memory)} free memory.",
            "Give both for each device.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What is free on each device of one offer, by its number: milli and MiB. Each lends at most `milli`
    and `memory`."""

    free_milli: tuple[int, ...]
    free_memory: tuple[int, ...]
    milli: int
    memory: int

    def __post_init__(self) -> None:
        check_both(self.free_milli, self.free_memory)
        unsigned("milli", self.milli, 10)
        unsigned("memory", self.memory, 63)
        free = ((amount, self.milli) for amount in self.free_milli)
        room = ((amount, self.memory) for amount in self.free_memory)
        for amount, most in (*free, *room):
            if type(amount) is not int or not 0 <= amount <= most:
                raise Rejected(
                    "device-free-out-of-range",
                    f"A device has {amount!r} free of {most}.",
                    "Give from 0 to what one device lends.",
                )

    def places(self, count: int, share: int, memory: int) -> tuple[int, ...] | None:
        """The devices that a member of `count` devices, `share` milli and `memory` MiB of each, gets, in
        ascending numbers: the fullest that fit, of equals the lowest number. None where too few fit."""
        return self._fullest(
            count, [free >= share and self.free_memory[n] >= memory for n, free in enumerate(self.free_milli)]
        )

    def holders(self, count: int, share: int, memory: int) -> tuple[int, ...] | None:
        """The devices from which so much may be given back where nobody knows which were taken: the
        fullest that have it in use, of equals the lowest number. None where too few have."""
        milli, room = self.milli - share, self.memory - memory
        return self._fullest(
            count, [free <= milli and self.free_memory[n] <= room for n, free in enumerate(self.free_milli)]
        )

    def _fullest(self, count: int, fit: list[bool]) -> tuple[int, ...] | None:
        fitting = sorted((free, n) for n, free in enumerate(self.free_milli) if fit[n])
        return tuple(sorted(n for _, n in fitting[:count])) if len(fitting) >= count else None

    def take(self, numbers: Iterable[int], share: int, memory: int) -> "Devices":
        """With so much less free on each of these devices; `Rejected` where one has too little."""
        return self._moved(numbers, -share, -memory)

    def give(self, numbers: Iterable[int], share: int, memory: int) -> "Devices":
        """With so much more free on each of these devices; `Rejected` where one would then exceed its own."""
        return self._moved(numbers, share, memory)

    def _moved(self, numbers: Iterable[int], milli: int, memory: int) -> "Devices":
        free_milli, free_memory = list(self.free_milli), list(self.free_memory)
        for number in numbers:
            if not 0 <= number < len(free_milli):
                raise Rejected(
                    "device-unknown",
                    f"The offer has no device {number}, only {len(free_milli)}.",
                    "Name a device from 0.",
                )
            free_milli[number] += milli
            free_memory[number] += memory
        return replace(self, free_milli=tuple(free_milli), free_memory=tuple(free_memory))
