"""One process's share of the mutants, each held against the suite's steps until something differs."""

import math
import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from boa.environment import Env

from contracts.build import SOURCES
from contracts.loader import artifact
from scripts.mutation.compiling import JURY, MARKET, Line, Workshop
from scripts.mutation.coverage import Coverage
from scripts.mutation.mutants import Mutant
from scripts.mutation.reach import Reach, enclosing
from scripts.mutation.replay import Ran, same
from scripts.mutation.trace import Called, Created, Step, scenes

MOST_STEPS = 12_000
"""after which a mutant counts as survived where it cannot be said which scenes run its line"""


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


@dataclass(slots=True, eq=False)
class _Stage:
    """What scenes share before their own steps; `ran` are the lines that it runs."""

    steps: tuple[Step, ...]
    ran: set[Line] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class _Act:
    """A scene's own steps, what comes before them, the calls in them, and the lines that these run."""

    steps: tuple[Step, ...]
    stage: _Stage
    selectors: frozenset[bytes]
    ran: set[Line] = field(default_factory=set)

    @property
    def deploys(self) -> bool:
        return any(isinstance(step, Created) for step in self.steps)


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
        stages: dict[tuple[Step, ...], _Stage] = {}
        for scene in found:
            stage = stages.setdefault(scene.before, _Stage(scene.before))
            called = {step.data[:4] for step in scene.steps if isinstance(step, Called)}
            self._acts.append(_Act(scene.steps, stage, frozenset(called)))
        self._noticed: Counter[_Act] = Counter()

    def differs(self) -> bool:
        """Whether the real sources do anything else than the tests saw; then no verdict counts. Notes which
        lines each scene runs."""
        coverage = Coverage(self._workshop.sourced())
        envs: dict[_Stage, Env] = {}
        for act in self._acts:
            if act.stage not in envs:
                envs[act.stage] = Env()
                if not self._same(envs[act.stage], act.stage.steps, self._real, coverage.into(act.stage.ran)):
                    return True
            with envs[act.stage].anchor():
                if not self._same(envs[act.stage], act.steps, self._real, coverage.into(act.ran)):
                    return True
        return False

    def trials(self, mutants: Sequence[Mutant]) -> Iterator[Trial]:
        for mutant in mutants:
            codes = self._workshop.creation_codes(mutant)
            if codes is None or codes.items() <= self._real.items():
                verdict = Verdict.STILLBORN if codes is None else Verdict.IDENTICAL
                yield Trial(mutant=mutant, verdict=verdict, steps=0)
                continue
            noticed, steps = self._difference(self._real | codes, mutant)
            verdict = Verdict.KILLED if noticed else Verdict.SURVIVED
            yield Trial(mutant=mutant, verdict=verdict, steps=steps)

    def _difference(self, codes: dict[str, bytes], mutant: Mutant) -> tuple[bool, int]:
        """Whether something is answered otherwise, and after how many steps."""
        acts, most = self._acts_of(mutant)
        taken = 0
        envs: dict[_Stage, Env] = {}
        for act in sorted(acts, key=self._rank):
            if act.stage not in envs:
                envs[act.stage] = Env()
                taken += len(act.stage.steps)
                if not self._same(envs[act.stage], act.stage.steps, codes):
                    return True, taken
            taken += len(act.steps)
            with envs[act.stage].anchor():
                if not self._same(envs[act.stage], act.steps, codes):
                    self._noticed[act] += 1
                    return True, taken
            if taken > most:
                break
        return False, taken

    def _acts_of(self, mutant: Mutant) -> tuple[list[_Act], float]:
        """The scenes that run the mutant's line: all are asked. Where none does (a constructor, a constant),
        those that deploy or have a call that can reach its function, as far as `MOST_STEPS`."""
        line = (mutant.file, mutant.line)
        running = [act for act in self._acts if line in act.ran or line in act.stage.ran]
        if running:
            return running, math.inf
        function = enclosing(mutant.source, mutant.line)
        met = self._reach.selectors(mutant.file, function)
        if met is not None:
            return [act for act in self._acts if act.selectors & met], MOST_STEPS
        return [act for act in self._acts if function is None or act.deploys], MOST_STEPS

    def _same(
        self, env: Env, steps: Sequence[Step], codes: dict[str, bytes], ran: Ran = lambda _: None
    ) -> bool:
        swapped = {self._committed[name]: code for name, code in codes.items()}
        return same(env, steps, swapped, ran)

    def _rank(self, act: _Act) -> tuple[int, int]:
        """Who noticed most comes first; then the short scenes, which are tests of one thing."""
        return -self._noticed[act], len(act.steps)
