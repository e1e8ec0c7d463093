"""Placement: which of equally good offers a bid gets. Lots draw it, so that no id and no size ever does."""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from ledger.market.draw import ranked
from matcher.columns import OfferView, lot_of
from matcher.orders import BidOrder, OfferOrder


def drawn(order: BidOrder, offer: OfferOrder) -> tuple[int, bytes]:
    """The place of an offer among equally cheap ones, for this bid: lowest first."""
    return lot_of(order.id) ^ lot_of(offer.id), lot(order, offer.id)


def lot(order: BidOrder, name: bytes) -> bytes:
    """What is drawn for something of this name where it stands equal to others before this bid."""
    return sha256(order.id + name).digest()


def drawn_apart(order: BidOrder, offers: OfferView, rows: Iterable[int]) -> Iterator[int]:
    """The rows as the seed of replicas draws them, of each provider and each domain the first alone."""
    named = {offers.orders[row].id: row for row in rows}
    return apart(offers, (named[offer] for offer in ranked(order.seed, named)), ("provider", "domain"))


def apart(offers: OfferView, rows: Iterable[int], names: Iterable[str]) -> Iterator[int]:
    """Each row that is unlike all that were given before it in each of the columns `names`."""
    columns = [(name, offers.column(name)) for name in names]
    seen: set[tuple[str, int]] = set()
    for row in rows:
        keys = {(name, int(column[row])) for name, column in columns}
        if not keys & seen:
            seen |= keys
            yield row
