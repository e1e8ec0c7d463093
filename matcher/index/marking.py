"""Marking: which offers of one block meet a demand, column by column, and what a summary says of a block.

A column is compared as a whole: the machine does many offers at a time, and where none is left the other
columns are not read.
"""

import numpy as np

from matcher.compiled import compiled
from matcher.index.layout import (
    ASK,
    CAPABILITY,
    D_CAPABILITY,
    D_DEVICE_MEMORY,
    D_DURATION,
    D_FEATURES,
    D_REGIONS,
    D_REPUTATION,
    D_VENDORS,
    D_WANT,
    DEVICE_MEMORY,
    FEATURES,
    FREE,
    LANES,
    LEAST_SECONDS,
    MOST_SECONDS,
    REGIONS,
    REPUTATION,
    S_ASK,
    S_CAPABILITY,
    S_DEVICE_MEMORY,
    S_FEATURES,
    S_FREE,
    S_LEAST_SECONDS,
    S_MOST_SECONDS,
    S_REGIONS,
    S_REPUTATION,
    S_VALID_UNTIL,
    S_VENDORS,
    VALID_UNTIL,
    VENDORS,
    Array,
    int64,
)


@compiled("boolean(int64[::1], int64[::1], int64)")
def hopeless(summary: Array, demand: Array, end: int) -> bool:
    """Whether no offer behind this summary can serve the demand until `end`."""
    for lane in range(LANES):
        if summary[S_FREE + lane] < demand[D_WANT + lane]:
            return True
    return bool(
        summary[S_VENDORS] & demand[D_VENDORS] == 0
        or summary[S_REGIONS] & demand[D_REGIONS] == 0
        or summary[S_FEATURES] & demand[D_FEATURES] != demand[D_FEATURES]
        or summary[S_DEVICE_MEMORY] < demand[D_DEVICE_MEMORY]
        or summary[S_CAPABILITY] < demand[D_CAPABILITY]
        or summary[S_LEAST_SECONDS] > demand[D_DURATION]
        or summary[S_MOST_SECONDS] < demand[D_DURATION]
        or summary[S_VALID_UNTIL] < end
        or summary[S_REPUTATION] < demand[D_REPUTATION]
    )


@compiled("int64(int64[::1], int64[::1])")
def least_rate(summary: Array, demand: Array) -> int:
    """No offer behind this summary has a lower rate for the demand."""
    rate = 0
    for lane in range(LANES):
        rate += summary[S_ASK + lane] * demand[D_WANT + lane]
    return rate


@compiled("boolean(uint32[:,::1], int64, int64[::1], int64, int64[::1], uint8[::1])")
def _price(w: Array, count: int, demand: Array, most: int, rates: Array, fit: Array) -> bool:
    """Fill `rates`, and keep `fit` only where a rate is not above `most`; whether any is left."""
    rates[:count] = 0
    for lane in range(LANES):
        want = demand[D_WANT + lane]
        if want > 0:
            asks = w[ASK + lane]
            for i in range(count):
                rates[i] += int64(asks[i]) * want
    some = np.uint8(0)
    for i in range(count):
        fit[i] &= rates[i] <= most
        some |= fit[i]
    return bool(some != 0)


@compiled("boolean(uint32[::1], int64, int64, uint8[::1])")
def _at_least(column: Array, count: int, demand: int, fit: Array) -> bool:
    """Keep `fit` only where the column has at least so much; whether any is left."""
    least, some = np.uint32(demand), np.uint8(0)
    for i in range(count):
        fit[i] &= column[i] >= least
        some |= fit[i]
    return bool(some != 0)


@compiled("boolean(uint32[::1], int64, int64, uint8[::1])")
def _at_most(column: Array, count: int, demand: int, fit: Array) -> bool:
    """Keep `fit` only where the column has at most so much; whether any is left."""
    most, some = np.uint32(demand), np.uint8(0)
    for i in range(count):
        fit[i] &= column[i] <= most
        some |= fit[i]
    return bool(some != 0)


@compiled("boolean(uint32[:,::1], int64, int64[::1], uint8[::1])")
def _room(w: Array, count: int, demand: Array, fit: Array) -> bool:
    """Keep `fit` only where all wanted lanes have room; whether any has."""
    for lane in range(LANES):
        want = demand[D_WANT + lane]
        if want > 0 and not _at_least(w[FREE + lane], count, want, fit):
            return False
    return True


@compiled("boolean(uint32[:,::1], int64, int64[::1], int64, uint8[::1])")
def _times(w: Array, count: int, demand: Array, end: int, fit: Array) -> bool:
    """Keep `fit` only where the lease's duration and end are within the offer's; whether any is left."""
    seconds = demand[D_DURATION]
    return (
        _at_least(w[MOST_SECONDS], count, seconds, fit)
        and _at_most(w[LEAST_SECONDS], count, seconds, fit)
        and _at_least(w[VALID_UNTIL], count, end, fit)
    )


@compiled("boolean(uint32[:,::1], int64[:,::1], int64, int64[::1], uint8[::1])")
def _traits(w: Array, b: Array, count: int, demand: Array, fit: Array) -> bool:
    """Keep `fit` only where traits and reputation meet the demand; whether any does."""
    for column, least in (
        (REPUTATION, demand[D_REPUTATION]),
        (DEVICE_MEMORY, demand[D_DEVICE_MEMORY]),
        (CAPABILITY, demand[D_CAPABILITY]),
    ):
        if least > 0 and not _at_least(w[column], count, least, fit):
            return False
    features, regions, vendors = demand[D_FEATURES], demand[D_REGIONS], np.uint32(demand[D_VENDORS])
    some = np.uint8(0)
    for i in range(count):
        fit[i] &= (b[FEATURES, i] & features) == features
        some |= fit[i]
    if not some:
        return False
    some = np.uint8(0)
    for i in range(count):
        fit[i] &= ((b[REGIONS, i] & regions) != 0) & ((w[VENDORS, i] & vendors) != 0)
        some |= fit[i]
    return bool(some != 0)


@compiled(
    "boolean(uint32[:,::1], int64[:,::1], int64, int64[::1], int64, int64, boolean, int64[::1], uint8[::1])"
)
def mark(
    w: Array, b: Array, count: int, demand: Array, end: int, most: int, dear: bool, rates: Array, fit: Array
) -> bool:
    """Fill `rates`, and set `fit` where an offer meets all that is compared column by column; whether any
    does. Where most offers are too `dear` the price is compared first, else last."""
    fit[:count] = 1
    if dear and not _price(w, count, demand, most, rates, fit):
        return False
    if not (
        _traits(w, b, count, demand, fit)
        and _times(w, count, demand, end, fit)
        and _room(w, count, demand, fit)
    ):
        return False
    return dear or _price(w, count, demand, most, rates, fit)
