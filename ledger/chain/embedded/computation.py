"""Prague's computation, with the runs of code that are executed often compiled (see `run_compiler`).

py-evm asks a frame's code for one opcode after the other. This code answers only with those that py-evm must
see, having gone through the runs between them itself; wherever a run could fail it gives its opcodes singly,
so that every failure is py-evm's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from eth.abc import MessageAPI, StateAPI, TransactionContextAPI
from eth.vm.code_stream import CodeStream
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.opcode_values import STOP

from ledger.chain.embedded.run_compiler import STACK_LIMIT, Run, compile_run, jump_destinations

OFTEN = 32
"""times that a run is gone through before it is compiled, which costs as much as a few hundred times"""
_MOST_RUNS = 8_192
"""of all codes together; later ones are interpreted"""
_MOST_CODES = 256


@dataclass(slots=True)
class CompiledCode:
    """What is known of one code: its compiled runs by where they begin (None: nothing to compile there), how
    often the others were met, and where jumps may go."""

    code: bytes
    runs: dict[int, Run | None] = field(default_factory=dict)
    met: dict[int, int] = field(default_factory=dict)
    destinations: frozenset[int] | None = None


class CodeCache:
    """The compiled codes of a process, by content; forgotten all together when there are too many.

    A run is compiled when it is met for the time `often`.
    """

    def __init__(self, often: int = OFTEN) -> None:
        self._often = often
        self._codes: dict[bytes, CompiledCode] = {}
        self._runs = 0

    def of(self, code: bytes) -> CompiledCode:
        """The entry of a code."""
        known = self._codes.get(code)
        if known is None:
            if len(self._codes) >= _MOST_CODES:
                self._codes, self._runs = {}, 0
            self._codes[code] = known = CompiledCode(code)
        return known

    def meet(self, code: CompiledCode, place: int) -> Run | None:
        """Count a run that is not compiled; compile it when its time has come and there is room."""
        code.met[place] = times = code.met.get(place, 0) + 1
        if times < self._often or self._runs >= _MOST_RUNS:
            return None
        if code.destinations is None:
            code.destinations = jump_destinations(code.code)
        code.runs[place] = run = compile_run(code.code, place, code.destinations)
        self._runs += run is not None
        return run


class RunningCode(CodeStream):
    """A frame's code that goes through its runs by itself."""

    __slots__ = ("_computation",)

    def __init__(self, code: bytes, computation: "CompilingComputation") -> None:
        super().__init__(code)
        self._computation = computation

    def __iter__(self) -> Iterator[int]:
        """The opcodes that py-evm executes; the program counter stands behind each."""
        computation, code = self._computation, self._raw_code_bytes
        cache = computation.cache
        known, length = cache.of(code), self._length_cache
        runs, meter = known.runs, computation._gas_meter
        stack: list[int | bytes] = computation._stack.values  # type: ignore[attr-defined]  # py-evm's Stack
        while (place := self.program_counter) < length:
            run = runs[place] if place in runs else cache.meet(known, place)
            if (
                run is not None
                and run.gas <= meter.gas_remaining
                and run.needs <= len(stack)
                and len(stack) + run.grows <= STACK_LIMIT
            ):
                meter.gas_remaining -= run.gas
                self.program_counter = run.function(computation, stack)
            else:
                self.program_counter = place + 1
                yield code[place]
        yield STOP


class CompilingComputation(PragueComputation):
    """A frame over `RunningCode`; all frames of a class share a cache."""

    cache: ClassVar[CodeCache] = CodeCache()

    def __init__(
        self, state: StateAPI, message: MessageAPI, transaction_context: TransactionContextAPI
    ) -> None:
        super().__init__(state, message, transaction_context)
        self.code = RunningCode(message.code, self)
