"""OfferIndex: the offers of a book twice in blocks, by model and region and by price, for two kinds of bids.

It repeats what the columns say in the form that the kernels read; it decides nothing that the columns
with `matcher.eligibility` would decide otherwise.
"""

from collections.abc import Sequence

import numpy as np

from ledger.market.resource import Quantities
from matcher.index.blocks import lend
from matcher.index.chains import BucketKey, Chains
from matcher.index.demand import Demand, signed
from matcher.index.layout import BY_MODEL, BY_PRICE, FOUND, LONGS, WORDS, Array
from matcher.index.occupancy import Occupancy
from matcher.index.search import search
from matcher.orders import OfferOrder

MOST_BUCKETS = 1_024
"""models and regions that get a bucket of their own; what comes later shares one and is found all the same"""
FEW_BUCKETS = 16
"""a bid for any model looks at every model's bucket while there are no more of them"""
_CPU, _GPU = 0, 3
_ANY, _ALL = -1, -2
"""in the place of a model tag: those that share a bucket, and (less its number) all of a side"""
_BAND_BITS = 4


class OfferIndex:
    """Rows are the owner's; a row is put once and dropped before it is put again."""

    def __init__(self) -> None:
        self._chains = Chains()
        self._models: set[int] = set()
        self._by_model = 0
        self._among: dict[int, Array] = {}
        self._word: Array = np.zeros(WORDS, dtype=np.uint32)
        self._long: Array = np.zeros(LONGS, dtype=np.int64)

    def put(self, row: int, words: Sequence[int], longs: Sequence[int], order: OfferOrder) -> None:
        """Add a row: its columns in the order of `layout`, 64-bit ones unsigned."""
        self._word[:] = words
        self._long[:] = [signed(word) for word in longs]
        known = len(self._chains.named)
        for key in (self._model_key(order), _price_key(order)):
            self._chains.put(row, key, self._word, self._long)
        if len(self._chains.named) > known:
            keys = [key for key in self._chains.named if key.side == BY_MODEL]
            self._models, self._by_model = {key.model for key in keys}, len(keys)
            self._among.clear()

    def drop(self, row: int, last: int) -> None:
        """Take a row out; the last one takes its number."""
        self._chains.drop(row, last)

    def lend(self, lanes: Array, row: int, sign: int, want: Quantities) -> bool:
        """Take or give back a lease's quantities, in `lanes` too; see `blocks.lend`."""
        chains = self._chains
        return lend(
            chains.words,
            chains.blocks,
            chains.buckets,
            chains.places,
            lanes,
            row,
            sign,
            want.cpu,
            want.memory,
            want.disk,
            want.gpu,
            want.gpu_memory,
            want.network,
            want.reserved,
        )

    def search(
        self, demand: Demand, domains: Array, escrows: Array, devices: Occupancy, at: int, found: Array
    ) -> int:
        """See `search.search`: how many places are in `found`."""
        chains = self._chains
        return search(
            chains.words,
            chains.longs,
            chains.blocks,
            chains.buckets,
            self._where(demand.models),
            demand.numbers,
            demand.lists,
            domains,
            escrows,
            devices.table,
            devices.pool,
            at + demand.duration,
            found,
        )

    def _where(self, models: tuple[int, ...]) -> Array:
        """The buckets that serve a demand for these models, or for none of any, best."""
        if len(models) == 1:
            return self._of_model(models[0])
        if models:
            return np.unique(np.concatenate([self._of_model(tag) for tag in models]))
        return self._side(BY_MODEL if self._by_model <= FEW_BUCKETS else BY_PRICE)

    def _of_model(self, model: int) -> Array:
        """The buckets where this model may be."""
        if model not in self._models:
            model = _ANY
        among = self._among.get(model)
        if among is None:
            named = self._chains.named.items()
            some = [n for key, n in named if key.side == BY_MODEL and key.model in (model, _ANY)]
            among = self._among[model] = np.array(some, dtype=np.int64)
        return among

    def _side(self, side: int) -> Array:
        """All buckets of a side, the cheapest band first."""
        among = self._among.get(_ALL - side)
        if among is None:
            some = [n for key, n in sorted(self._chains.named.items()) if key.side == side]
            among = self._among[_ALL - side] = np.array(some, dtype=np.int64)
        return among

    def _model_key(self, order: OfferOrder) -> BucketKey:
        traits = order.offer.traits
        single = traits.regions.bit_count() == 1
        region = traits.regions.bit_length() - 1 if single else _ANY
        key = BucketKey(side=BY_MODEL, lane=_lane_of(order), band=_ANY, model=traits.model, region=region)
        if key in self._chains.named or self._by_model < MOST_BUCKETS:
            return key
        return key._replace(model=_ANY, region=_ANY)


def _lane_of(order: OfferOrder) -> int:
    """The lane whose ask mostly makes the price."""
    return _GPU if order.offer.capacity.gpu else _CPU


def _price_key(order: OfferOrder) -> BucketKey:
    lane = _lane_of(order)
    ask = tuple(order.offer.ask)[lane]
    return BucketKey(side=BY_PRICE, lane=lane, band=_band_of(ask), model=_ANY, region=_ANY)


def _band_of(ask: int) -> int:
    """Bands of a sixteenth of an octave; a dearer ask is in no lower band."""
    bits = ask.bit_length()
    if bits <= _BAND_BITS:
        return ask
    return bits << _BAND_BITS | ask >> (bits - _BAND_BITS - 1) & (1 << _BAND_BITS) - 1


def room_for(places: int) -> Array:
    """An empty table of found places."""
    return np.empty((places, FOUND), dtype=np.int64)
