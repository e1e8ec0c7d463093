"""The clearing as a mixed-integer program: the one door to HiGHS, for proofs on small markets.

Devices are first taken together (so many milli, so much memory, so many devices opened for shares), which is
quicker to solve but may promise an offer more shares than its devices can hold. Offers where that happens get
a variable for each device and the program is solved again, so that the last answer is exact.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np

from matcher.devices import WHOLE
from matcher.welfare import kernels
from matcher.welfare.tables import Canon

Row = list[tuple[int, int]]
Limit = int | float
"""whole, or endless"""
ENDLESS = float("inf")
MARGIN = 1e-7
FINE = 1 << 10
"""parts of a unit of money that duals are rounded to"""
SOLVED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """`taken`: members by candidate, empty where no solution was found. `bound`: no solution is worth more.
    `finished`: the solver closed the gap."""

    taken: dict[int, int]
    bound: float
    finished: bool


@dataclass(slots=True)
class Program:
    """A program under construction: columns with their gain and most, rows with their least and most."""

    gains: list[int] = field(default_factory=list)
    most: list[int] = field(default_factory=list)
    rows: list[tuple[Limit, Limit, Row]] = field(default_factory=list)

    def column(self, gain: int, most: int) -> int:
        """A new integer column from 0 to `most`."""
        self.gains.append(gain)
        self.most.append(most)
        return len(self.gains) - 1

    def row(self, terms: Row, least: Limit, most: Limit) -> None:
        """A constraint on the sum of the terms, unless the columns' ranges say it already."""
        if most < ENDLESS and least == -ENDLESS:
            reach = sum(weight * self.most[column] for column, weight in terms if weight > 0)
            if reach <= most:
                return
        self.rows.append((least, most, terms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """`bound`: no solution is worth more, in whole numbers. `used` are the candidates that the fractional
    solution uses; `loss` is what each candidate's use costs it at least (0 where it is used); `gain` is what
    each bid would gain if it paid for what it takes from others."""

    bound: int
    used: list[int]
    loss: dict[int, float]
    gain: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Members of different bids (by their candidates) that an offer's devices cannot hold together, while so
    many of its free devices hold shares."""

    offer: int
    candidates: tuple[int, ...]
    opened: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What earlier answers of the program got wrong: crowds, and offers whose devices are told apart."""

    crowds: tuple[Crowd, ...] = ()
    split: frozenset[int] = frozenset()


def prove(canon: Canon, learnt: Learnt, nodes: int) -> Proof:
    """The best solution, searched for so many nodes of the tree."""
    program, columns, _ = _program(canon, learnt)
    solver = _solver(program, canon)
    solver.setOptionValue("mip_max_nodes", nodes)
    solver.run()
    info = solver.getInfo()
    taken: dict[int, int] = {}
    if info.primal_solution_status == SOLVED:
        values = list(solver.getSolution().col_value)
        taken = {row: round(values[column]) for row, column in columns.items() if values[column] > 0.5}
    finished = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return Proof(taken=taken, bound=info.mip_dual_bound * _scale(canon), finished=finished)


def relax(canon: Canon) -> Relaxation:
    """The program without its whole numbers: a bound on every solution that is checked in exact arithmetic,
    whatever the solver's tolerances."""
    program, columns, served = _program(canon, Learnt())
    solver = _solver(program, canon)
    solver.setOptionValue("solve_relaxation", True)
    solver.run()
    solution, scale = solver.getSolution(), _scale(canon)
    duals = [dual * scale for dual in solution.row_dual]
    bound = weighed(program, duals if len(duals) == len(program.rows) else [0.0] * len(program.rows))
    values, reduced = list(solution.col_value), list(solution.col_dual)
    used = [row for row, column in columns.items() if values[column] > MARGIN]
    loss = {row: abs(reduced[column]) * scale for row, column in columns.items()}
    gain = [(values[column] + reduced[column]) * scale for column in served]
    return Relaxation(bound=bound, used=used, loss=loss, gain=gain)


def weighed(program: Program, duals: Sequence[float]) -> int:
    """The bound that any weights of the rows give (duals give the least): money of all rows' limits at their
    weights, and of each column what it gains above what it takes of them."""
    left = [gain * FINE for gain in program.gains]
    total = 0
    for dual, (least, most, terms) in zip(duals, program.rows, strict=True):
        weight = round(dual * FINE)
        limit = most if weight > 0 else least
        if not weight or isinstance(limit, float):
            continue
        total += weight * limit
        for column, amount in terms:
            left[column] -= weight * amount
    total += sum(most * gain for most, gain in zip(program.most, left, strict=True) if gain > 0)
    return total // FINE


def _scale(canon: Canon) -> float:
    """Money of one unit of the objective: a power of two, so that the doubles lose nothing."""
    most = int(canon.tables[0][:-1, kernels.VALUE].max(initial=1))
    return float(2 ** max(most.bit_length() - 20, 0))


class _Silent(highspy.Highs):
    """The solver without its call-backs, whose set-up alone prints a banner to the process's output."""

    def __init__(self) -> None:
        super(highspy.Highs, self).__init__()


def _solver(program: Program, canon: Canon) -> highspy.Highs:
    solver = _Silent()
    options: dict[str, bool | float | str] = {
        "output_flag": False,
        "threads": 1,
        "parallel": "off",
        "random_seed": 0,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": 0.25 / _scale(canon),
        "mip_allow_restart": False,
    }
    for name, value in options.items():
        solver.setOptionValue(name, value)
    solver.passModel(_model(program, _scale(canon)))
    return solver


def _model(program: Program, scale: float) -> highspy.HighsLp:
    model = highspy.HighsLp()
    count = len(program.gains)
    model.num_col_, model.num_row_ = count, len(program.rows)
    model.sense_ = highspy.ObjSense.kMaximize
    model.col_cost_ = np.array(program.gains, dtype=np.float64) / scale
    model.col_lower_, model.col_upper_ = np.zeros(count), np.array(program.most, dtype=np.float64)
    model.row_lower_ = np.array([least for least, _, _ in program.rows], dtype=np.float64)
    model.row_upper_ = np.array([most for _, most, _ in program.rows], dtype=np.float64)
    model.integrality_ = [highspy.HighsVarType.kInteger] * count
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.cumsum([0, *(len(terms) for _, _, terms in program.rows)])
    model.a_matrix_.index_ = np.array([column for _, _, terms in program.rows for column, _ in terms])
    model.a_matrix_.value_ = np.array([w for _, _, terms in program.rows for _, w in terms], dtype=np.float64)
    return model


def _program(canon: Canon, learnt: Learnt) -> tuple[Program, dict[int, int], list[int]]:
    """The program, the column of each candidate that has one, and that of each bid."""
    program = Program()
    columns: dict[int, int] = {}
    served = [_bid(program, canon, bid, columns) for bid in range(canon.bids)]
    hosts: dict[int, list[tuple[int, int]]] = defaultdict(list)
    candidates, owner = canon.tables[2], canon.owners()
    for row in columns:
        hosts[int(candidates[row, kernels.OFFER])].append((row, int(owner[row])))
    for offer, rows in hosts.items():
        _lanes(program, canon, offer, [(columns[row], bid) for row, bid in rows])
        users = [(columns[row], bid) for row, bid in rows if canon.tables[0][bid, kernels.DEVICES]]
        if offer in learnt.split:
            _each_device(program, canon, offer, users)
        else:
            opened = _devices(program, canon, offer, users)
            for crowd in learnt.crowds:
                if crowd.offer == offer:
                    terms = [(columns[row], 1) for row in crowd.candidates]
                    program.row([*terms, (opened, -1)], -ENDLESS, len(terms) - 1 - crowd.opened)
    _groups(program, canon, served)
    _purses(program, canon, columns)
    return program, columns, served


def _bid(program: Program, canon: Canon, bid: int, columns: dict[int, int]) -> int:
    """Columns for whether a bid is served and for its members on each candidate; all or none of them."""
    bids, _, candidates, offers = canon.tables
    row = bids[bid].tolist()
    members, together, distinct = (
        row[column] for column in (kernels.MEMBERS, kernels.TOGETHER, kernels.DISTINCT)
    )
    places: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for candidate in range(row[kernels.CANDIDATE], int(bids[bid + 1, kernels.CANDIDATE])):
        offer = int(candidates[candidate, kernels.OFFER])
        most = fitting(canon, bid, offer, 1 if distinct else members)
        if most:
            places[int(offers[offer, together - 1]) if together else 0].append((candidate, most))
    served = program.column(row[kernels.VALUE], 1)
    able = [listed for listed in places.values() if sum(most for _, most in listed) >= members]
    chosen = [served] if not together else [program.column(0, 1) for _ in able]
    if together:
        program.row([*((column, 1) for column in chosen), (served, -1)], 0, 0)
    for here, listed in zip(chosen, able or [[]], strict=False):
        added = [(program.column(-int(candidates[row, kernels.COST]), most), most) for row, most in listed]
        columns.update((row, column) for (row, _), (column, _) in zip(listed, added, strict=True))
        program.row([*((column, 1) for column, _ in added), (here, -members)], 0, 0)
        if members > 1:
            for column, most in added:
                program.row([(column, 1), (here, -most)], -ENDLESS, 0)
    if distinct > 1:
        _apart(program, canon, bid, columns, distinct)
    return served


def _apart(program: Program, canon: Canon, bid: int, columns: dict[int, int], distinct: int) -> None:
    """At most one member for each pool or domain."""
    bids, _, candidates, offers = canon.tables
    apart: dict[int, Row] = defaultdict(list)
    for candidate in range(int(bids[bid, kernels.CANDIDATE]), int(bids[bid + 1, kernels.CANDIDATE])):
        if candidate in columns:
            place = int(offers[candidates[candidate, kernels.OFFER], distinct - 2])
            apart[place].append((columns[candidate], 1))
    for terms in apart.values():
        program.row(terms, -ENDLESS, 1)


def fitting(canon: Canon, bid: int, offer: int, most: int) -> int:
    """At least as many members of a bid as an offer with nobody else could hold, up to `most`."""
    bids, want, _, _ = canon.tables
    for free, need in zip(canon.room[0][offer].tolist(), want[bid].tolist(), strict=True):
        most = min(most, free // need) if need else most
    count, share, memory = (
        int(bids[bid, column]) for column in (kernels.DEVICES, kernels.SHARE, kernels.MEMORY)
    )
    if count:
        rooms = canon.devices(offer).tolist()
        holds = [min(milli // share, free // memory if memory else most) for milli, free in rooms]
        most = min(most, sum(min(hold, most) for hold in holds) // count)
        most = most if sum(hold > 0 for hold in holds) >= count else 0
    return most


def _lanes(program: Program, canon: Canon, offer: int, rows: list[tuple[int, int]]) -> None:
    want = canon.tables[1]
    for lane, free in enumerate(canon.room[0][offer].tolist()):
        program.row([(c, int(want[bid, lane])) for c, bid in rows if want[bid, lane]], -ENDLESS, free)
        program.row([(c, 1) for c, bid in rows if 2 * want[bid, lane] > free], -ENDLESS, 1)


def _devices(program: Program, canon: Canon, offer: int, users: list[tuple[int, int]]) -> int:
    """All devices of an offer together; free ones are opened, one by one, for shares. The column that counts
    the opened ones, -1 where nobody wants a share."""
    bids, rooms = canon.tables[0], canon.devices(offer).tolist()
    whole = [(column, bid) for column, bid in users if bids[bid, kernels.SHARE] == WHOLE]
    shared = [(column, bid) for column, bid in users if bids[bid, kernels.SHARE] < WHOLE]
    free = sum(milli == WHOLE for milli, _ in rooms)
    full = max((memory for milli, memory in rooms if milli == WHOLE), default=0)
    program_rows: Row = [(column, int(bids[bid, kernels.DEVICES])) for column, bid in whole]
    if not shared:
        program.row(program_rows, -ENDLESS, free)
        return -1
    opened = program.column(0, free)
    program.row([*program_rows, (opened, 1)], -ENDLESS, free)
    part = [(milli, memory) for milli, memory in rooms if milli < WHOLE]
    for rank, each in ((kernels.SHARE, WHOLE), (kernels.MEMORY, full)):
        left = sum(room[rank - kernels.SHARE] for room in part)
        terms = [(c, int(bids[bid, kernels.DEVICES] * bids[bid, rank])) for c, bid in shared]
        program.row([*terms, (opened, -each)], -ENDLESS, left)
        half = max(room[rank - kernels.SHARE] for room in rooms)
        alone = [(c, int(bids[bid, kernels.DEVICES])) for c, bid in shared if 2 * bids[bid, rank] > half]
        program.row([*alone, (opened, -1)], -ENDLESS, len(part))
    return opened


def _each_device(program: Program, canon: Canon, offer: int, users: list[tuple[int, int]]) -> None:
    """Which devices each user takes, each member `devices` different ones."""
    bids, rooms = canon.tables[0], canon.devices(offer).tolist()
    on: list[list[tuple[int, int]]] = [[] for _ in rooms]
    for column, bid in users:
        taken: Row = []
        for number, (milli, memory) in enumerate(rooms):
            if milli >= bids[bid, kernels.SHARE] and memory >= bids[bid, kernels.MEMORY]:
                one = program.column(0, program.most[column])
                program.row([(one, 1), (column, -1)], -ENDLESS, 0)
                on[number].append((one, bid))
                taken.append((one, 1))
        program.row([*taken, (column, -int(bids[bid, kernels.DEVICES]))], 0, 0)
    for (milli, memory), ones in zip(rooms, on, strict=True):
        program.row([(one, int(bids[bid, kernels.SHARE])) for one, bid in ones], -ENDLESS, milli)
        program.row([(one, int(bids[bid, kernels.MEMORY])) for one, bid in ones], -ENDLESS, memory)


def _groups(program: Program, canon: Canon, served: list[int]) -> None:
    groups: dict[int, Row] = defaultdict(list)
    for bid, column in enumerate(served):
        if canon.tables[0][bid, kernels.GROUP] >= 0:
            groups[int(canon.tables[0][bid, kernels.GROUP])].append((column, 1))
    for terms in groups.values():
        program.row(terms, -ENDLESS, 1)


def _purses(program: Program, canon: Canon, columns: dict[int, int]) -> None:
    pools: dict[int, Row] = defaultdict(list)
    _, _, candidates, offers = canon.tables
    for candidate, column in columns.items():
        lock = int(candidates[candidate, kernels.LOCK])
        if lock:
            pools[int(offers[candidates[candidate, kernels.OFFER], kernels.POOL])].append((column, lock))
    for pool, terms in pools.items():
        program.row(terms, -ENDLESS, int(canon.purse[pool]))
