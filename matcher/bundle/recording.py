"""A book that remembers what changed since it was last asked, so that an epoch spells only that again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from ledger.market.identity import Address, BidId, OfferId
from matcher.book import (
    BidPlaced,
    BidRemoved,
    Book,
    BookEvent,
    CapacityFreed,
    CapacityStated,
    CapacityTaken,
    DemandStated,
    OfferDelisted,
    OfferListed,
    StakeChanged,
)

MOST_SIGNATURES = 1 << 16
"""of bids; the oldest go first, and their bids are published unsigned"""


@dataclass(slots=True)
class Changes:
    """What changed: offers in themselves, offers in what is free of them, stakes and waiting bids."""

    offers: set[OfferId] = field(default_factory=set)
    uses: set[OfferId] = field(default_factory=set)
    stakes: set[Address] = field(default_factory=set)
    bids: set[BidId] = field(default_factory=set)


class RecordedBook(Book):
    """A book, the signatures of its bids, and what changed in it."""

    def __init__(self, events: Iterable[BookEvent] = (), *, stake_bps: int = 0) -> None:
        self._changes = Changes()
        self._signatures: dict[BidId, bytes] = {}
        super().__init__(events, stake_bps=stake_bps)

    def apply(self, event: BookEvent) -> None:
        """As a book does."""
        super().apply(event)
        match event:
            case OfferListed(order=order):
                self._changes.offers.add(order.id)
                self._changes.uses.add(order.id)
            case OfferDelisted(offer=offer):
                self._changes.offers.add(offer)
                self._changes.uses.add(offer)
            case CapacityTaken(offer=offer) | CapacityFreed(offer=offer) | CapacityStated(offer=offer):
                self._changes.uses.add(offer)
            case StakeChanged(provider=provider):
                self._changes.stakes.add(provider)
            case BidPlaced(order=bid):
                self._changes.bids.add(bid.id)
            case BidRemoved(bid=removed):
                self._changes.bids.add(removed)
            case DemandStated():
                pass  # spelled whole with each epoch
            case _:
                assert_never(event)

    def sign(self, bid: BidId, signature: bytes) -> None:
        """Remember the 64 bytes that the buyer signed a bid with, also while it is out of the book."""
        if self._signatures.pop(bid, None) != signature:
            self._changes.bids.add(bid)
        self._signatures[bid] = signature
        if len(self._signatures) > MOST_SIGNATURES:
            del self._signatures[next(iter(self._signatures))]

    def signature(self, bid: BidId) -> bytes:
        """What was remembered; empty for nothing."""
        return self._signatures.get(bid, b"")

    def changes(self) -> Changes:
        """What changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes
