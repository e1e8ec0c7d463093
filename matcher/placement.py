"""Placement: which of equally good offers a bid gets. Lots draw it, so that no id and no size ever does."""

from hashlib import sha256

from matcher.columns import lot_of
from matcher.orders import BidOrder, OfferOrder


def drawn(order: BidOrder, offer: OfferOrder) -> tuple[int, bytes]:
    """The place of an offer among equally cheap ones, for this bid: lowest first."""
    return lot_of(order.id) ^ lot_of(offer.id), sha256(order.id + offer.id).digest()
