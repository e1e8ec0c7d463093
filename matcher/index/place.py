"""Place: where one member of a bid could run, and at what price; a tuple, as hundreds are made per bid."""

from typing import NamedTuple

from ledger.market.identity import OfferId


class Place(NamedTuple):
    """An offer that may serve one member: `rate` is its own, in milli-base-units per hour, `bonus` what the
    bid's preference for its domain is worth in the same unit. Places are compared by rate less bonus."""

    offer: OfferId
    rate: int
    bonus: int = 0

    @property
    def cost(self) -> int:
        """What places are compared by."""
        return self.rate - self.bonus
