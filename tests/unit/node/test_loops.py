import threading
from collections.abc import Callable, Iterator

import pytest

from ledger.market.errors import Unavailable
from node.loops import Loop

PAUSE = 0.001


def loop_of(outcomes: Iterator[bool | Exception], done: threading.Event) -> Loop:
    def step() -> bool:
        outcome = next(outcomes, None)
        if outcome is None:
            done.set()
            return False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Loop("loop", step, PAUSE)


def run(outcomes: list[bool | Exception], until: Callable[[Loop], bool] = lambda _: True) -> Loop:
    done = threading.Event()
    loop = loop_of(iter(outcomes), done)
    loop.start()
    assert done.wait(10)
    loop.stop()
    assert until(loop)
    return loop


def test_a_loop_goes_on_after_expected_and_unexpected_failures() -> None:
    failures: list[bool | Exception] = [Unavailable("away", "It is away.", "Wait."), ZeroDivisionError("bug")]
    run([True, *failures, False], lambda loop: loop.failure is None)


def test_a_failure_is_shown_until_a_step_succeeds() -> None:
    failed = threading.Event()

    def step() -> bool:
        failed.set()
        raise Unavailable("away", "It is away.", "Wait.")

    loop = Loop("loop", step, PAUSE)
    loop.start()
    assert failed.wait(10)
    loop.stop()
    assert loop.failure == "It is away. Wait."


def test_a_loop_is_woken_and_stopped_out_of_a_long_pause() -> None:
    steps = threading.Semaphore(0)

    def step() -> bool:
        steps.release()
        return False

    loop = Loop("loop", step, pause=600)
    loop.start()
    assert steps.acquire(timeout=10)
    loop.wake()
    assert steps.acquire(timeout=10)
    loop.stop()


def test_a_loop_that_never_started_can_be_stopped() -> None:
    Loop("loop", lambda: False, PAUSE).stop()


def test_what_is_unavailable_is_raised_until_a_step_succeeds() -> None:
    loop = run([Unavailable("away", "It is away.", "Wait."), True])
    loop.check_available()
    failed = threading.Event()

    def step() -> bool:
        failed.set()
        raise Unavailable("away", "It is away.", "Wait.", since=3)

    loop = Loop("loop", step, PAUSE)
    loop.start()
    assert failed.wait(10)
    loop.stop()
    with pytest.raises(Unavailable) as caught:
        loop.check_available()
    assert (caught.value.code, caught.value.facts) == ("away", {"since": 3})
