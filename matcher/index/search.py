"""Search: the cheapest offers that may serve a bid, found without looking at most of them.

The answer is exact: a block is passed over only where its summary proves that none of its offers may
serve the bid, or none as cheaply as those already found. Costs are integers below 2^62.
"""

import numpy as np

from matcher.compiled import compiled
from matcher.index.layout import (
    B_COUNT,
    B_LOW,
    B_NEXT,
    BLOCK,
    D_BONUS,
    D_DEVICES,
    D_DOMAINS,
    D_DURATION,
    D_LIMIT,
    D_LOT,
    D_MEMORY,
    D_MODEL,
    D_MODELS,
    D_PROFILE,
    D_PROVIDERS,
    D_REGIONS,
    D_SHARE,
    D_SHUNNED,
    D_WANT,
    DOMAIN,
    F_COST,
    F_LOT,
    F_RATE,
    F_ROW,
    FAR,
    K_HEAD,
    K_LANE,
    K_MODEL,
    K_REGION,
    LOT,
    MODEL,
    O_COUNT,
    O_MEMORY,
    O_MILLI,
    O_START,
    PROFILE,
    PROVIDER,
    ROW,
    S_ASK,
    Array,
    int64,
)
from matcher.index.marking import hopeless, least_rate, mark

HOUR_OF_MILLI = 3_600_000
"""base units of escrow for one second at a rate of 1: `RATE_DIVISOR` over the milliseconds of a second"""
_BEYOND = 1 << 41
"""seconds of escrow of which the product with `HOUR_OF_MILLI` is above any rate"""

COLLISION = -1
"""two offers cost the same and have the same lot: what draws between them is not in the index"""


