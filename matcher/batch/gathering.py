"""Gathering: a gang that must be together needs places only where all of it has room.

Most providers and domains are too small for a large gang. Left out here, they cost the search nothing,
however long such a gang waits.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from matcher.columns import OfferView
from matcher.index.place import Place
from matcher.orders import BidOrder


def roomy(view: OfferView, order: BidOrder, places: Sequence[Place]) -> tuple[Place, ...]:
    """Those of the places, which are the rows of the view, that are at a provider or in a domain whose lanes
    hold the whole gang."""
    homes = view.column("provider" if order.same_provider else "domain").tolist()
    want = np.array(tuple(order.bid.want), dtype=np.uint64)
    asked = np.flatnonzero(want)
    held: Counter[int] = Counter()
    for home, members in zip(
        homes, (view.free[asked] // want[asked, None]).min(axis=0).tolist(), strict=True
    ):
        held[home] += members
    return tuple(place for place, home in zip(places, homes, strict=True) if held[home] >= order.members)
