"""What a trace is asked for is understood whole, or refused with the reason."""

from typing import Any

import pytest

from ledger.chain.embedded.rpc_error import INVALID_PARAMS, SERVER_ERROR, RpcError
from ledger.chain.embedded.trace_options import MOST_SECONDS, USUAL_SECONDS, requested
from ledger.chain.embedded.tracing import Budget
from ledger.chain.embedded.tracing_calls import CallTracer
from ledger.chain.embedded.tracing_steps import StepTracer


def budget() -> Budget:
    return Budget(clock=lambda: 0.0, deadline=1.0)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (None, StepTracer),
        ({}, StepTracer),
        ({"tracer": ""}, StepTracer),
        ({"enableMemory": True, "limit": 5}, StepTracer),
        ({"tracer": "callTracer"}, CallTracer),
        ({"tracer": "callTracer", "tracerConfig": {"withLog": True}}, CallTracer),
    ],
)
def test_the_tracer_that_is_named_is_made(options: Any, kind: type) -> None:
    assert isinstance(requested(options).tracer(budget()), kind)


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (None, USUAL_SECONDS),
        ("300ms", 0.3),
        ("2.5s", 2.5),
        ("1m", 60.0),
        ("90m", MOST_SECONDS),
    ],
)
def test_a_timeout_is_gos_duration_up_to_a_minute(timeout: str | None, seconds: float) -> None:
    assert requested({"timeout": timeout}).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], INVALID_PARAMS, "options is not an object"),
        ("callTracer", INVALID_PARAMS, "options is not an object"),
        ({"tracer": "prestateTracer"}, SERVER_ERROR, "tracer not found: prestateTracer"),
        ({"tracer": 7}, SERVER_ERROR, "tracer not found: 7"),
        ({"tracer": "callTracer", "tracerConfig": []}, INVALID_PARAMS, "tracerConfig is not an object"),
        ({"tracer": "callTracer", "tracerConfig": {"withLog": 1}}, INVALID_PARAMS, "withLog is not true or"),
        ({"disableStack": "yes"}, INVALID_PARAMS, "disableStack is not true or false"),
        ({"limit": -1}, INVALID_PARAMS, "limit is not a count"),
        ({"limit": True}, INVALID_PARAMS, "limit is not a count"),
        ({"limit": "5"}, INVALID_PARAMS, "limit is not a count"),
        ({"timeout": "soon"}, INVALID_PARAMS, "timeout is not a duration"),
        ({"timeout": 5}, INVALID_PARAMS, "timeout is not a duration"),
        ({"timeout": "-1s"}, INVALID_PARAMS, "timeout is not a duration"),
    ],
)
def test_what_is_not_understood_is_refused(options: Any, code: int, message: str) -> None:
    with pytest.raises(RpcError, match=message) as refusal:
        requested(options)
    assert refusal.value.code == code
