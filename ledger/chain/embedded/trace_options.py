"""The options of `debug_trace*`, as JSON has them, to a tracer; what nobody here understands is refused."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ledger.chain.embedded.rpc_error import SERVER_ERROR, RpcError, invalid
from ledger.chain.embedded.tracing import Budget, Tracer
from ledger.chain.embedded.tracing_calls import CallOptions, CallTracer
from ledger.chain.embedded.tracing_steps import StepOptions, StepTracer

USUAL_SECONDS = 10.0
MOST_SECONDS = 60.0
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """The kind of trace that is wanted, and how long it may take, in seconds."""

    tracer: Callable[[Budget], Tracer]
    seconds: float


def requested(options: object) -> Requested:
    """What an options object asks for; null asks for struct logs. `RpcError` when it cannot be had."""
    fields = _object(options, "options")
    seconds, name = _seconds(fields.get("timeout")), fields.get("tracer")
    if name in (None, ""):
        steps = _steps(fields)
        return Requested(tracer=lambda budget: StepTracer(steps, budget), seconds=seconds)
    if name == "callTracer":
        calls = _calls(_object(fields.get("tracerConfig"), "tracerConfig"))
        return Requested(tracer=lambda budget: CallTracer(calls, budget), seconds=seconds)
    raise RpcError(SERVER_ERROR, f"tracer not found: {name}")


def _steps(fields: dict[str, Any]) -> StepOptions:
    limit = fields.get("limit", 0)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise invalid("limit is not a count")
    return StepOptions(
        stack=not _flag(fields, "disableStack"),
        storage=not _flag(fields, "disableStorage"),
        memory=_flag(fields, "enableMemory"),
        return_data=_flag(fields, "enableReturnData"),
        limit=limit,
    )


def _calls(fields: dict[str, Any]) -> CallOptions:
    return CallOptions(only_top=_flag(fields, "onlyTopCall"), logs=_flag(fields, "withLog"))


def _flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise invalid(f"{name} is not true or false")
    return value


def _seconds(value: object) -> float:
    if value is None:
        return USUAL_SECONDS
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise invalid("timeout is not a duration such as 10s")
    return min(float(found[1]) * _UNITS[found[2]], MOST_SECONDS)


def _object(value: object, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{what} is not an object")
    return value
