"""The checker finds each kind of fault, and none in a sound solution."""

from dataclasses import replace

import pytest

from matcher.welfare.problem import DOMAINS, SAME_DOMAIN, Member, Problem, Solution
from tests.fakes.clearings import Ask, Host, problem
from tests.fakes.feasible import faults

DEVICES = ((1000, 16), (1000, 16))
TWO = (Host(lanes=(2, 2), devices=DEVICES, domain=0), Host(lanes=(2, 2), devices=DEVICES, pool=1, domain=1))
ASK = Ask(value=10, costs=((0, 2), (1, 4)), devices=1, share=600, memory=8)


def claimed(welfare: int, *chosen: tuple[Member, ...]) -> Solution:
    return Solution(chosen=chosen, welfare=welfare, bound=welfare, proven=True)


def on(offer: int, *devices: int) -> Member:
    return Member(offer=offer, devices=devices)


def test_a_sound_solution_has_no_fault() -> None:
    made = problem(TWO, [ASK, ASK])
    assert faults(made, claimed(16, (on(0, 0),), (on(0, 1),))) == []


@pytest.mark.parametrize(
    ("made", "solution", "fault"),
    [
        (problem(TWO, [ASK]), claimed(0), "each bid"),
        (problem(TWO, [ASK]), claimed(9, (on(0, 0),)), "worth 8, not 9"),
        (problem(TWO, [replace(ASK, members=2)]), claimed(8, (on(0, 0),)), "whole"),
        (problem(TWO, [replace(ASK, costs=((0, 2),))]), claimed(8, (on(1, 0),)), "does not list"),
        (problem(TWO, [replace(ASK, value=1)]), claimed(0, (on(0, 0),)), "loss"),
        (problem(TWO, [ASK]), claimed(8, (on(0, 2),)), "there is not"),
        (problem(TWO, [ASK]), claimed(8, (on(0),)), "number of devices"),
        (problem(TWO, [ASK, ASK]), claimed(16, (on(0, 0),), (on(0, 0),)), "Device 0 of offer 0"),
        (problem(TWO, [replace(ASK, want=(3, 1))]), claimed(8, (on(0, 0),)), "Offer 0 lends more"),
        (problem(TWO, [ASK], purse=0), claimed(8, (on(0, 0),)), "Pool 0 locks"),
        (
            problem(TWO, [replace(ASK, group=0)] * 2),
            claimed(14, (on(0, 0),), (on(1, 0),)),
            "2 alternatives",
        ),
        (
            problem(TWO, [replace(ASK, members=2, distinct=DOMAINS)]),
            claimed(6, (on(0, 0), on(0, 1))),
            "must be apart",
        ),
        (
            problem(TWO, [replace(ASK, members=2, together=SAME_DOMAIN)]),
            claimed(4, (on(0, 0), on(1, 1))),
            "must be in one place",
        ),
    ],
)
def test_each_fault_is_named(made: Problem, solution: Solution, fault: str) -> None:
    assert fault in " ".join(faults(made, solution))
