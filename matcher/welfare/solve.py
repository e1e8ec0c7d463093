"""Who is served: the clearing that is worth most, as sure as the market's size allows.

A ladder: where everybody fits at the cheapest there is nothing to search. Else the market falls into parts;
small ones are solved to proof, large ones by a search whose best finds are merged by an integer program over
the few places that they use. Effort is counted in steps, never in time, so every machine decides alike.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from matcher.compiled import Numbers
from matcher.welfare import kernels
from matcher.welfare.exact import Learnt, Relaxation, prove, relax
from matcher.welfare.greedy import best_greedy, guided, orders
from matcher.welfare.improve import State, better, finished, improved, used
from matcher.welfare.parts import only, parts, servable
from matcher.welfare.problem import Member, Problem, Solution
from matcher.welfare.realise import lesson, realised
from matcher.welfare.tables import Canon, canon

EXACT_COLUMNS, EXACT_NODES = 330, 20
"""up to so many candidates a part is given to the integer program as it is, for so many nodes"""
PROOF_NODES = 100_000
MERGED_COLUMNS, MERGED_NODES = 300, 4
WORTHIEST = 60
"""candidates by what a bid would gain there, always in the smaller program"""
ROUNDS, EXACT_ROUNDS = 2, 100
"""solutions of one part's program, each after what the one before got wrong"""
SMALL_GAP = 12
"""as a power of two in the welfare: too small to look further"""
ROUNDING = 1e-6
FEWEST, MOST = 50, 800
"""iterations of one walk"""
SHORT, LAST = 750, 200
"""iterations before a proof, and after all"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is spent on a clearing. Up to `exact_bids` bids the optimum is proven, whatever it takes. A
    part of more than `largest_program` candidates is never put to the integer program, beyond what is small
    enough for it at once; `steps` are iterations times candidates for all `walks` in one part."""

    exact_bids: int
    largest_program: int
    walks: int
    steps: int


THOROUGH = Effort(exact_bids=40, largest_program=12_000, walks=4, steps=8_000_000)
"""for an epoch by itself: up to a second"""
BRISK = Effort(exact_bids=0, largest_program=0, walks=1, steps=400_000)
"""for a market that others wait for: some ten milliseconds in the worst case"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A part's state, and a bound on every state of it."""

    canon: Canon
    state: State
    bound: int


def solve(problem: Problem, effort: Effort = THOROUGH, *, to_proof: bool = False) -> Solution:
    """The best clearing found; with `to_proof` the optimum for any number of bids, however long it takes. The
    same problem gives the same solution in whatever order its offers and bids are listed and whatever unit
    its money has."""
    whole = canon(problem)
    cheapest = _undisputed(whole)
    if cheapest is not None:
        return _solution(problem, whole.unit, [cheapest])
    exact = to_proof or whole.bids <= effort.exact_bids
    return _solution(problem, whole.unit, [_answer(part, exact, effort) for part in parts(servable(whole))])


def unrivalled(problem: Problem) -> Solution | None:
    """The clearing in which everybody has the cheapest there is for it, None where that cannot be."""
    whole = canon(problem)
    cheapest = _undisputed(whole)
    return None if cheapest is None else _solution(problem, whole.unit, [cheapest])


def _undisputed(part: Canon) -> Answer | None:
    """Everybody at the very cheapest, None where that cannot be."""
    room, held = part.state()
    return _easy(part, (room, held)) if kernels.everyone(part.tables, room, held, part.words()) else None


def _easy(part: Canon, state: State) -> Answer:
    """For a state that is the best one: everybody at the cheapest, or one bid alone, whose members are alike
    and took the cheapest places one after the other."""
    return Answer(canon=part, state=state, bound=int(state[1][5][0]))


def _solution(problem: Problem, unit: int, answers: list[Answer]) -> Solution:
    chosen: list[tuple[Member, ...]] = [()] * len(problem.bids.keys)
    for answer in answers:
        for bid in np.flatnonzero(answer.state[1][4]).tolist():
            chosen[int(answer.canon.bid_rows[bid])] = _members(answer, bid)
    welfare = unit * sum(int(answer.state[1][5][0]) for answer in answers)
    bound = unit * sum(answer.bound for answer in answers)
    return Solution(chosen=tuple(chosen), welfare=welfare, bound=bound, proven=welfare == bound)


def _members(answer: Answer, bid: int) -> tuple[Member, ...]:
    bids, _, candidates, offers = answer.canon.tables
    held = answer.state[1]
    row = bids[bid].tolist()
    found = []
    for member in range(row[kernels.MEMBERS]):
        offer = int(candidates[held[2][row[kernels.MEMBER] + member], kernels.OFFER])
        start = row[kernels.DEVICE] + member * row[kernels.DEVICES]
        numbers = held[3][start : start + row[kernels.DEVICES]] - offers[offer, kernels.FIRST]
        found.append(
            Member(offer=int(answer.canon.offer_rows[offer]), devices=tuple(sorted(numbers.tolist())))
        )
    return tuple(found)


