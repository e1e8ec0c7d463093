"""Verdicts kept as they come, so that a run which was cut short, or got new tests, need not start over.

A kill stays one as long as the contracts and the test that noticed stay; survivors are always tried anew.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from scripts.mutation.mutants import Mutant
from scripts.mutation.trial import Trial, Verdict


class Verdicts:
    """Lines of JSON in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, mutants: Sequence[Mutant]) -> list[Trial]:
        """What was found before of these mutants, but for survivors."""
        if not self._path.exists():
            return []
        lines = [json.loads(line) for line in self._path.read_text("utf-8").splitlines()]
        found = {tuple(line["mutant"]): line for line in lines if line["verdict"] != Verdict.SURVIVED}
        return [
            Trial(mutant=mutant, verdict=Verdict(line["verdict"]), steps=line["steps"])
            for mutant in mutants
            if (line := found.get(_key(mutant))) is not None
        ]

    def keep(self, trial: Trial) -> None:
        line = {"mutant": _key(trial.mutant), "verdict": trial.verdict, "steps": trial.steps}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _key(mutant: Mutant) -> tuple[str, int, str, str]:
    return mutant.file, mutant.line, mutant.before, mutant.after
