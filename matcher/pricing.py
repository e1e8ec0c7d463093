"""Pricing: what all offers ask for a want, exactly. It is the lowest rate at which a match may execute, the
one rate of a bid that is cleared alone, and what `matcher.uniform` starts from where several compete.
"""

import numpy as np

from ledger.market.resource import Quantities
from matcher.columns import Numbers

_SAFE_WANT = 1 << 33
"""an ask lane is below 2^31, so wants that sum to less keep every rate below 2^64"""


def ask_rates(ask: Numbers, want: Quantities) -> Numbers:
    """Milli-base-units per hour of `want` at every offer (`ledger.market.money.rate_of`): `ask` has one row a
    lane, one column an offer."""
    dtype = np.uint64 if sum(want) < _SAFE_WANT else object
    rates = np.zeros(ask.shape[1], dtype=dtype)
    for lane, amount in enumerate(want):
        if amount:
            rates += ask[lane].astype(dtype, copy=False) * amount
    return rates