def _answer(part: Canon, exact: bool, effort: Effort) -> Answer:
    cheapest = _undisputed(part)
    if cheapest is not None:
        return cheapest
    ranking = orders(part)
    if not ranking.size:
        return Answer(canon=part, state=part.state(), bound=0)
    state = best_greedy(part, ranking)
    columns = len(part.tables[2])
    if part.bids == 1 and not part.tables[0][0, kernels.TOGETHER]:
        return _easy(part, state)
    if exact or columns <= EXACT_COLUMNS:
        state, bound = _proven(part, ranking, state, exact)
    elif columns <= effort.largest_program:
        state, bound = _merged(part, ranking, state, effort)
    else:
        state = _walks(part, ranking, state, effort)[0]
        bound = _surplus(part)
    state = finished(part, state, ranking)
    return Answer(canon=part, state=state, bound=max(bound, int(state[1][5][0])))


def _surplus(part: Canon) -> int:
    """What all would gain if each had the cheapest places to itself."""
    bids, _, candidates, _ = part.tables
    cheapest = candidates[bids[:-1, kernels.CANDIDATE], kernels.COST]
    gains = bids[:-1, kernels.VALUE] - cheapest * bids[:-1, kernels.MEMBERS]
    return int(gains[gains > 0].sum())


def _walks(part: Canon, ranking: Numbers, start: State, effort: Effort) -> list[State]:
    """The best state of each walk, the very best first."""
    words = part.words()
    iterations = max(min(effort.steps // (effort.walks * len(part.tables[2])), MOST), FEWEST)
    found = [improved(part, start, ranking, iterations, words) for _ in range(effort.walks)]
    return sorted(found, key=lambda state: tuple(-int(score) for score in state[1][5]))


def _proven(part: Canon, ranking: Numbers, start: State, exact: bool) -> tuple[State, int]:
    """The optimum and its bound, as far as nodes and rounds reach; a searched state that is worth as much
    stays. What the devices cannot hold is learnt from each answer until one holds."""
    words = part.words()
    state = improved(part, start, ranking, SHORT, words)
    learnt, bound = Learnt(), _surplus(part)
    for _ in range(EXACT_ROUNDS if exact else ROUNDS):
        proof = prove(part, learnt, PROOF_NODES if exact else EXACT_NODES)
        found, failed = realised(part, proof.taken)
        kernels.construct(part.tables, *found, ranking[0], words)
        state = better(found, state)
        bound = min(bound, int(proof.bound + ROUNDING)) if isfinite(proof.bound) else bound
        gap = bound - int(state[1][5][0])
        if not failed or gap <= 0 or not proof.finished or (not exact and gap <= bound >> SMALL_GAP):
            break
        learnt = lesson(part, learnt, proof.taken, failed)
    return improved(part, state, ranking, LAST, words), bound


def _merged(part: Canon, ranking: Numbers, start: State, effort: Effort) -> tuple[State, int]:
    """The best way to combine what several walks and the relaxation found."""
    relaxed = relax(part)
    ranking = guided(ranking, relaxed.gain)
    start = better(best_greedy(part, ranking[-1:]), start)
    found = _walks(part, ranking, start, effort)
    small, rows = only(part, _chosen(part, found, relaxed))
    proof = prove(small, Learnt(), MERGED_NODES)
    taken = {int(rows[row]): members for row, members in proof.taken.items()}
    merged, _ = realised(part, taken)
    words = part.words()
    kernels.construct(part.tables, *merged, ranking[0], words)
    return improved(part, better(merged, found[0]), ranking, LAST, words), relaxed.bound


def _chosen(part: Canon, found: list[State], relaxed: Relaxation) -> Numbers:
    """The candidates of the smaller program: the best state's, the relaxation's, all places of the bids that
    are worth most (others make room for them), the other states', then those that lose least."""
    chosen = dict.fromkeys(used(part, found[0]))
    chosen |= dict.fromkeys(relaxed.used)
    chosen |= dict.fromkeys(_worthiest(part))
    for state in found[1:]:
        chosen |= dict.fromkeys(used(part, state))
    chosen |= dict.fromkeys(sorted(relaxed.loss, key=lambda row: (relaxed.loss[row], row)))
    return np.array(sorted(list(chosen)[:MERGED_COLUMNS]), dtype=np.int64)


def _worthiest(part: Canon) -> list[int]:
    """The candidates on which a bid would be worth most."""
    bids, _, candidates, _ = part.tables
    owned = bids[part.owners()]
    net = owned[:, kernels.VALUE] - candidates[:, kernels.COST] * owned[:, kernels.MEMBERS]
    worthiest: list[int] = np.argsort(-net, kind="stable")[:WORTHIEST].tolist()
    return worthiest