@compiled("boolean(int64[::1], int64, int64, int64)")
def _has(numbers: Array, start: int, count: int, number: int) -> bool:
    """Whether `number` is among `count` ascending numbers from `start`."""
    low, high = start, start + count
    while low < high:
        middle = (low + high) >> 1
        if numbers[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low < start + count and bool(numbers[low] == number)


@compiled("boolean(int64[::1], int64[::1], int64[::1])")
def _is_for(bucket: Array, demand: Array, lists: Array) -> bool:
    model, region = bucket[K_MODEL], bucket[K_REGION]
    if bucket[K_HEAD] < 0 or (region >= 0 and demand[D_REGIONS] >> region & 1 == 0):
        return False
    if model < 0:
        return True
    if demand[D_MODEL] != 0 and demand[D_MODEL] != model:
        return False
    return bool(demand[D_MODELS] == 0 or _has(lists, 0, demand[D_MODELS], model))


@compiled("boolean(int64[:,::1], int64[:,::1], int64, int64[::1])")
def has_devices(occupancy: Array, pool: Array, row: int, demand: Array) -> bool:
    """Whether the row's devices have room for one member."""
    count, share, memory = demand[D_DEVICES], demand[D_SHARE], demand[D_MEMORY]
    start, devices = occupancy[row, O_START], occupancy[row, O_COUNT]
    if start < 0:
        return bool(
            devices >= count and occupancy[row, O_MILLI] >= share and occupancy[row, O_MEMORY] >= memory
        )
    fitting = 0
    for device in range(start, start + devices):
        fitting += pool[device, 0] >= share and pool[device, 1] >= memory
    return bool(fitting >= count)


@compiled("boolean(int64[::1], int64, int64, int64)")
def _staked(escrows: Array, provider: int, rate: int, seconds: int) -> bool:
    """Whether the provider's stake covers a lease of `seconds` at `rate`."""
    if escrows.size == 0:
        return True
    whole = escrows[provider] // seconds
    if whole >= _BEYOND:
        return True
    rest = escrows[provider] - whole * seconds
    return bool(rate <= whole * HOUR_OF_MILLI + rest * HOUR_OF_MILLI // seconds)


@compiled("boolean(uint32[:,::1], int64, int64[::1], int64[::1])")
def _is_party(w: Array, i: int, demand: Array, lists: Array) -> bool:
    """Whether the offer's model and provider are among those the bid lists, and its provider not shunned."""
    models, wished, shunned = demand[D_MODELS], demand[D_PROVIDERS], demand[D_SHUNNED]
    model, provider = int64(w[MODEL, i]), int64(w[PROVIDER, i])
    if demand[D_MODEL] != 0 and model != demand[D_MODEL]:
        return False
    if demand[D_PROFILE] >= 0 and w[PROFILE, i] != demand[D_PROFILE]:
        return False
    if models > 0 and not _has(lists, 0, models, model):
        return False
    if wished > 0 and not _has(lists, models, wished, provider):
        return False
    return not (shunned > 0 and _has(lists, models + wished, shunned, provider))


@compiled("int64(int64[:,::1], int64, int64, int64, int64, int64)")
def _keep(found: Array, number: int, cost: int, lot: int, row: int, rate: int) -> int:
    """Put a place among the `number` best; how many there are then, or `COLLISION`."""
    room = found.shape[0]
    at = number
    while at > 0 and (
        found[at - 1, F_COST] > cost or (found[at - 1, F_COST] == cost and found[at - 1, F_LOT] > lot)
    ):
        at -= 1
    if at > 0 and found[at - 1, F_COST] == cost and found[at - 1, F_LOT] == lot:
        return COLLISION
    if at == room:
        return number
    for place in range(min(number, room - 1), at, -1):
        for field in range(4):
            found[place, field] = found[place - 1, field]
    found[at, F_COST], found[at, F_LOT], found[at, F_ROW], found[at, F_RATE] = cost, lot, row, rate
    return int(min(number + 1, room))


@compiled(
    "int64(uint32[:,::1], int64[::1], int64, int64[::1], int64[::1], int64[::1], int64[::1],"
    " int64[:,::1], int64[:,::1], int64[::1], uint8[::1], int64[:,::1], int64)"
)
def _scan(
    w: Array,
    lots: Array,
    count: int,
    demand: Array,
    lists: Array,
    domains: Array,
    escrows: Array,
    occupancy: Array,
    pool: Array,
    rates: Array,
    fit: Array,
    found: Array,
    number: int,
) -> int:
    """Look at each offer of a block that is marked fit; how many places are found then, or `COLLISION`."""
    room, seconds = found.shape[0], demand[D_DURATION]
    for i in range(count):
        if not fit[i]:
            continue
        rate, bonus = rates[i], int64(0)
        if demand[D_DOMAINS] != 0:
            bonus = domains[w[DOMAIN, i]]
        if bonus < 0 or (number == room and rate - bonus > found[room - 1, F_COST]):
            continue
        if not _is_party(w, i, demand, lists) or not _staked(escrows, w[PROVIDER, i], rate, seconds):
            continue
        row = int64(w[ROW, i])
        if demand[D_DEVICES] > 0 and not has_devices(occupancy, pool, row, demand):
            continue
        number = _keep(found, number, rate - bonus, lots[i] ^ demand[D_LOT], row, rate)
        if number < 0:
            return COLLISION
    return number


@compiled("int64(int64[:,::1], int64[::1], int64[::1], int64[::1], int64)")
def _most_promising(buckets: Array, among: Array, demand: Array, lists: Array, end: int) -> int:
    """Which of the buckets `among` could be the cheapest; -1 where none can serve the demand."""
    first, lowest = -1, int64(FAR)
    for turn in range(among.size):
        bucket = buckets[among[turn]]
        if _is_for(bucket, demand, lists) and not hopeless(bucket, demand, end):
            rate = least_rate(bucket, demand)
            if rate < lowest:
                first, lowest = turn, rate
    return first


@compiled(
    "int64(uint32[:,:,::1], int64[:,:,::1], int64[:,::1], int64[:,::1], int64[::1], int64[::1], int64[::1],"
    " int64[::1], int64[::1], int64[:,::1], int64[:,::1], int64, int64[:,::1])"
)
def search(
    words: Array,
    longs: Array,
    blocks: Array,
    buckets: Array,
    among: Array,
    demand: Array,
    lists: Array,
    domains: Array,
    escrows: Array,
    occupancy: Array,
    pool: Array,
    end: int,
    found: Array,
) -> int:
    """Fill `found` with the cheapest places for a lease until `end` in the buckets `among`, by cost and then
    lot; how many, or `COLLISION`. `domains` has what a domain's preference is worth, below 0 where it is not
    permitted; `escrows` what each provider's stake covers, empty where leases lock none."""
    room, number = found.shape[0], 0
    first = _most_promising(buckets, among, demand, lists, end)
    if first < 0:
        return 0
    fit, rates = np.zeros(BLOCK, dtype=np.uint8), np.zeros(BLOCK, dtype=np.int64)
    most = demand[D_LIMIT]
    for turn in range(-1, among.size):
        bucket = buckets[among[first if turn < 0 else turn]]
        floor = least_rate(bucket, demand)
        if (
            turn == first
            or floor > most
            or not _is_for(bucket, demand, lists)
            or hopeless(bucket, demand, end)
        ):
            continue
        want = demand[D_WANT + bucket[K_LANE]]
        floor -= bucket[S_ASK + bucket[K_LANE]] * want
        block = bucket[K_HEAD]
        while block >= 0 and floor + blocks[block, B_LOW] * want <= most:
            count, w = blocks[block, B_COUNT], words[block]
            if (
                least_rate(blocks[block], demand) <= most
                and not hopeless(blocks[block], demand, end)
                and mark(w, longs[block], count, demand, end, most, number == room, rates, fit)
            ):
                number = _scan(
                    w, longs[block, LOT], count, demand, lists, domains, escrows, occupancy, pool, rates, fit,
                    found, number,
                )  # fmt: skip
                if number < 0:
                    return COLLISION
                if number == room:
                    most = min(most, found[room - 1, F_COST] + demand[D_BONUS])
            block = blocks[block, B_NEXT]
    return number
