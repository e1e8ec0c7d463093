"""A replay places what fits, drops what does not, and counts both as the protocol says."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from matcher.replay.experiment import POLICIES, Experiment
from matcher.replay.files import Machine, Task

MACHINE = Machine(cpu=100, memory=100, gpus=2, model="T4")
WHOLE = Task(cpu=1, memory=1, gpus=1, share=1000, models=frozenset())
IDLE = Task(cpu=1, memory=1, gpus=0, share=0, models=frozenset())
OTHER = Task(cpu=1, memory=1, gpus=1, share=1000, models=frozenset({"H100"}))
HALF = Task(cpu=1, memory=1, gpus=1, share=500, models=frozenset({"T4"}))


def ticks() -> Callable[[], int]:
    """A clock that passes 500 ns at each look."""
    numbers = count(0, 500)
    return lambda: next(numbers)


def test_the_allocated_share_is_the_mean_over_events_of_a_rounded_arrived_share() -> None:
    tasks = [WHOLE, WHOLE, IDLE, OTHER]
    outcome = Experiment([MACHINE], tasks).replay([0, 3, 2, 1], 1, "ours", ticks())
    assert outcome.allocated == {100: 50.0, 130: None}
    assert (outcome.placed, outcome.dropped) == (3, 1)
    assert outcome.nanoseconds == (500,) * 4
    assert outcome.per_second == 3 / (4 * 500e-9)
    assert outcome.microseconds(99) == 0.5


def test_the_arrived_share_rounds_half_up() -> None:
    machines = [Machine(cpu=100, memory=100, gpus=1, model="T4")]
    small = Task(cpu=1, memory=1, gpus=1, share=5, models=frozenset())
    fill = Task(cpu=1, memory=1, gpus=1, share=990, models=frozenset())
    assert Experiment(machines, [small, fill]).replay([1, 0], 1, "ours", ticks()).allocated[100] == 99.5


def test_a_task_of_an_unknown_model_fits_nowhere() -> None:
    outcome = Experiment([MACHINE], [OTHER]).replay([0], 1, "ours", ticks())
    assert outcome.dropped == 1


def test_a_machine_takes_1001_tasks() -> None:
    machine = Machine(cpu=5_000, memory=5_000, gpus=1, model="T4")
    outcome = Experiment([machine], [IDLE]).replay([0] * 1_100, 1, "ours", ticks())
    assert outcome.placed == 1_001


def test_a_cluster_without_gpus_is_refused() -> None:
    with pytest.raises(Rejected, match="no GPU"):
        Experiment([Machine(cpu=1, memory=1, gpus=0, model="")], [IDLE])


def test_more_models_than_the_mask_holds_are_refused() -> None:
    machines = [Machine(cpu=1, memory=1, gpus=1, model=str(number)) for number in range(70)]
    with pytest.raises(Rejected, match="70 models"):
        Experiment(machines, [IDLE])


@given(
    machines=st.lists(
        st.builds(
            Machine,
            cpu=st.integers(0, 9),
            memory=st.integers(0, 9),
            gpus=st.integers(1, 3),
            model=st.sampled_from(("T4", "H100")),
        ),
        min_size=1,
        max_size=5,
    ),
    tasks=st.lists(st.sampled_from((WHOLE, IDLE, OTHER, HALF)), min_size=1, max_size=6),
    policy=st.sampled_from(sorted(POLICIES)),
    online=st.booleans(),
)
def test_a_replay_repeats_itself_and_allocates_no_more_than_there_is(
    machines: list[Machine], tasks: Sequence[Task], policy: str, online: bool
) -> None:
    experiment = Experiment(machines, tasks)
    order = experiment.order(Fraction(13, 10), 3)
    outcome = experiment.replay(order, 3, policy, ticks(), online=online)
    assert outcome == Experiment(machines, tasks).replay(order, 3, policy, ticks(), online=online)
    assert outcome.placed + outcome.dropped == len(order)
    assert all(share is None or 0 <= share <= 100 for share in outcome.allocated.values())
