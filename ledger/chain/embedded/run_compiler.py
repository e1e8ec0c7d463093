"""Turns a straight run of EVM code into one Python function: an interpreter in Python spends most of its time
on fetching opcodes and moving a stack, and both are known before the code runs.

The function moves only what differs between the stack before and after the run; arithmetic is Python's own.
It is called when gas and stack suffice for the whole run, and stops before whatever else could matter to
others (storage, calls, logs, the gas counter): a failure inside burns the frame's gas like anywhere else.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from eth import constants
from eth.abc import ComputationAPI
from eth.exceptions import InvalidInstruction, InvalidJumpDestination
from eth.vm import opcode_values as op
from eth_hash.auto import keccak

Function = Callable[[ComputationAPI, list[int | bytes]], int]
"""runs on a frame and its stack; returns where the code goes on"""
STACK_LIMIT = 1_024
_WORD = 32
_LONGEST = 256
_BINARY = {
    op.ADD: "(%s + %s) & M",
    op.SUB: "(%s - %s) & M",
    op.MUL: "(%s * %s) & M",
    op.LT: "1 if %s < %s else 0",
    op.GT: "1 if %s > %s else 0",
    op.SLT: "1 if (%s ^ S) < (%s ^ S) else 0",
    op.SGT: "1 if (%s ^ S) > (%s ^ S) else 0",
    op.EQ: "1 if %s == %s else 0",
    op.AND: "%s & %s",
    op.OR: "%s | %s",
    op.XOR: "%s ^ %s",
}
_GUARDED = {
    op.DIV: "{0} // {1} if {1} else 0",
    op.MOD: "{0} % {1} if {1} else 0",
    op.ADDMOD: "({0} + {1}) % {2} if {2} else 0",
    op.MULMOD: "({0} * {1}) % {2} if {2} else 0",
    op.BYTE: "({1} >> (248 - 8 * {0})) & 255 if {0} < 32 else 0",
    op.SHL: "({1} << {0}) & M if {0} < 256 else 0",
    op.SHR: "{1} >> {0} if {0} < 256 else 0",
    op.ISZERO: "0 if {0} else 1",
    op.NOT: "M ^ {0}",
    op.CALLDATALOAD: "integer(c.msg.data_as_bytes[{0} : {0} + 32].ljust(32, zero), 'big')",
    op.SHA3: "hashed(c, {0}, {1})",
}
_OPERANDS = {op.ADDMOD: 3, op.MULMOD: 3, op.ISZERO: 1, op.NOT: 1, op.CALLDATALOAD: 1}
_CONTEXT = {
    op.CALLER: "integer(c.msg.sender, 'big')",
    op.ADDRESS: "integer(c.msg.storage_address, 'big')",
    op.CALLVALUE: "c.msg.value",
    op.CALLDATASIZE: "len(c.msg.data)",
    op.RETURNDATASIZE: "len(c.return_data)",
}
_OTHER = frozenset({op.POP, op.MLOAD, op.MSTORE, op.MSTORE8, op.JUMP, op.JUMPI, op.PC, op.JUMPDEST})
GAS: dict[int, int] = (
    dict.fromkeys([*_BINARY, *_GUARDED, *_OTHER, *range(op.PUSH1, op.SWAP16 + 1)], constants.GAS_VERYLOW)
    | dict.fromkeys([*_CONTEXT, op.POP, op.PC, op.PUSH0], constants.GAS_BASE)
    | dict.fromkeys([op.MUL, op.DIV, op.MOD], constants.GAS_LOW)
    | dict.fromkeys([op.ADDMOD, op.MULMOD, op.JUMP], constants.GAS_MID)
    | {op.JUMPI: constants.GAS_HIGH, op.JUMPDEST: constants.GAS_JUMPDEST, op.SHA3: constants.GAS_SHA3}
)
"""what each compiled opcode costs before it looks at its operands; these opcodes are all that is compiled"""


class Run(NamedTuple):
    """A compiled run: the gas it costs at least, what it needs on the stack, by how much that grows."""

    function: Function
    gas: int
    needs: int
    grows: int


def jump_destinations(code: bytes) -> frozenset[int]:
    """Every JUMPDEST that is an instruction and not pushed data."""
    found, place = set(), 0
    while place < len(code):
        value = code[place]
        if value == op.JUMPDEST:
            found.add(place)
        place += value - op.PUSH1 + 2 if op.PUSH1 <= value <= op.PUSH32 else 1
    return frozenset(found)


def compile_run(code: bytes, start: int, destinations: frozenset[int]) -> Run | None:
    """The run that begins at `start`; None where its first instruction is not one to compile."""
    translation = _Translation(code, start, destinations)
    return translation.run()


class _Translation:
    """One run on its way to source text: the stack holds names of values, deepest first."""

    def __init__(self, code: bytes, start: int, destinations: frozenset[int]) -> None:
        self._code = code
        self._place = start
        self._destinations = destinations
        self._lines: list[str] = []
        self._stack: list[str] = []
        self._taken = 0
        self._grows = 0
        self._gas = 0
        self._names = 0
        self._integers: dict[str, str] = {}
        self._has_memory = False

    def run(self) -> Run | None:
        """Translate until something else must happen."""
        translated = 0
        ended = False
        while translated < _LONGEST and not ended and self._place < len(self._code):
            value = self._code[self._place]
            if value not in GAS:
                break
            self._gas += GAS[value]
            ended = self._translate(value)
            translated += 1
            self._grows = max(self._grows, len(self._stack) - self._taken)
        if not translated:
            return None
        if not ended:
            self._write_back()
            self._emit(f"return {self._place}")
        return Run(self._function(), self._gas, self._taken, self._grows)

    def _translate(self, value: int) -> bool:
        """Add one instruction; whether the run ends with it."""
        place = self._place
        self._place += 1
        if op.PUSH0 <= value <= op.PUSH32:
            self._push_literal(value - op.PUSH0)
        elif value <= op.DUP16 and value >= op.DUP1:
            self._reach(value - op.DUP1 + 1)
            self._stack.append(self._stack[-(value - op.DUP1 + 1)])
        elif op.SWAP1 <= value <= op.SWAP16:
            self._swap(value - op.SWAP1 + 2)
        elif value in (op.JUMP, op.JUMPI):
            self._jump(conditional=value == op.JUMPI)
            return True
        else:
            self._compute(value, place)
        return False

    def _compute(self, value: int, place: int) -> None:
        if value in _BINARY:
            self._assign(_BINARY[value] % (self._pop(), self._pop()))
        elif value in _GUARDED:
            operands = [self._pop() for _ in range(_OPERANDS.get(value, 2))]
            self._assign(_GUARDED[value].format(*operands))
            self._has_memory = self._has_memory and value != op.SHA3
        elif value in _CONTEXT:
            self._assign(_CONTEXT[value])
        elif value == op.PC:
            self._stack.append(str(place))
        elif value == op.POP:
            self._reach(1)
            self._stack.pop()
        elif value == op.MLOAD:
            start = self._memory_at(self._pop(), _WORD)
            self._assign(f"integer(m[{start} : {start} + 32], 'big')")
        elif value == op.MSTORE:
            start = self._memory_at(self._pop(), _WORD)
            self._emit(f"m[{start} : {start} + 32] = {self._parenthesised(self._pop())}.to_bytes(32, 'big')")
        elif value == op.MSTORE8:
            start = self._memory_at(self._pop(), 1)
            self._emit(f"m[{start}] = {self._pop()} & 255")

    def _push_literal(self, size: int) -> None:
        data = self._code[self._place : self._place + size].ljust(size, b"\0")
        self._place += size
        self._stack.append(str(int.from_bytes(data, "big")))

    def _swap(self, depth: int) -> None:
        self._reach(depth)
        self._stack[-1], self._stack[-depth] = self._stack[-depth], self._stack[-1]

    def _jump(self, *, conditional: bool) -> None:
        target = self._pop()
        condition = self._pop() if conditional else ""
        self._write_back()
        known = target.isdigit() and int(target) in self._destinations
        go = f"return {target}" if known else f"return {target} if {target} in D else refuse(c, {target})"
        self._emit(f"if {condition}: {go}" if conditional else go)
        if conditional:
            self._emit(f"return {self._place}")

    def _memory_at(self, start: str, size: int) -> str:
        if not self._has_memory:
            self._emit("m = c._memory._bytes")
            self._has_memory = True
        self._emit(f"if {start} + {size} > len(m):")
        self._emit(f" c.extend_memory({start}, {size}); m = c._memory._bytes")
        return start

    def _reach(self, depth: int) -> None:
        while len(self._stack) < depth:
            self._taken += 1
            self._emit(f"r{self._taken} = s[-{self._taken}]")
            self._stack.insert(0, f"r{self._taken}")

    def _pop(self) -> str:
        """The name of the top value as an integer; what lies on a stack may be bytes instead."""
        self._reach(1)
        name = self._stack.pop()
        if not name.startswith("r"):
            return name
        if name not in self._integers:
            self._integers[name] = integer = f"i{name[1:]}"
            self._emit(f"{integer} = {name} if {name}.__class__ is int else integer({name}, 'big')")
        return self._integers[name]

    def _parenthesised(self, name: str) -> str:
        return f"({name})" if name.isdigit() else name

    def _assign(self, expression: str) -> None:
        self._names += 1
        name = f"t{self._names}"
        self._emit(f"{name} = {expression}")
        self._stack.append(name)

    def _write_back(self) -> None:
        values, taken = list(self._stack), self._taken
        while values and taken and values[0] == f"r{taken}":
            values.pop(0)
            taken -= 1
        if values:
            target = f"s[-{taken}:] =" if taken else "s +="
            self._emit(f"{target} ({', '.join(values)},)")
        elif taken:
            self._emit(f"del s[-{taken}:]")

    def _emit(self, line: str) -> None:
        self._lines.append(line)

    def _function(self) -> Function:
        source = "\n ".join(["def run(c, s):", *self._lines])
        namespace: dict[str, Any] = {**_NAMESPACE, "D": self._destinations}
        # The text holds our own templates, names that we count up and integers: nothing of the code's author.
        exec(compile(source, "<evm run>", "exec"), namespace)  # noqa: S102
        function: Function = namespace["run"]
        return function


def _hashed(computation: ComputationAPI, start: int, size: int) -> int:
    computation.extend_memory(start, size)
    computation.consume_gas(constants.GAS_SHA3WORD * ((size + _WORD - 1) // _WORD), "SHA3: word gas cost")
    return int.from_bytes(keccak(computation.memory_read_bytes(start, size)), "big")


def _refuse(computation: ComputationAPI, target: int) -> int:
    code = computation.code
    code.program_counter = target
    if code.peek() != op.JUMPDEST:
        raise InvalidJumpDestination("Invalid Jump Destination")
    raise InvalidInstruction("Jump resulted in invalid instruction")


_NAMESPACE = {
    "M": (1 << 256) - 1,
    "S": 1 << 255,
    "zero": b"\0",
    "integer": int.from_bytes,
    "hashed": _hashed,
    "refuse": _refuse,
}
