"""Blocks: offers come and go in small blocks ordered by price, so that no change rewrites the index.

A bucket is a chain of blocks: no key of one is above a key of the next, inside a block there is no order.
How offers lie in blocks depends on their history; what is found among them does not.
"""

import numpy as np

from matcher.compiled import compiled
from matcher.index.layout import (
    ASK,
    B_BUCKET,
    B_COUNT,
    B_LOW,
    B_NEXT,
    BLOCK,
    CAPABILITY,
    DEVICE_MEMORY,
    FEATURES,
    FREE,
    H_BLOCKS,
    H_SPARE,
    K_HEAD,
    K_LANE,
    K_SIDE,
    LANES,
    LEAST_SECONDS,
    LONGS,
    MOST_SECONDS,
    REGIONS,
    REPUTATION,
    ROW,
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
    SECONDS_LIMIT,
    SIDES,
    VALID_UNTIL,
    VENDORS,
    WORDS,
    Array,
    int64,
)

_SPARSE = BLOCK * 5 // 8
"""two neighbours that have this many together become one"""


@compiled("void(int64[::1])")
def clear_summary(summary: Array) -> None:
    """A summary of no offers."""
    for lane in range(LANES):
        summary[S_FREE + lane], summary[S_ASK + lane] = 0, SECONDS_LIMIT
    for field in range(S_VENDORS, S_LEAST_SECONDS):
        summary[field] = 0
    summary[S_LEAST_SECONDS] = SECONDS_LIMIT
    summary[S_MOST_SECONDS], summary[S_VALID_UNTIL], summary[S_REPUTATION] = 0, 0, 0


@compiled("void(int64[::1], uint32[:,::1], int64[:,::1], int64)")
def _include(summary: Array, w: Array, b: Array, i: int) -> None:
    """Let the summary cover one offer more."""
    for lane in range(LANES):
        summary[S_FREE + lane] = max(summary[S_FREE + lane], int64(w[FREE + lane, i]))
        summary[S_ASK + lane] = min(summary[S_ASK + lane], int64(w[ASK + lane, i]))
    summary[S_VENDORS] |= int64(w[VENDORS, i])
    summary[S_FEATURES] |= b[FEATURES, i]
    summary[S_REGIONS] |= b[REGIONS, i]
    summary[S_DEVICE_MEMORY] = max(summary[S_DEVICE_MEMORY], int64(w[DEVICE_MEMORY, i]))
    summary[S_CAPABILITY] = max(summary[S_CAPABILITY], int64(w[CAPABILITY, i]))
    summary[S_LEAST_SECONDS] = min(summary[S_LEAST_SECONDS], int64(w[LEAST_SECONDS, i]))
    summary[S_MOST_SECONDS] = max(summary[S_MOST_SECONDS], int64(w[MOST_SECONDS, i]))
    summary[S_VALID_UNTIL] = max(summary[S_VALID_UNTIL], int64(w[VALID_UNTIL, i]))
    summary[S_REPUTATION] = max(summary[S_REPUTATION], int64(w[REPUTATION, i]))


@compiled("void(uint32[:,:,::1], int64[:,:,::1], int64[:,::1], int64[:,::1], int64)")
def _summarise(words: Array, longs: Array, blocks: Array, buckets: Array, block: int) -> None:
    clear_summary(blocks[block])
    lane = buckets[blocks[block, B_BUCKET], K_LANE]
    low = int64(SECONDS_LIMIT)
    for i in range(blocks[block, B_COUNT]):
        _include(blocks[block], words[block], longs[block], i)
        low = min(low, int64(words[block, ASK + lane, i]))
    blocks[block, B_LOW] = low


@compiled("void(uint32[:,:,::1], int64[:,:,::1], int64[:,::1], int64, int64, int64, int64, int64)")
def _move(
    words: Array, longs: Array, places: Array, side: int, block: int, i: int, target: int, j: int
) -> None:
    """Copy the offer at place `i` of one block to place `j` of another, and remember where it is."""
    for field in range(WORDS):
        words[target, field, j] = words[block, field, i]
    for field in range(LONGS):
        longs[target, field, j] = longs[block, field, i]
    places[words[target, ROW, j], side] = target * BLOCK + j


