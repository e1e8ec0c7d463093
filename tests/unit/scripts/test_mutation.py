"""What the mutation tool makes of a source, and what it keeps of a run."""

from pathlib import Path

import pytest

from scripts.mutation.mutants import Mutant, mutants_of
from scripts.mutation.trial import Trial, Verdict
from scripts.mutation.verdicts import Verdicts

SOURCE = """# pragma version 0.4.3
total: uint256


@external
def add(amount: uint256):
    assert amount > 0 and amount < 10, "amount"
    self.total += amount
"""


@pytest.fixture
def mutants(tmp_path: Path) -> list[Mutant]:
    source = tmp_path / "Sum.vy"
    source.write_text(SOURCE)
    return list(mutants_of(source))


def test_each_assert_comparison_operation_and_assignment_has_its_mutants(mutants: list[Mutant]) -> None:
    assert sorted((mutant.line, mutant.kind, mutant.after) for mutant in mutants) == [
        (7, "assert", "pass"),
        (7, "boolean", 'assert amount > 0 or amount < 10, "amount"'),
        (7, "comparison", 'assert amount <= 0 and amount < 10, "amount"'),
        (7, "comparison", 'assert amount > 0 and amount <= 10, "amount"'),
        (7, "comparison", 'assert amount > 0 and amount >= 10, "amount"'),
        (7, "comparison", 'assert amount >= 0 and amount < 10, "amount"'),
        (8, "arithmetic", "self.total -= amount"),
        (8, "assignment", "pass"),
    ]


def test_a_mutant_differs_from_its_source_in_one_line(mutants: list[Mutant]) -> None:
    for mutant in mutants:
        pairs = zip(SOURCE.splitlines(), mutant.source.splitlines(), strict=True)
        assert [number for number, (ours, other) in enumerate(pairs, 1) if ours != other] == [mutant.line]


def test_a_kill_is_remembered_and_a_survivor_is_tried_anew(tmp_path: Path, mutants: list[Mutant]) -> None:
    verdicts = Verdicts(tmp_path / "verdicts")
    assert verdicts.known(mutants) == []
    killed = Trial(mutant=mutants[0], verdict=Verdict.KILLED, steps=3)
    verdicts.keep(killed)
    verdicts.keep(Trial(mutant=mutants[1], verdict=Verdict.SURVIVED, steps=9))
    assert Verdicts(tmp_path / "verdicts").known(mutants) == [killed]
    assert verdicts.known(mutants[1:]) == []


def test_a_survivor_that_is_killed_later_is_killed(tmp_path: Path, mutants: list[Mutant]) -> None:
    verdicts = Verdicts(tmp_path / "verdicts")
    verdicts.keep(Trial(mutant=mutants[0], verdict=Verdict.SURVIVED, steps=9))
    killed = Trial(mutant=mutants[0], verdict=Verdict.KILLED, steps=12)
    verdicts.keep(killed)
    assert verdicts.known(mutants) == [killed]
