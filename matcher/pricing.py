"""Pricing: a match executes at the resting ask, exactly, so the buyer keeps all that it bid above it.

The contract takes any rate from the ask up to the bid's bounds (PROTOCOL "Who may do what"); the ask
itself is inside them whenever it is not above the limit, and it is the one rate that needs no trust in
the matcher.
"""

import numpy as np

from ledger.market.money import rate_of
from ledger.market.resource import Quantities
from matcher.columns import Numbers
from matcher.orders import BidOrder, OfferOrder

_SAFE_WANT = 1 << 33
"""an ask lane is below 2^31, so wants that sum to less keep every rate below 2^64"""


def executed_rate(offer: OfferOrder, bid: BidOrder) -> int:
    """Milli-base-units per hour at which this pair executes."""
    return rate_of(offer.offer.ask, bid.bid.want)


def ask_rates(ask: Numbers, want: Quantities) -> Numbers:
    """`executed_rate` of every offer at once: `ask` has one row a lane, one column an offer."""
    dtype = np.uint64 if sum(want) < _SAFE_WANT else object
    rates = np.zeros(ask.shape[1], dtype=dtype)
    for lane, amount in enumerate(want):
        if amount:
            rates += ask[lane].astype(dtype, copy=False) * amount
    return rates
