"""Gathering: a gang that must be together needs places only where all of it has room.

Most providers and domains are too small for a large gang. Left out here, they cost the search nothing,
however long such a gang waits.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ledger.market.resource import Quantities
from matcher.columns import Numbers, OfferView
from matcher.index.place import Place
from matcher.orders import BidOrder
from matcher.ranking import Rows


def roomy(view: OfferView, order: BidOrder, places: Sequence[Place]) -> tuple[Place, ...]:
    """Those of the places, which are the rows of the view, that are at a provider or in a domain whose lanes
    hold the whole gang."""
    homes = view.column("provider" if order.same_provider else "domain").tolist()
    members = lanes_hold(view, order.bid.want, range(len(homes))).tolist()
    held: Counter[int] = Counter()
    for home, count in zip(homes, members, strict=True):
        held[home] += count
    return tuple(place for place, home in zip(places, homes, strict=True) if held[home] >= order.members)


def lanes_hold(view: OfferView, want: Quantities, rows: Sequence[int] | Rows) -> Numbers:
    """How many times the free lanes of each of these rows hold `want`; 0 times where it is nothing."""
    amounts = np.array(tuple(want), dtype=np.uint64)[:, None]
    asked, chosen = np.flatnonzero(amounts), np.asarray(rows, dtype=np.intp)
    if not asked.size or not chosen.size:
        return np.zeros(chosen.size, dtype=np.uint64)
    held: Numbers = (view.free[asked[:, None], chosen] // amounts[asked]).min(axis=0)
    return held
