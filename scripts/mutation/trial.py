"""One process's share of the mutants, each held against the suite's steps until something differs."""

import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from contracts.build import SOURCES
from contracts.loader import artifact
from scripts.mutation.compiling import JURY, MARKET, Workshop
from scripts.mutation.mutants import Mutant
from scripts.mutation.reach import Reach, enclosing
from scripts.mutation.replay import Unrepeatable, fresh, same
from scripts.mutation.trace import Called, Scene, scenes


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
    """A scene, and the calls in it."""

    scene: Scene
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
        self._acts = [_Act(scene, _selectors(scene)) for scene in found]
        self._noticed: Counter[_Act] = Counter()

    def set_aside(self) -> float:
        """Leave out the scenes that the real contracts cannot repeat on this EVM (another chain id); the
        share that is left out."""
        repeated = [act for act in self._acts if not self._noticed_by(act, self._real)]
        share = 1 - len(repeated) / len(self._acts)
        self._acts = repeated
        return share

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
        """Whether something is answered otherwise, and after how many steps. Only scenes are taken in which
        a call of `met` is made, which can run into the mutant; None stands for any call."""
        taken = 0
        acts = [act for act in self._acts if met is None or act.selectors & met]
        for act in sorted(acts, key=self._rank):
            taken += len(act.scene.before) + len(act.scene.steps)
            if self._noticed_by(act, codes):
                self._noticed[act] += 1
                return True, taken
        return False, taken

    def _noticed_by(self, act: _Act, codes: dict[str, bytes]) -> bool:
        swapped = {self._committed[name]: code for name, code in codes.items()}
        try:
            return not same(fresh(), act.scene.before + act.scene.steps, swapped)
        except Unrepeatable:
            return True

    def _rank(self, act: _Act) -> tuple[int, int]:
        """Who noticed most comes first; then the short scenes, which are tests of one thing."""
        return -self._noticed[act], len(act.scene.steps)


def _selectors(scene: Scene) -> frozenset[bytes]:
    """Also of what comes before: another scene's steps may be this one's setting."""
    steps = scene.before + scene.steps
    return frozenset(step.data[:4] for step in steps if isinstance(step, Called))