@compiled("int64(int64[:,::1], int64[::1], int64)")
def _fresh(blocks: Array, header: Array, bucket: int) -> int:
    """An empty block, of which there must be one."""
    block = header[H_SPARE]
    if block >= 0:
        header[H_SPARE] = blocks[block, B_NEXT]
    else:
        block = header[H_BLOCKS]
        header[H_BLOCKS] += 1
    blocks[block, B_COUNT], blocks[block, B_NEXT], blocks[block, B_BUCKET] = 0, -1, bucket
    return int(block)


@compiled("int64(int64[:,::1], int64[:,::1], int64, int64)")
def _block_for(blocks: Array, buckets: Array, bucket: int, key: int) -> int:
    """The last block that may hold the key: the first one where all begin above it."""
    block = buckets[bucket, K_HEAD]
    while blocks[block, B_NEXT] >= 0 and blocks[blocks[block, B_NEXT], B_LOW] <= key:
        block = blocks[block, B_NEXT]
    return int(block)


@compiled(
    "int64(uint32[:,:,::1], int64[:,:,::1], int64[:,::1], int64[:,::1], int64[::1], int64[:,::1], int64)"
)
def _split(
    words: Array, longs: Array, blocks: Array, buckets: Array, header: Array, places: Array, block: int
) -> int:
    """Move the dearer half of a full block to a new one behind it, which is returned."""
    bucket = blocks[block, B_BUCKET]
    side, field = buckets[bucket, K_SIDE], ASK + buckets[bucket, K_LANE]
    ranking = np.argsort(words[block, field])
    middle = words[block, field, ranking[BLOCK // 2]]
    target = _fresh(blocks, header, bucket)
    blocks[target, B_NEXT] = blocks[block, B_NEXT]
    blocks[block, B_NEXT] = target
    above = 0
    for i in range(BLOCK):
        above += words[block, field, i] > middle
    equal = BLOCK // 2 - above
    kept = 0
    for i in range(BLOCK):
        key = words[block, field, i]
        away = key > middle
        if key == middle and equal > 0:
            away, equal = True, equal - 1
        if away:
            _move(words, longs, places, side, block, i, target, blocks[target, B_COUNT])
            blocks[target, B_COUNT] += 1
        else:
            if i != kept:
                _move(words, longs, places, side, block, i, block, kept)
            kept += 1
    blocks[block, B_COUNT] = kept
    _summarise(words, longs, blocks, buckets, block)
    _summarise(words, longs, blocks, buckets, target)
    return target


@compiled(
    "void(uint32[:,:,::1], int64[:,:,::1], int64[:,::1], int64[:,::1], int64[::1], int64[:,::1], int64,"
    " uint32[::1], int64[::1])"
)
def insert(
    words: Array,
    longs: Array,
    blocks: Array,
    buckets: Array,
    header: Array,
    places: Array,
    bucket: int,
    word: Array,
    long: Array,
) -> None:
    """Add an offer's columns to a bucket; a spare block must be there."""
    key = int64(word[ASK + buckets[bucket, K_LANE]])
    if buckets[bucket, K_HEAD] < 0:
        buckets[bucket, K_HEAD] = _fresh(blocks, header, bucket)
        clear_summary(buckets[bucket])
        _summarise(words, longs, blocks, buckets, buckets[bucket, K_HEAD])
    block = _block_for(blocks, buckets, bucket, key)
    if blocks[block, B_COUNT] == BLOCK:
        target = _split(words, longs, blocks, buckets, header, places, block)
        if key >= blocks[target, B_LOW]:
            block = target
    i = blocks[block, B_COUNT]
    blocks[block, B_COUNT] += 1
    for field in range(WORDS):
        words[block, field, i] = word[field]
    for field in range(LONGS):
        longs[block, field, i] = long[field]
    places[word[ROW], buckets[bucket, K_SIDE]] = block * BLOCK + i
    _include(blocks[block], words[block], longs[block], i)
    blocks[block, B_LOW] = min(blocks[block, B_LOW], key)
    _include(buckets[bucket], words[block], longs[block], i)


@compiled("void(int64[:,::1], int64[:,::1], int64[::1], int64, int64)")
def _unlink(blocks: Array, buckets: Array, header: Array, before: int, block: int) -> None:
    """Take an empty block out of its chain; `before` is the one before it, -1 where it is the first."""
    if before < 0:
        buckets[blocks[block, B_BUCKET], K_HEAD] = blocks[block, B_NEXT]
    else:
        blocks[before, B_NEXT] = blocks[block, B_NEXT]
    blocks[block, B_NEXT] = header[H_SPARE]
    header[H_SPARE] = block


@compiled("int64(int64[:,::1], int64[:,::1], int64)")
def _before(blocks: Array, buckets: Array, block: int) -> int:
    before = -1
    at = buckets[blocks[block, B_BUCKET], K_HEAD]
    while at != block:
        before, at = at, blocks[at, B_NEXT]
    return before


@compiled(
    "void(uint32[:,:,::1], int64[:,:,::1], int64[:,::1], int64[:,::1], int64[::1], int64[:,::1], int64,"
    " int64)"
)
def remove(
    words: Array,
    longs: Array,
    blocks: Array,
    buckets: Array,
    header: Array,
    places: Array,
    side: int,
    row: int,
) -> None:
    """Take an offer out of one side; sparse neighbours become one block."""
    block, i = places[row, side] // BLOCK, places[row, side] % BLOCK
    last = blocks[block, B_COUNT] - 1
    if i != last:
        _move(words, longs, places, side, block, last, block, i)
    places[row, side] = -1
    blocks[block, B_COUNT] = last
    if last == 0:
        _unlink(blocks, buckets, header, _before(blocks, buckets, block), block)
        return
    follower = blocks[block, B_NEXT]
    if follower >= 0 and last + blocks[follower, B_COUNT] <= _SPARSE:
        for j in range(blocks[follower, B_COUNT]):
            _move(words, longs, places, side, follower, j, block, last + j)
        blocks[block, B_COUNT] = last + blocks[follower, B_COUNT]
        _unlink(blocks, buckets, header, block, follower)
    _summarise(words, longs, blocks, buckets, block)


@compiled("void(uint32[:,:,::1], int64[:,::1], int64, int64)")
def rename(words: Array, places: Array, row: int, now: int) -> None:
    """An offer's row has another number now."""
    for side in range(SIDES):
        place = places[row, side]
        words[place // BLOCK, ROW, place % BLOCK] = now
        places[now, side] = place
        places[row, side] = -1


@compiled("void(uint32[:,:,::1], int64[:,::1], int64[:,::1], int64, int64[::1])")
def _tell_free(words: Array, blocks: Array, buckets: Array, place: int, free: Array) -> None:
    """What is free of the offer at this place changed; the block's summary stays exact, the bucket's stays
    a bound."""
    block, i = place // BLOCK, place % BLOCK
    bucket = blocks[block, B_BUCKET]
    for lane in range(LANES):
        before, now = int64(words[block, FREE + lane, i]), free[lane]
        if before == now:
            continue
        words[block, FREE + lane, i] = now
        most = blocks[block, S_FREE + lane]
        if now >= most:
            blocks[block, S_FREE + lane] = now
            buckets[bucket, S_FREE + lane] = max(buckets[bucket, S_FREE + lane], now)
        elif before == most:
            top = np.uint32(0)
            for j in range(blocks[block, B_COUNT]):
                top = max(top, words[block, FREE + lane, j])
            blocks[block, S_FREE + lane] = int64(top)


@compiled(
    "boolean(uint32[:,:,::1], int64[:,::1], int64[:,::1], int64[:,::1], int64[:,::1], int64, int64,"
    " int64, int64, int64, int64, int64, int64, int64)"
)
def lend(
    words: Array,
    blocks: Array,
    buckets: Array,
    places: Array,
    lanes: Array,
    row: int,
    sign: int,
    cpu: int,
    memory: int,
    disk: int,
    gpu: int,
    gpu_memory: int,
    network: int,
    reserved: int,
) -> bool:
    """Take (`sign` 1) or give back (-1) what a lease holds of the row, on both sides; False, and nothing
    done, where a lane's use would not fit its width. `lanes` has a row's capacity, then what leases hold."""
    amounts = (cpu, memory, disk, gpu, gpu_memory, network, reserved)
    for lane in range(7):
        if lanes[row, 7 + lane] + sign * amounts[lane] >= 1 << 31:
            return False
    free = np.empty(7, dtype=np.int64)
    for lane in range(7):
        used = max(0, lanes[row, 7 + lane] + sign * amounts[lane])
        lanes[row, 7 + lane] = used
        free[lane] = max(0, lanes[row, lane] - used)
    for side in range(SIDES):
        _tell_free(words, blocks, buckets, places[row, side], free)
    return True
