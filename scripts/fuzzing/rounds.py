"""Rounds of the market's state machine under one seed, each run recorded and played again on anvil.

The machine itself is the test `tests/machines/test_market_machine.py`: it compares contract and model after
each step. Here it is driven without pytest, reads the contract's storage instead of asking its views in
between (which is ten times as fast), and hands each run's recording on.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import boa
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests.fakes.anvil_market import AnvilMarket, differences
from tests.fakes.recording import Recording
from tests.fakes.storage_views import ask_contracts, read_storage
from tests.machines.test_market_machine import MarketMachine

STEPS_PER_RUN = 100
ASKED_RUNS = 8
"""of so many runs one ends with the contracts' own views, and not with their storage"""
REORGANISED = 12
"""how many of the last calls a reorganisation puts into other blocks"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What broke: in words, and the calls that led to it."""

    seed: int
    cause: str
    recording: Recording


AfterRun = Callable[[Recording, int], None]
"""what to do with a run that ended well, and how many steps it had"""


def play(
    number: int,
    runs: int,
    after_run: AfterRun,
    steps: int = STEPS_PER_RUN,
    machine: type[MarketMachine] = MarketMachine,
) -> Violation | None:
    """So many runs of the machine under the seed `number`; the first violation ends them, shrunk."""
    newest: list[Recording] = []
    runs_done = 0

    class Recorded(machine):  # type: ignore[misc, valid-type]  # a class that is given
        """The machine, with its calls noted and its state read from storage."""

        def __init__(self) -> None:
            self._steps = 0
            self._undo = ExitStack()
            self._undo.enter_context(boa.env.anchor())
            super().__init__()
            newest[:] = [self.recording]
            read_storage(self.twin.chain)

        @invariant()
        def count_the_step(self) -> None:
            self._steps += 1

        def teardown(self) -> None:
            with self._undo:
                nonlocal runs_done
                runs_done += 1
                if runs_done % ASKED_RUNS == 1:
                    ask_contracts(self.twin.chain)
                super().teardown()
            after_run(self.recording, self._steps)

    profile = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    try:
        run_state_machine_as_test(seed(number)(Recorded), settings=profile)
    except Exception as exc:  # whatever the machine raises is the finding
        return Violation(seed=number, cause="".join(traceback.format_exception(exc)), recording=newest[0])
    return None


def replay(market: AnvilMarket, recording: Recording) -> list[str]:
    """Play a run again on anvil, reorganise its last calls, leave the chain as it was; what was otherwise."""
    entries = recording.entries
    first, last = entries[:-REORGANISED], entries[-REORGANISED:]
    start = market.mark()
    found = differences(first, market.replay(first))
    fork = market.mark()
    found += differences(last, market.replay(last))
    before = market.storage()
    market.put_back(fork)
    found += differences(last, market.replay(last, block_of_each=True))
    if market.storage() != before:
        found.append("the storage differs after the reorganisation")
    market.put_back(start)
    return found


def calls_of(recording: Recording) -> int:
    """Transactions in a recording, deployments apart."""
    return len(recording.calls)


def happened(recording: Recording) -> dict[str, int]:
    """How often each event was logged, and how many calls were refused: what the run reached."""
    names = Counter(event.name for call in recording.calls for event in call.events or [])
    return {**names, "refused": sum(call.events is None for call in recording.calls)}


def shown(found: Sequence[str]) -> str:
    """Differences of two EVMs as a violation's cause."""
    return "anvil and py-evm disagree:\n" + "\n".join(found)
