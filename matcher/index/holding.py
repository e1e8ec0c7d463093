"""Holding: what leases hold of an offer that is off the book, so that nothing of it is lent twice."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.market.resource import Quantities
from matcher.devices import Devices, devices_of, per_device
from matcher.index.occupancy import Occupancy


class Hold(NamedTuple):
    """`share` milli and `memory` MiB of each of these devices; numbers below 0 leave the choice to the rule
    of `matcher.devices`, and no numbers are no devices."""

    numbers: tuple[int, ...]
    share: int
    memory: int


NOTHING = Hold(numbers=(), share=0, memory=0)


def hold_of(want: Quantities, numbers: tuple[int, ...], count: int) -> Hold:
    """What a lease of `want` holds of devices: those of `numbers`, or `count` that the rule chooses, or for 0
    as few as can be."""
    if not want.gpu:
        return NOTHING
    count = len(numbers) or count or devices_of(want)
    return Hold(numbers or (-1,) * count, *per_device(want, count))


@dataclass(slots=True, kw_only=True)
class Holding:
    """Quantities in use, devices as they were when the offer left, and what happened to them since."""

    used: Quantities = field(default_factory=Quantities)
    devices: Devices | None = None
    since: list[tuple[int, Hold]] = field(default_factory=list)

    def shift(self, sign: int, want: Quantities, hold: Hold) -> None:
        """Take (1) or give back (-1); `Rejected` where a lane would exceed its width."""
        self.used = self.used.plus(want) if sign > 0 else self.used.less(want)
        if not hold.numbers:
            return
        if (-sign, hold) in self.since:
            self.since.remove((-sign, hold))
        else:
            self.since.append((sign, hold))

    def settle(self, row: int, occupancy: Occupancy) -> None:
        """The offer is back in this row, its devices idle: they are what they were, and what happened since
        happens."""
        if self.devices is not None:
            occupancy.restore(row, self.devices)
        for sign, hold in self.since:
            occupancy.shift(row, sign, hold.numbers, hold.share, hold.memory)
