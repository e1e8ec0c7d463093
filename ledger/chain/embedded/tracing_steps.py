"""The default trace of `debug_trace*`: every opcode with its gas and stack, in go-ethereum's struct-log form.

What debuggers and `cast` read. Bytes and words are written as reth and anvil write them.
"""

import math
from dataclasses import dataclass

from eth.abc import ComputationAPI, MessageAPI
from eth.exceptions import FullStack, InsufficientStack, OutOfGas, VMError

from ledger.chain.embedded.tracing import Budget, Json, Outcome, Step, as_int

_WORD = 32
_STEP_CHARACTERS = 80
_WORD_CHARACTERS = 68
_STORAGE_OPERANDS = {"SLOAD": 1, "SSTORE": 2}
_BEFORE_RUNNING = {
    OutOfGas: "out of gas",
    InsufficientStack: "stack underflow",
    FullStack: "stack limit reached 1024 (1023)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """What each step shows; `limit` is how many steps, 0 for all of them."""

    stack: bool = True
    storage: bool = True
    memory: bool = False
    return_data: bool = False
    limit: int = 0


class StepTracer:
    """Collects struct logs."""

    def __init__(self, options: StepOptions, budget: Budget) -> None:
        self._options = options
        self._budget = budget
        self._logs: list[Json] = []
        self._open: list[Json | None] = []
        self._words: dict[int | bytes, str] = {}
        self._storage: dict[bytes, dict[str, str]] = {}

    def started(self, step: Step) -> None:
        """Note the state before the opcode runs."""
        if self._options.limit and len(self._logs) >= self._options.limit:
            self._open.append(None)
            return
        self._budget.keep(_STEP_CHARACTERS)
        log: Json = {"pc": step.pc, "op": step.name, "gas": step.gas, "gasCost": 0}
        log["depth"] = step.computation.msg.depth + 1
        if self._options.stack:
            log["stack"] = self._stack(step)
        if self._options.memory:
            log["memory"] = self._memory(step)
        if self._options.return_data and step.computation.return_data:
            log["returnData"] = f"0x{self._kept(step.computation.return_data).hex()}"
        if self._options.storage and len(step.stack) >= _STORAGE_OPERANDS.get(step.name, math.inf):
            log["storage"] = self._touched(step)
        self._logs.append(log)
        self._open.append(log)

    def ended(self, step: Step) -> None:
        """Add what it cost, and why it could not run."""
        log = self._open.pop()
        if log is None:
            return
        log["gasCost"] = step.cost
        if step.error is not None and (reason := _reason(step.error)):
            log["error"] = reason

    def entered(self, message: MessageAPI, caller: ComputationAPI | None) -> None:
        """Nothing: the steps' depth tells it."""

    def left(self, computation: ComputationAPI) -> None:
        """Nothing: the steps' depth tells it."""

    def logged(self, address: bytes, topics: tuple[int, ...], data: bytes) -> None:
        """Nothing: the step's stack tells it."""

    def result(self, outcome: Outcome) -> Json:
        """The struct logs, with how the transaction ended."""
        return {
            "gas": outcome.gas_used,
            "failed": outcome.failed,
            "returnValue": f"0x{outcome.output.hex()}",
            "structLogs": self._logs,
        }

    def _stack(self, step: Step) -> list[str]:
        # Most words stand on many steps' stacks: one text of each is shared by all.
        words = [self._word(value) for value in step.stack]
        self._budget.keep(sum(map(len, words)) + 4 * len(words))
        return words

    def _word(self, value: int | bytes) -> str:
        text = self._words.get(value)
        if text is None:
            text = self._words[value] = hex(as_int(value))
        return text

    def _memory(self, step: Step) -> list[str]:
        memory = step.memory.read_bytes(0, len(step.memory))
        self._budget.keep(len(memory) // _WORD * _WORD_CHARACTERS)
        return [f"0x{memory[place : place + _WORD].hex()}" for place in range(0, len(memory), _WORD)]

    def _touched(self, step: Step) -> dict[str, str]:
        slot, state = step.operand(0), step.computation.state
        address = step.computation.msg.storage_address
        value = step.operand(1) if step.name == "SSTORE" else state.get_storage(address, slot)
        touched = self._storage.setdefault(address, {})
        touched[f"0x{slot:064x}"] = f"0x{value:064x}"
        self._budget.keep(2 * _WORD_CHARACTERS * len(touched))
        return dict(touched)

    def _kept(self, data: bytes) -> bytes:
        self._budget.keep(2 * len(data))
        return bytes(data)


def _reason(error: VMError) -> str | None:
    # What an opcode does itself (revert, jump astray) is told by the steps; go-ethereum names only these.
    return next((text for kind, text in _BEFORE_RUNNING.items() if isinstance(error, kind)), None)
