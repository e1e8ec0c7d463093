"""Placing, lifting and searching at machine speed, in whole numbers alone.

A state is `room` (what is free of lanes and devices) and `held` (purses, groups, each member's candidate, its
devices, who is served, the score).
"""

import numpy as np
import numpy.typing as npt

from matcher.compiled import Numbers, compiled

Words = npt.NDArray[np.uint64]
Tables = tuple[Numbers, Numbers, Numbers, Numbers]
"""bids (`REACH`: a bit for each listed offer, of 63), wants, candidates, offers; bids and offers have a last
row that only says where lists end"""
Room = tuple[Numbers, Numbers]
"""lanes free by offer; milli and memory free by device"""
Held = tuple[Numbers, Numbers, Numbers, Numbers, Numbers, Numbers]
"""purse left by pool, taken flag by group, candidate by member, device numbers, served flag by bid, score"""

VALUE, MEMBERS, DEVICES, SHARE, MEMORY, DISTINCT, TOGETHER, GROUP, WORK, CANDIDATE, MEMBER, DEVICE, REACH = (
    range(13)
)
OFFER, COST, LOCK, FRAGMENT = range(4)
POOL, DOMAIN, FIRST = range(3)

_TABLES = "UniTuple(int64[:,::1], 4)"
_ROOM = "UniTuple(int64[:,::1], 2)"
_HELD = "UniTuple(int64[::1], 6)"
_STATE = f"{_TABLES}, {_ROOM}, {_HELD}"
_ROOMS = "UniTuple(UniTuple(int64[:,::1], 2), 3)"
_HELDS = "UniTuple(UniTuple(int64[::1], 6), 3)"
_DRAW = "uint64[::1]"


