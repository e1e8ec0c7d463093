"""What leases hold of one offer, as one value: lanes and single devices, without the leases' own history."""

from dataclasses import dataclass

from ledger.market.identity import OfferId
from ledger.market.resource import Quantities
from matcher.book import Book, CapacityStated
from matcher.devices import Devices, check_both


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """All that is in use of an offer, and what is free on each of its devices; none are named where all of
    each is."""

    used: Quantities
    free_milli: tuple[int, ...] = ()
    free_memory: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_both(self.free_milli, self.free_memory)

    @property
    def idle(self) -> bool:
        """Whether nothing is in use."""
        return not any(self.used) and not self.free_milli

    def stated(self, offer: OfferId) -> CapacityStated:
        """The event after which a book says so of a listed offer."""
        return CapacityStated(
            offer=offer, used=self.used, free_milli=self.free_milli, free_memory=self.free_memory
        )


def use_of(book: Book, offer: OfferId) -> Use:
    """What the book says of a live offer."""
    used, devices = book.used(offer), book.devices(offer)
    if devices is None or _all_free(devices):
        return Use(used=used)
    return Use(used=used, free_milli=devices.free_milli, free_memory=devices.free_memory)


def _all_free(devices: Devices) -> bool:
    return set(devices.free_milli) <= {devices.milli} and set(devices.free_memory) <= {devices.memory}
