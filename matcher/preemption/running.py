"""What preemption looks at: leases that were sold as interruptible, and the rooms that they stand in.

Welfare is counted as everywhere in the matcher: what a buyer would have paid, less what its provider
asks, by time. What a victim has run already is paid and is its own; lost is what is left of its run.
"""

from dataclasses import dataclass

from ledger.market.identity import NOBODY, Address, BidId, LeaseId, OfferId
from ledger.market.resource import Quantities
from matcher.devices import Devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One open lease that yields after `notice` seconds. Leases of one `bid` are a gang, and yield together.

    `limit` is what its buyer would pay and `cost` what its provider asks, both milli-base-units per hour;
    it ends by itself at `ends_at` (seconds since 1970). `lock` is the stake that it locks. It uses `count`
    devices, `share` milli and `device_memory` MiB of each: the `devices` of these numbers, where they are
    known."""

    lease: LeaseId
    bid: BidId
    job: BidId
    buyer: Address
    offer: OfferId
    want: Quantities
    limit: int
    cost: int
    ends_at: int
    notice: int
    lock: int = 0
    devices: tuple[int, ...] = ()
    count: int = 0
    share: int = 0
    device_memory: int = 0

    def loss(self, at: int) -> int:
        """The welfare of what it would still run if it were told at `at` to end, in milli-base-units per
        hour x seconds; it runs on through its notice."""
        return max(0, self.limit - self.cost) * self.left(at)

    def left(self, at: int) -> int:
        """Seconds that it would lose."""
        return max(0, self.ends_at - at - self.notice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """An offer that would serve the order were it empty: what is free there now, at which `rate` (the ask,
    milli-base-units per hour) and until when. Its provider has `stake` base units free, of which the order
    would lock `lock`. `devices` is None where nobody keeps them apart; then the lanes alone decide."""

    offer: OfferId
    free: Quantities
    rate: int
    valid_until: int
    provider: Address = NOBODY
    stake: int = 0
    lock: int = 0
    devices: Devices | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemption:
    """These leases yield, in this order, and then the order has room on `offer` at `rate`. `loss` is the
    welfare that is lost, `gain` the larger one that is won; `until` is when the last notice ends."""

    offer: OfferId
    rate: int
    victims: tuple[Running, ...]
    loss: int
    gain: int
    until: int