@compiled(f"int64({_DRAW}, int64)")
def below(words: Words, limit: int) -> int:
    """The next number of a splitmix64 sequence, cut to 0 … limit - 1 (the bias is of no matter here)."""
    words[0] += np.uint64(0x9E3779B97F4A7C15)
    z = words[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return int(np.int64((z >> np.uint64(33)) % np.uint64(limit)))


@compiled(f"int64({_STATE}, int64, int64, int64, int64)")
def device(tables: Tables, room: Room, held: Held, bid: int, offer: int, start: int, chosen: int) -> int:
    """The fullest device of an offer that a member could use besides those it has, then the lowest; or -1."""
    devices, share, memory = room[1], tables[0][bid, SHARE], tables[0][bid, MEMORY]
    found, least = -1, 1 << 62
    for number in range(tables[3][offer, FIRST], tables[3][offer + 1, FIRST]):
        milli = devices[number, 0]
        if milli < share or milli >= least or devices[number, 1] < memory:
            continue
        used = False
        for earlier in range(start, start + chosen):
            used = used or held[3][earlier] == number
        if not used:
            found, least = number, milli
    return found


@compiled(f"boolean({_STATE}, int64, int64, int64)")
def put(tables: Tables, room: Room, held: Held, bid: int, candidate: int, member: int) -> bool:
    """One member onto one candidate, where it fits."""
    bids, want, candidates, free = tables[0], tables[1], tables[2], room[0]
    offer = candidates[candidate, OFFER]
    for lane in range(want.shape[1]):
        if free[offer, lane] < want[bid, lane]:
            return False
    pool = tables[3][offer, POOL]
    if held[0][pool] < candidates[candidate, LOCK]:
        return False
    start = bids[bid, DEVICE] + member * bids[bid, DEVICES]
    for step in range(bids[bid, DEVICES]):
        held[3][start + step] = device(tables, room, held, bid, offer, start, step)
        if held[3][start + step] < 0:
            return False
    for number in held[3][start : start + bids[bid, DEVICES]]:
        room[1][number, 0] -= bids[bid, SHARE]
        room[1][number, 1] -= bids[bid, MEMORY]
    for lane in range(want.shape[1]):
        free[offer, lane] -= want[bid, lane]
    held[0][pool] -= candidates[candidate, LOCK]
    held[2][bids[bid, MEMBER] + member] = candidate
    return True


@compiled(f"void({_STATE}, int64, int64)")
def lift(tables: Tables, room: Room, held: Held, bid: int, members: int) -> None:
    """The first members of a bid off their places."""
    bids, want, free = tables[0], tables[1], room[0]
    for member in range(members):
        candidate = held[2][bids[bid, MEMBER] + member]
        offer = tables[2][candidate, OFFER]
        held[0][tables[3][offer, POOL]] += tables[2][candidate, LOCK]
        for lane in range(want.shape[1]):
            free[offer, lane] += want[bid, lane]
        start = bids[bid, DEVICE] + member * bids[bid, DEVICES]
        for step in range(bids[bid, DEVICES]):
            room[1][held[3][start + step], 0] += bids[bid, SHARE]
            room[1][held[3][start + step], 1] += bids[bid, MEMORY]


@compiled(f"int64({_STATE}, UniTuple(int64, 4), {_DRAW})")
def fill(tables: Tables, room: Room, held: Held, how: tuple[int, int, int, int], words: Words) -> int:
    """A whole bid onto its cheapest places, its cost or -1. `how`: the bid, whether all must have one pool
    or domain, which one, and how many of 64 candidates are passed over by chance."""
    bid, kind, which, blinks = how
    bids, candidates, offers = tables[0], tables[2], tables[3]
    need, cost, distinct = bids[bid, MEMBERS], 0, bids[bid, DISTINCT]
    done = 0
    for candidate in range(bids[bid, CANDIDATE], tables[0][bid + 1, CANDIDATE]):
        if done == need:
            break
        price = candidates[candidate, COST]
        if price > (bids[bid, VALUE] - cost) // (need - done):
            break
        offer = candidates[candidate, OFFER]
        if kind > 0 and offers[offer, kind - 1] != which:
            continue
        if blinks > 0 and below(words, 64) < blinks:
            continue
        if distinct > 1:
            met = False
            for earlier in range(done):
                other = candidates[held[2][bids[bid, MEMBER] + earlier], OFFER]
                met = met or offers[other, distinct - 2] == offers[offer, distinct - 2]
            if met:
                continue
        while done < need and put(tables, room, held, bid, candidate, done):
            done += 1
            cost += price
            if distinct > 0:
                break
            if price * (need - done) > bids[bid, VALUE] - cost:
                break
    if done == need:
        return cost
    lift(tables, room, held, bid, done)
    return -1


@compiled(f"int64({_STATE}, int64, int64, {_DRAW})")
def gather(tables: Tables, room: Room, held: Held, bid: int, blinks: int, words: Words) -> int:
    """`fill` for members that must be together: the pool or domain where the whole bid costs least."""
    bids, kind = tables[0], tables[0][bid, TOGETHER]
    least, where = -1, -1
    first = bids[bid, CANDIDATE]
    for candidate in range(first, tables[0][bid + 1, CANDIDATE]):
        if least >= 0 and tables[2][candidate, COST] * bids[bid, MEMBERS] >= least:
            break
        which = tables[3][tables[2][candidate, OFFER], kind - 1]
        seen = False
        for earlier in range(first, candidate):
            if tables[3][tables[2][earlier, OFFER], kind - 1] == which:
                seen = True
                break
        if seen or (blinks > 0 and below(words, 64) < blinks):
            continue
        cost = fill(tables, room, held, (bid, kind, which, 0), words)
        if cost >= 0:
            lift(tables, room, held, bid, bids[bid, MEMBERS])
            if least < 0 or cost < least:
                least, where = cost, which
    if least < 0:
        return -1
    return fill(tables, room, held, (bid, kind, where, 0), words)


@compiled(f"void({_TABLES}, {_HELD}, int64, int64)")
def count(tables: Tables, held: Held, bid: int, sign: int) -> None:
    """A bid's part of the score: welfare, work, fragments avoided, time priority."""
    bids, score = tables[0], held[5]
    score[0] += sign * bids[bid, VALUE]
    for member in range(bids[bid, MEMBERS]):
        candidate = held[2][bids[bid, MEMBER] + member]
        score[0] -= sign * tables[2][candidate, COST]
        score[2] -= sign * tables[2][candidate, FRAGMENT]
    score[1] += sign * bids[bid, WORK]
    score[3] += sign * (held[4].size - bid)
    held[4][bid] += sign
    if bids[bid, GROUP] >= 0:
        held[1][bids[bid, GROUP]] += sign


@compiled(f"boolean({_STATE}, int64, int64, {_DRAW})")
def serve(tables: Tables, room: Room, held: Held, bid: int, blinks: int, words: Words) -> bool:
    """A bid onto the best places free now, if it has none yet and no alternative of it is served."""
    bids = tables[0]
    if held[4][bid] != 0 or (bids[bid, GROUP] >= 0 and held[1][bids[bid, GROUP]] != 0):
        return False
    if bids[bid, TOGETHER] > 0:
        cost = gather(tables, room, held, bid, blinks, words)
    else:
        cost = fill(tables, room, held, (bid, 0, 0, blinks), words)
    if cost < 0:
        return False
    count(tables, held, bid, 1)
    return True


@compiled(f"void({_STATE}, int64)")
def dismiss(tables: Tables, room: Room, held: Held, bid: int) -> None:
    """A served bid off all its places."""
    count(tables, held, bid, -1)
    lift(tables, room, held, bid, tables[0][bid, MEMBERS])


@compiled(f"int64({_STATE}, int64[::1], {_DRAW})")
def construct(tables: Tables, room: Room, held: Held, order: Numbers, words: Words) -> int:
    """Every bid of `order` in turn, where it still fits; how many were served."""
    served = 0
    for bid in order:
        served += serve(tables, room, held, bid, 0, words)
    return served


@compiled(f"boolean({_TABLES}, {_ROOM}, {_HELD}, {_DRAW})")
def everyone(tables: Tables, room: Room, held: Held, words: Words) -> bool:
    """Everybody onto the very cheapest places: true where all fit, and then nothing can be better."""
    for bid in range(held[4].size):
        bids = tables[0]
        first = bids[bid, CANDIDATE]
        if first == tables[0][bid + 1, CANDIDATE]:
            continue
        if bids[bid, GROUP] >= 0:
            return False
        price = tables[2][first, COST]
        if price * bids[bid, MEMBERS] > bids[bid, VALUE]:
            continue
        if not serve(tables, room, held, bid, 0, words):
            return False
        for member in range(bids[bid, MEMBERS]):
            if tables[2][held[2][bids[bid, MEMBER] + member], COST] != price:
                return False
    return True


@compiled(f"void({_ROOM}, {_HELD}, {_ROOM}, {_HELD})")
def copy(room: Room, held: Held, to_room: Room, to_held: Held) -> None:
    """One state over another."""
    for part in range(2):
        to_room[part][:] = room[part]
    for part in range(6):
        to_held[part][:] = held[part]


@compiled("boolean(int64[::1], int64[::1])")
def better(score: Numbers, than: Numbers) -> bool:
    """Whether a score comes before another: welfare, then work, fragments, time priority."""
    for part in range(score.size):
        if score[part] != than[part]:
            return bool(score[part] > than[part])
    return False


@compiled(f"void({_TABLES}, int64[::1], int64, int64, {_DRAW})")
def mark(tables: Tables, marks: Numbers, bid: int, wide: int, words: Words) -> None:
    """Mark some offers that a bid could use: neighbours in its list, of one pool or domain where it must."""
    first, end = tables[0][bid, CANDIDATE], tables[0][bid + 1, CANDIDATE]
    marks[:] = 0
    if end == first:
        return
    kind = tables[0][bid, TOGETHER]
    start = first + below(words, end - first)
    which = tables[3][tables[2][start, OFFER], max(kind - 1, 0)]
    left = wide
    for step in range(end - first):
        candidate = start + step
        if candidate >= end:
            candidate -= end - first
        offer = tables[2][candidate, OFFER]
        if left > 0 and (kind == 0 or tables[3][offer, kind - 1] == which):
            marks[offer] = 1
            left -= 1


@compiled(f"int64({_STATE}, int64[::1], int64, {_DRAW})")
def clear(tables: Tables, room: Room, held: Held, marks: Numbers, spared: int, words: Words) -> int:
    """Dismiss who has a member on a marked offer; so many of 64 are spared by chance. Returns a word with
    the bits of all offers on which room was made."""
    bids, candidates = tables[0], tables[2]
    made = 0
    for bid in range(held[4].size):
        if held[4][bid] == 0:
            continue
        met, bits = False, 0
        for slot in range(bids[bid, MEMBER], bids[bid + 1, MEMBER]):
            offer = candidates[held[2][slot], OFFER]
            met = met or marks[offer] != 0
            bits |= 1 << (offer % 63)
        if met and (spared == 0 or below(words, 64) >= spared):
            dismiss(tables, room, held, bid)
            made |= bits
    return made


@compiled(f"int64({_STATE}, int64, int64[::1], {_DRAW})")
def ruin(tables: Tables, room: Room, held: Held, bid: int, marks: Numbers, words: Words) -> int:
    """Free some neighbouring offers that a bid could use; a word with the bits of where room was made."""
    wide = 1 + below(words, 3)
    if held[4][bid] == 0:
        wide += tables[0][bid, MEMBERS] - 1 - below(words, min(tables[0][bid, MEMBERS], 3))
    mark(tables, marks, bid, wide, words)
    spared = 16 if below(words, 4) == 0 else 0
    return clear(tables, room, held, marks, spared, words)


@compiled(f"void({_STATE}, int64[::1], int64, int64, {_DRAW})")
def refill(
    tables: Tables, room: Room, held: Held, order: Numbers, made: int, gaps: int, words: Words
) -> None:
    """Serve by an order whoever may use the room that was made; so many of 64 are passed over by chance."""
    for bid in order:
        if held[4][bid] != 0 or tables[0][bid, REACH] & made == 0:
            continue
        if gaps == 0:
            serve(tables, room, held, bid, 0, words)
        elif below(words, 64) >= gaps:
            serve(tables, room, held, bid, 2, words)


@compiled(f"void({_STATE}, int64[:,::1], int64, int64, {_DRAW})")
def recreate(
    tables: Tables, room: Room, held: Held, orders: Numbers, bid: int, made: int, words: Words
) -> None:
    """Fill what is free again: perhaps this bid first, then by one order with gaps, then by another."""
    if below(words, 4) > 0:
        serve(tables, room, held, bid, 0, words)
    chosen, gaps = below(words, len(orders)), below(words, 24)
    refill(tables, room, held, orders[chosen], made, gaps, words)
    chosen = below(words, len(orders))
    refill(tables, room, held, orders[chosen], made, 0, words)


@compiled(f"int64({_TABLES}, int64[:,::1], {_ROOMS}, {_HELDS}, int64, {_DRAW})")
def improve(
    tables: Tables,
    orders: Numbers,
    rooms: tuple[Room, Room, Room],
    helds: tuple[Held, Held, Held],
    iterations: int,
    words: Words,
) -> int:
    """Ruin and recreate, so many times. The first state is worked on, the second is the last accepted one,
    the third ends as the best seen (all three must start alike). Worse states are accepted while they stay
    above a record that tightens step by step. Returns the iteration that found the best."""
    (room, kept_room, best_room), (held, kept, best) = rooms, helds
    marks = np.zeros(len(tables[3]), np.int64)
    found = 0
    pace = max(iterations // 8, 1)
    for iteration in range(iterations):
        bid = below(words, held[4].size)
        if held[4][bid] != 0:
            bid = below(words, held[4].size)
        made = ruin(tables, room, held, bid, marks, words)
        recreate(tables, room, held, orders, bid, made, words)
        left = iterations - iteration
        slack = (best[5][0] >> 16) * ((left << 10) // iterations)
        if better(held[5], best[5]):
            copy(room, held, best_room, best)
            copy(room, held, kept_room, kept)
            found = iteration
        elif held[5][0] >= best[5][0] - slack and iteration - found < pace:
            copy(room, held, kept_room, kept)
        elif iteration - found == pace:
            copy(best_room, best, room, held)
            copy(best_room, best, kept_room, kept)
        else:
            copy(kept_room, kept, room, held)
    return found
