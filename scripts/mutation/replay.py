"""The suite's steps, taken again with another creation code in the place of a contract's own."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from boa.environment import Env
from eth.vm.forks.spurious_dragon import computation as code_limit

from scripts.mutation.trace import Called, Created, Outcome, Setting, Step, Stored
from scripts.mutation.tracing import outcome_of

# Unoptimised code is larger than a chain would take; this process runs nothing but mutants.
code_limit.EIP170_CODE_SIZE_LIMIT = 1 << 20  # type: ignore[attr-defined]  # imported there, not exported


Ran = Callable[[Any], None]
"""told of py-evm's computation of each call"""


def same(env: Env, steps: Iterable[Step], swapped: Mapping[bytes, bytes], ran: Ran = lambda _: None) -> bool:
    """Whether every step answers as it did with the real contracts; `swapped` maps a real creation code to
    the one that is deployed instead."""
    return all(_outcome(env, step, swapped, ran) == getattr(step, "outcome", None) for step in steps)


def _outcome(env: Env, step: Step, swapped: Mapping[bytes, bytes], ran: Ran) -> Outcome | None:
    match step:
        case Created():
            return _created(env, step, swapped)
        case Called():
            _enter(env, step.setting)
            if step.value:
                env.set_balance(step.sender, step.value)
            computation = env.execute_code(
                to_address=step.to,
                sender=step.sender,
                data=step.data,
                value=step.value,
                is_modifying=step.modifies,
            )
            ran(computation)
            return outcome_of(computation)
        case Stored():
            env.set_storage(step.address, step.slot, step.value)
            return None


def _created(env: Env, step: Created, swapped: Mapping[bytes, bytes]) -> Outcome:
    _enter(env, step.setting)
    code = _swapped(step.code, swapped)
    outcome = outcome_of(env.deploy(sender=step.sender, bytecode=code, override_address=step.address)[1])
    # A contract's code is its creation's answer, and a mutant's own is another.
    real = step.outcome.output if code != step.code and not outcome.failed else outcome.output
    return Outcome(failed=outcome.failed, output=real, logs=outcome.logs)


def _swapped(code: bytes, swapped: Mapping[bytes, bytes]) -> bytes:
    for real, other in swapped.items():
        if code.startswith(real):
            return other + code[len(real) :]
    return code


def _enter(env: Env, setting: Setting) -> None:
    patch = env.evm.patch
    patch.timestamp, patch.block_number = setting.timestamp, setting.number
    patch.chain_id = setting.chain_id
