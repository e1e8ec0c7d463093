"""What a tracer hears of a transaction's execution, and what a trace may cost.

Tracers know py-evm's computations and nothing of how they are watched (`tracing_vm`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from eth.abc import ComputationAPI, MessageAPI
from eth.exceptions import VMError
from eth.vm import opcode_values
from eth.vm.memory import Memory

from ledger.chain.embedded.rpc_error import LIMIT_EXCEEDED, SERVER_ERROR, RpcError

Json = dict[str, Any]
CREATIONS = frozenset({"CREATE", "CREATE2"})
MAX_KEPT = 64 * 1024 * 1024
_STEPS_BETWEEN_LOOKS = 1_024
_INVALID = 0xFE  # EIP-141 designates it; py-evm leaves it out like any other undefined opcode
_NAMES = {
    value: name for name, value in vars(opcode_values).items() if name.isupper() and isinstance(value, int)
} | {opcode_values.SHA3: "KECCAK256", _INVALID: "INVALID"}


def opcode_name(opcode: int) -> str:
    """go-ethereum's name of an opcode."""
    return _NAMES.get(opcode, f"opcode {opcode:#x} not defined")


@dataclass(slots=True, kw_only=True)
class Budget:
    """What a request may cost: until `deadline` of `clock` (seconds), and so many characters of answer."""

    clock: Callable[[], float]
    deadline: float
    kept: int = 0
    steps: int = 0

    def look(self) -> None:
        """`RpcError` when the time is over."""
        if self.clock() > self.deadline:
            raise RpcError(SERVER_ERROR, "execution timeout")

    def step(self) -> None:
        """Count one opcode; the clock is read at every thousandth."""
        self.steps += 1
        if self.steps % _STEPS_BETWEEN_LOOKS == 0:
            self.look()

    def keep(self, characters: int) -> None:
        """Count what the answer grows by. `RpcError` -32005 when it has become too long."""
        self.kept += characters
        if self.kept > MAX_KEPT:
            raise RpcError(
                LIMIT_EXCEEDED, f"trace exceeds {MAX_KEPT} bytes, use limit, disableStack or callTracer"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a whole transaction ended: gas paid for (after refunds), and its output or revert data."""

    gas: int
    gas_used: int
    failed: bool
    output: bytes


@dataclass(slots=True, kw_only=True)
class Step:
    """One opcode about to run; `cost` and `error` are known after it ran.

    `cost` is all it asked for, a call's gas for its callee included, a creation's not (as go-ethereum).
    `returned` is the gas it got back, of which a call that could not begin gets back its callee's. `stack`
    and `memory` are the computation's own: a tracer that keeps them copies them.
    """

    computation: ComputationAPI
    stack: list[int | bytes]
    memory: Memory
    pc: int
    name: str
    gas: int
    cost: int = 0
    returned: int = 0
    error: VMError | None = None

    def operand(self, depth: int) -> int:
        """A stack item before the opcode runs, 0 the top; 0 where there is none."""
        return as_int(self.stack[-1 - depth]) if depth < len(self.stack) else 0


class Tracer(Protocol):
    """Hears of a transaction's execution; each kind of trace makes something else of it."""

    def started(self, step: Step) -> None:
        """An opcode is about to run."""

    def ended(self, step: Step) -> None:
        """It ran, and so did all that it called."""

    def entered(self, message: MessageAPI, caller: ComputationAPI | None) -> None:
        """A call or creation begins; `caller` is None for the transaction's own."""

    def left(self, computation: ComputationAPI) -> None:
        """The latest begun and not yet left has ended."""

    def logged(self, address: bytes, topics: tuple[int, ...], data: bytes) -> None:
        """An event was emitted."""

    def result(self, outcome: Outcome) -> Json:
        """The trace."""


def as_int(value: int | bytes) -> int:
    """A stack item, which py-evm keeps in the form it was made in."""
    return value if isinstance(value, int) else int.from_bytes(value, "big")
