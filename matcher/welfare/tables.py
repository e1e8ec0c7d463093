"""A clearing problem as the kernels read it: in an order of its own, its money without common factor.

Bids stand by queue and key, offers by key, whatever order they came in; dividing all money by its greatest
common divisor lets every price be multiplied without any decision changing.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from matcher.compiled import Numbers
from matcher.welfare import kernels
from matcher.welfare.kernels import Held, Room, Tables, Words
from matcher.welfare.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canon:
    """`tables` with the free `room` and `purse`; row `i` of a table is the problem's bid `bid_rows[i]` or
    offer `offer_rows[i]`; money of the problem is money here times `unit`."""

    tables: Tables
    room: Room
    purse: Numbers
    groups: int
    bid_rows: Numbers
    offer_rows: Numbers
    unit: int

    @property
    def bids(self) -> int:
        """How many bids there are."""
        return len(self.tables[0]) - 1

    def owners(self) -> Numbers:
        """The bid of each candidate."""
        return np.repeat(np.arange(self.bids), np.diff(self.tables[0][:, kernels.CANDIDATE]))

    def devices(self, offer: int) -> Numbers:
        """What an offer has free of each device: milli and memory."""
        first = self.tables[3][:, kernels.FIRST]
        return self.room[1][first[offer] : first[offer + 1]]

    def state(self) -> tuple[Room, Held]:
        """A fresh state in which nobody is served."""
        last = self.tables[0][-1]
        held = (
            self.purse.copy(),
            np.zeros(self.groups, np.int64),
            np.zeros(int(last[kernels.MEMBER]), np.int64),
            np.zeros(int(last[kernels.DEVICE]), np.int64),
            np.zeros(self.bids, np.int64),
            np.zeros(4, np.int64),
        )
        return (self.room[0].copy(), self.room[1].copy()), held

    def words(self) -> Words:
        """The seed of all chance in this problem: from its shape, never from its prices."""
        bids, want, candidates, _ = self.tables
        shape = blake2b(digest_size=8)
        for part in (bids[:, 1:], want, candidates[:, 0], *self.room):
            shape.update(np.ascontiguousarray(part).tobytes())
        return np.array([int.from_bytes(shape.digest(), "little")], dtype=np.uint64)


def canon(problem: Problem) -> Canon:
    """The problem in its own order and smallest money."""
    bid_rows = _order([(int(seq), key) for seq, key in zip(problem.bids.seq, problem.bids.keys, strict=True)])
    offer_rows = _order(list(problem.offers.keys))
    unit = _unit(problem)
    candidates, first = _candidates(problem, bid_rows, offer_rows, unit)
    offers, devices = _offers(problem, offer_rows)
    bids, groups = _bids(problem, bid_rows, first, unit)
    bids[:-1, kernels.REACH] = _reach(candidates, first)
    want = np.ascontiguousarray(problem.bids.want[bid_rows])
    lanes = np.ascontiguousarray(problem.offers.capacity[offer_rows])
    return Canon(
        tables=(bids, want, candidates, offers),
        room=(lanes, devices),
        purse=problem.purse,
        groups=groups,
        bid_rows=bid_rows,
        offer_rows=offer_rows,
        unit=unit,
    )


def _order(keys: list[bytes] | list[tuple[int, bytes]]) -> Numbers:
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def _unit(problem: Problem) -> int:
    divisor = np.gcd(np.gcd.reduce(problem.bids.value), np.gcd.reduce(problem.candidates.cost))
    return max(int(divisor), 1)


def spans(first: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
    """For lists given by where each begins: the entries of `rows`' lists one after the other, and where each
    begins then."""
    lengths = np.diff(first)[rows]
    begins = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
    taken = np.arange(begins[-1]) + np.repeat(first[:-1][rows] - begins[:-1], lengths)
    return taken, begins


def _candidates(
    problem: Problem, bid_rows: Numbers, offer_rows: Numbers, unit: int
) -> tuple[Numbers, Numbers]:
    listed = problem.candidates
    taken, first = spans(listed.first, bid_rows)
    place = np.empty(len(offer_rows), np.int64)
    place[offer_rows] = np.arange(len(offer_rows))
    table = np.empty((len(taken), 4), np.int64)
    table[:, kernels.OFFER] = place[listed.offer[taken]]
    unaffordable = np.repeat(problem.bids.value[bid_rows] // unit + 1, np.diff(first))
    table[:, kernels.COST] = np.minimum(listed.cost[taken] // unit, unaffordable)
    table[:, kernels.LOCK] = listed.lock[taken]
    table[:, kernels.FRAGMENT] = listed.fragment[taken]
    return table, first


def _reach(candidates: Numbers, first: Numbers) -> Numbers:
    """A word for each bid with the bits of its offers."""
    bits = np.append(np.int64(1) << (candidates[:, kernels.OFFER] % 63), np.int64(0))
    return np.where(np.diff(first) > 0, np.bitwise_or.reduceat(bits, first[:-1]), 0)


def _offers(problem: Problem, rows: Numbers) -> tuple[Numbers, Numbers]:
    offers = problem.offers
    taken, first = spans(offers.device_from, rows)
    table = np.zeros((len(rows) + 1, 3), np.int64)
    table[:-1, kernels.POOL] = offers.pool[rows]
    table[:-1, kernels.DOMAIN] = offers.domain[rows]
    table[:, kernels.FIRST] = first
    devices = np.empty((len(taken), 2), np.int64)
    devices[:, 0] = offers.device_milli[taken]
    devices[:, 1] = offers.device_memory[taken]
    return table, devices


def _bids(problem: Problem, rows: Numbers, first: Numbers, unit: int) -> tuple[Numbers, int]:
    bids = problem.bids
    table = np.zeros((len(rows) + 1, kernels.REACH + 1), np.int64)
    columns = (bids.value // unit, bids.members, bids.devices, bids.share, bids.memory, bids.distinct)
    for column, values in enumerate((*columns, bids.together, bids.group, bids.work)):
        table[:-1, column] = values[rows]
    named, table[:-1, kernels.GROUP] = _groups(table[:-1, kernels.GROUP])
    table[:, kernels.CANDIDATE] = first
    lay_out(table)
    return table, named


def lay_out(bids: Numbers) -> None:
    """Write where the members and the devices of each bid begin in a state."""
    members = bids[:-1, kernels.MEMBERS]
    for column, width in ((kernels.MEMBER, members), (kernels.DEVICE, members * bids[:-1, kernels.DEVICES])):
        bids[0, column] = 0
        bids[1:, column] = np.cumsum(width)


def _groups(group: Numbers) -> tuple[int, Numbers]:
    """Groups numbered from 0 in the order of their first bid; who has none keeps -1."""
    numbers: dict[int, int] = {}
    named = [numbers.setdefault(int(g), len(numbers)) if g >= 0 else -1 for g in group]
    return len(numbers), np.array(named, dtype=np.int64)
