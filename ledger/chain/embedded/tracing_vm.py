"""Watching the EVM at work: py-evm has no hook for a tracer, so its computation is subclassed for one trace.

`watched` makes that class: its opcodes and messages are Prague's own with a report before and after each.
Blocks are sealed by the ordinary class, which knows nothing of this and pays nothing for it.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from eth.abc import ComputationAPI, MessageAPI, StateAPI, TransactionContextAPI
from eth.exceptions import VMError
from eth.vm.code_stream import CodeStream
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.gas_meter import GasMeter, allow_negative_refund_strategy
from eth.vm.logic.invalid import InvalidOpcode
from eth.vm.memory import Memory
from eth.vm.stack import Stack
from eth_typing import Address

from ledger.chain.embedded.tracing import CREATIONS, Budget, Step, Tracer, opcode_name


class WatchedComputation(PragueComputation):
    """Prague's computation that reports to `tracer`; made for one trace by `watched`."""

    tracer: ClassVar[Tracer]
    budget: ClassVar[Budget]
    _stack: Stack
    _memory: Memory
    _gas_meter: "_Meter"

    def __init__(
        self, state: StateAPI, message: MessageAPI, transaction_context: TransactionContextAPI
    ) -> None:
        super().__init__(state, message, transaction_context)
        self.code = _Code(message.code)

    @classmethod
    def apply_message(
        cls,
        state: StateAPI,
        message: MessageAPI,
        transaction_context: TransactionContextAPI,
        parent_computation: ComputationAPI | None = None,
    ) -> ComputationAPI:
        """Prague's, reported; a creation's was reported by `apply_create_message`, which comes here."""
        apply = super().apply_message
        if message.is_create:
            return apply(state, message, transaction_context, parent_computation)
        cls.tracer.entered(message, parent_computation)
        computation = apply(state, message, transaction_context, parent_computation)
        cls.tracer.left(computation)
        return computation

    @classmethod
    def apply_create_message(
        cls,
        state: StateAPI,
        message: MessageAPI,
        transaction_context: TransactionContextAPI,
        parent_computation: ComputationAPI | None = None,
    ) -> ComputationAPI:
        """Prague's, reported; what is refused for its size never begins."""
        cls.validate_create_message(message)
        cls.tracer.entered(message, parent_computation)
        computation = super().apply_create_message(state, message, transaction_context, parent_computation)
        cls.tracer.left(computation)
        return computation

    def add_log_entry(self, account: Address, topics: tuple[int, ...], data: bytes) -> None:
        """Prague's, reported."""
        super().add_log_entry(account, topics, data)
        self.tracer.logged(bytes(account), topics, bytes(data))

    def _configure_gas_meter(self) -> "_Meter":
        return _Meter(self.msg.gas, allow_negative_refund_strategy)


def watched(tracer: Tracer, budget: Budget) -> type[WatchedComputation]:
    """A computation class that reports to `tracer` and ends with `RpcError` where `budget` does."""
    members = {"tracer": tracer, "budget": budget, "opcodes": _WATCHED_OPCODES}
    return type("WatchedComputation", (WatchedComputation,), members)


class _Code(CodeStream):
    """Code that goes on with STOP behind its end, counted like every other opcode."""

    def __iter__(self) -> Iterator[int]:
        while True:
            opcode = self.peek()
            self.program_counter += 1
            yield opcode


class _Meter(GasMeter):
    """A gas meter that remembers what was asked of it, also what it could not give."""

    asked = 0
    returned = 0

    def consume_gas(self, amount: int, reason: str) -> None:
        self.asked += amount
        super().consume_gas(amount, reason)

    def return_gas(self, amount: int) -> None:
        self.returned += amount
        super().return_gas(amount)


class _Watched:
    """One opcode with its reports."""

    __slots__ = ("_name", "_run")

    def __init__(self, opcode: int, run: Callable[..., Any]) -> None:
        self._name = opcode_name(opcode)
        self._run = run

    def __call__(self, computation: WatchedComputation) -> None:
        if not computation.msg.code:
            # A plain account's STOP is py-evm's own; other EVMs run nothing there.
            self._run(computation=computation)
            return
        computation.budget.step()
        meter = computation._gas_meter
        asked, returned, children = meter.asked, meter.returned, len(computation.children)
        step = Step(
            computation=computation,
            stack=computation._stack.values,
            memory=computation._memory,
            pc=computation.code.program_counter - 1,
            name=self._name,
            gas=meter.gas_remaining,
        )
        computation.tracer.started(step)
        try:
            self._run(computation=computation)
        except VMError as exc:
            step.error = exc
            raise
        finally:
            step.cost, step.returned = meter.asked - asked, meter.returned - returned
            if self._name in CREATIONS and len(computation.children) > children:
                step.cost -= computation.children[-1].msg.gas
            computation.tracer.ended(step)


class _WatchedOpcodes(dict[int, _Watched]):
    """Every byte is an opcode here, so that an undefined one is reported before it fails."""

    def __missing__(self, opcode: int) -> _Watched:
        return _Watched(opcode, InvalidOpcode(opcode))


_WATCHED_OPCODES = _WatchedOpcodes(
    {opcode: _Watched(opcode, run) for opcode, run in PragueComputation.opcodes.items()}
)
