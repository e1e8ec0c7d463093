"""One process of the fuzzing: rounds under fresh seeds until its share of steps is done.

It writes a JSON line to its output after each run, and one for each violation; the parent adds them up.
"""

import gc
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boa

from scripts.fuzzing.rounds import STEPS_PER_RUN, Violation, calls_of, happened, play, replay, shown
from tests.fakes.anvil_market import AnvilMarket, an_anvil_market
from tests.fakes.in_process_market import NOW
from tests.fakes.recording import Recording

RUNS_PER_ROUND = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one process is to do; its seeds are `seed`, `seed + stride`, …"""

    seed: int
    stride: int
    steps: int
    anvil: bool
    folder: Path


@dataclass(slots=True)
class Worker:
    """What it has done, and the second EVM if it has one."""

    share: Share
    market: AnvilMarket | None = None
    seed: int = 0
    steps: int = 0

    def round(self) -> None:
        """Runs under the present seed, at most as many as are still asked for."""
        left = -(-(self.share.steps - self.steps) // STEPS_PER_RUN)
        violation = play(self.seed, max(1, min(RUNS_PER_ROUND, left)), self.after_run)
        if violation:
            self.tell(violation)

    def after_run(self, recording: Recording, steps: int) -> None:
        """Count a run that ended well on py-evm, and play it again on anvil."""
        self.steps += steps
        calls = calls_of(recording)
        done: dict[str, object] = {"runs": 1, "steps": steps, "calls": calls}
        done["happened"] = happened(recording)
        if self.market and (found := self.replayed(recording)):
            self.tell(Violation(seed=self.seed, cause=shown(found), recording=recording))
        elif self.market:
            done |= {"anvil_steps": steps, "anvil_calls": calls}
        say(done)

    def replayed(self, recording: Recording) -> list[str]:
        assert self.market
        try:
            return replay(self.market, recording)
        except AssertionError as exc:
            return [f"the replay broke off: {exc!r}"]

    def tell(self, violation: Violation) -> None:
        """Keep what broke and the calls that led to it, and name the files."""
        self.share.folder.mkdir(parents=True, exist_ok=True)
        number = len(list(self.share.folder.glob(f"{violation.seed}-*.txt")))
        kept = self.share.folder / f"{violation.seed}-{number}.txt"
        kept.write_text(violation.cause, "utf-8")
        violation.recording.write(kept.with_suffix(".jsonl"))
        say({"violation": str(kept), "seed": violation.seed})


def say(done: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(done) + "\n")
    sys.stdout.flush()


@contextmanager
def second_evm(wanted: bool) -> Iterator[AnvilMarket | None]:
    """A fresh one for each round, so that it forgets the last."""
    with ExitStack() as stack:
        chain_id = boa.env.evm.patch.chain_id
        options = ("--prune-history",)
        yield stack.enter_context(an_anvil_market(chain_id, NOW, *options)) if wanted else None


def main() -> None:
    """Argument: the share as JSON."""
    # Told to stop, it takes its anvil with it; hypothesis would take a SystemExit for a failing example.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The EVM makes much garbage and few cycles.
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    told = json.loads(sys.argv[1])
    worker = Worker(Share(**(told | {"folder": Path(told["folder"])})))
    worker.seed = worker.share.seed
    while worker.steps < worker.share.steps:
        before = worker.steps
        with second_evm(worker.share.anvil) as worker.market:
            worker.round()
        # A round that finds a violation at once must not go on for ever.
        worker.steps = max(worker.steps, before + 1)
        worker.seed += worker.share.stride


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
