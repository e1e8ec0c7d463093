"""One process's share of the mutants, each held against the suite's steps until something differs."""

import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from boa.environment import Env

from contracts.build import SOURCES
from contracts.loader import artifact
from scripts.mutation.compiling import JURY, MARKET, Workshop
from scripts.mutation.mutants import Mutant
from scripts.mutation.reach import Reach, enclosing
from scripts.mutation.replay import same
from scripts.mutation.trace import Called, Step, scenes

MOST_STEPS = 12_000
"""steps of scenes that can run into a mutant after which it counts as survived"""


class Verdict(StrEnum):
    """STILLBORN: it does not compile. IDENTICAL: it compiles to the very same code, so nothing could tell."""

    KILLED = "killed"
    SURVIVED = "survived"
    STILLBORN = "stillborn"
    IDENTICAL = "identical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """`steps` is how many the suite took until it noticed."""

    mutant: Mutant
    verdict: Verdict
    steps: int


@dataclass(frozen=True, slots=True, eq=False)
class _Act:
    """A scene's own steps, the number of what comes before them, and the calls in them."""

    steps: tuple[Step, ...]
    stage: int
    selectors: frozenset[bytes]


class Court:
    """Tries mutants; what noticed one is asked first about the next."""

    def __init__(self, trace: Path, folder: Path) -> None:
        with trace.open("rb") as file:
            found = list(scenes(pickle.load(file)))  # noqa: S301 - our own file of a moment ago
        self._workshop = Workshop(folder)
        self._reach = Reach(SOURCES)
        self._committed = {name: artifact(name).bytecode for name in (MARKET, JURY)}
        self._real = self._workshop.real()
        self._acts: list[_Act] = []
        stages: dict[tuple[Step, ...], int] = {}
        for scene in found:
            stage = stages.setdefault(scene.before, len(stages))
            called = {step.data[:4] for step in scene.steps if isinstance(step, Called)}
            self._acts.append(_Act(scene.steps, stage, frozenset(called)))
        self._befores = list(stages)
        self._noticed: Counter[_Act] = Counter()

    def differs(self) -> bool:
        """Whether the real sources do anything else than the tests saw; then no verdict counts."""
        return self._difference(self._real, None)[0]

    def trials(self, mutants: Sequence[Mutant]) -> Iterator[Trial]:
        for mutant in mutants:
            codes = self._workshop.creation_codes(mutant)
            if codes is None or codes.items() <= self._real.items():
                verdict = Verdict.STILLBORN if codes is None else Verdict.IDENTICAL
                yield Trial(mutant=mutant, verdict=verdict, steps=0)
                continue
            met = self._reach.selectors(mutant.file, enclosing(mutant.source, mutant.line))
            noticed, steps = self._difference(self._real | codes, met)
            verdict = Verdict.KILLED if noticed else Verdict.SURVIVED
            yield Trial(mutant=mutant, verdict=verdict, steps=steps)

    def _difference(self, codes: dict[str, bytes], met: frozenset[bytes] | None) -> tuple[bool, int]:
        """Whether something is answered otherwise within `MOST_STEPS`, and after how many. Only scenes are
        taken in which a call of `met` is made, which can run into the mutant; None stands for any call."""
        swapped, taken = {self._committed[name]: code for name, code in codes.items()}, 0
        envs: dict[int, Env] = {}
        acts = [act for act in self._acts if met is None or act.selectors & met]
        for act in sorted(acts, key=self._rank):
            if act.stage not in envs:
                envs[act.stage], before = Env(), self._befores[act.stage]
                taken += len(before)
                if not same(envs[act.stage], before, swapped):
                    return True, taken
            taken += len(act.steps)
            with envs[act.stage].anchor():
                if not same(envs[act.stage], act.steps, swapped):
                    self._noticed[act] += 1
                    return True, taken
            if taken > MOST_STEPS:
                break
        return False, taken

    def _rank(self, act: _Act) -> tuple[int, int]:
        """Who noticed most comes first; then the short scenes, which are tests of one thing."""
        return -self._noticed[act], len(act.steps)
