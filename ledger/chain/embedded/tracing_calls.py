"""`callTracer`: the tree of a transaction's calls and creations, which explorers show as internal transfers.

Fields, errors' wording and the frames of calls that never began are go-ethereum's.
"""

from dataclasses import dataclass

from eth.abc import ComputationAPI, MessageAPI
from eth.constants import STACK_DEPTH_LIMIT
from eth.exceptions import InvalidInstruction, Revert
from eth.typing import BytesOrView

from ledger.chain.embedded.calls import revert_message
from ledger.chain.embedded.tracing import CREATIONS, Budget, Json, Outcome, Step, opcode_name

_FRAME_CHARACTERS = 300
_ADDRESS_BYTES = 20
_REASON_PREFIX = "execution reverted: "
_INPUTS = {"CALL": 3, "CALLCODE": 3, "DELEGATECALL": 2, "STATICCALL": 2, "CREATE": 1, "CREATE2": 1}
"""which operand says where the input starts; the next says how long it is"""
_DESTRUCTION = "SELFDESTRUCT"
_NAMED = frozenset(_INPUTS) | {_DESTRUCTION}
_ERRORS = {
    "OutOfGas": "out of gas",
    "InvalidJumpDestination": "invalid jump destination",
    "InsufficientStack": "stack underflow",
    "FullStack": "stack limit reached 1024 (1023)",
    "WriteProtection": "write protection",
    "OutOfBoundsRead": "return data out of bounds",
    "ContractCreationCollision": "contract address collision",
    "ReservedBytesInCode": "invalid code: must not begin with 0xef",
    "Revert": "execution reverted",
}
_CREATION_ERRORS = {
    "EIP170": "max code size exceeded",
    "Write contract code": "contract creation code storage out of gas",
}
"""py-evm calls both out of gas; parts of its messages, and go-ethereum's"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """`only_top` leaves out what the transaction's own call calls; `logs` adds events to their frames."""

    only_top: bool = False
    logs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """An opcode that may make a frame: its operands, and the balance of who runs it, before it runs."""

    name: str
    children: int
    operands: tuple[int, ...]
    balance: int


class CallTracer:
    """Builds the tree."""

    def __init__(self, options: CallOptions, budget: Budget) -> None:
        self._options = options
        self._budget = budget
        self._frames: list[Json] = []
        self._attempts: list[_Attempt] = []
        self._top: Json = {}

    def started(self, step: Step) -> None:
        """Remember what calls, creates or destroys."""
        if step.name not in _NAMED:
            return
        computation = step.computation
        self._attempts.append(
            _Attempt(
                name=step.name,
                children=len(computation.children),
                operands=tuple(step.operand(depth) for depth in range(5)),
                balance=computation.state.get_balance(computation.msg.storage_address),
            )
        )

    def ended(self, step: Step) -> None:
        """Add the frame of a call for which there was no money or no room, or of a destruction."""
        if step.name not in _NAMED:
            return
        attempt = self._attempts.pop()
        if step.error is None and len(step.computation.children) == attempt.children:
            self._add(
                _destruction(step, attempt) if step.name == _DESTRUCTION else self._refused(step, attempt)
            )

    def entered(self, message: MessageAPI, caller: ComputationAPI | None) -> None:
        """Open a frame."""
        own = "CREATE" if message.is_create else "CALL"
        kind = own if caller is None else self._attempts[-1].name
        sender = message.sender if caller is None else caller.msg.storage_address
        to = message.storage_address if message.is_create else message.code_address
        frame = _frame(kind, bytes(sender), message.gas)
        frame["to"] = f"0x{to.hex()}"
        frame["input"] = self._text(message.code if message.is_create else message.data)
        if kind != "STATICCALL":
            frame["value"] = hex(message.value)
        self._frames.append(frame)

    def left(self, computation: ComputationAPI) -> None:
        """Close it: what it used, gave back or failed with."""
        frame = self._frames.pop()
        frame["gasUsed"] = hex(computation.msg.gas - computation.get_gas_remaining())
        if computation.is_error:
            self._fail(frame, computation)
        elif computation.output:
            frame["output"] = self._text(computation.output)
        if self._frames:
            self._add(frame)
        else:
            self._top = frame

    def logged(self, address: bytes, topics: tuple[int, ...], data: bytes) -> None:
        """Add an event to the frame that emitted it."""
        if not self._options.logs or (self._options.only_top and len(self._frames) > 1):
            return
        frame = self._frames[-1]
        frame.setdefault("logs", []).append(
            {
                "address": f"0x{address.hex()}",
                "topics": [f"0x{topic:064x}" for topic in topics],
                "data": self._text(data),
                "position": hex(len(frame.get("calls", ()))),
            }
        )

    def result(self, outcome: Outcome) -> Json:
        """The tree, with the transaction's own gas at its root."""
        return self._top | {"gas": hex(outcome.gas), "gasUsed": hex(outcome.gas_used)}

    def _add(self, frame: Json) -> None:
        if not self._options.only_top:
            self._frames[-1].setdefault("calls", []).append(frame)

    def _fail(self, frame: Json, computation: ComputationAPI) -> None:
        frame["error"] = _error(computation)
        _clear_logs(frame)
        if frame["type"] in CREATIONS:
            del frame["to"]
        if not isinstance(computation.error, Revert) or not computation.output:
            return
        frame["output"] = self._text(computation.output)
        reason = revert_message(computation.output)
        if reason.startswith(_REASON_PREFIX):
            frame["revertReason"] = reason.removeprefix(_REASON_PREFIX)

    def _refused(self, step: Step, attempt: _Attempt) -> Json:
        sender, creates = step.computation.msg.storage_address, attempt.name in CREATIONS
        remaining = step.computation.get_gas_remaining()
        frame = _frame(attempt.name, bytes(sender), remaining - remaining // 64 if creates else step.returned)
        if not creates:
            frame["to"] = _address(attempt.operands[1])
        start, size = attempt.operands[_INPUTS[attempt.name] :][:2]
        frame["input"] = self._text(step.memory.read_bytes(start, size))
        value = _value(step, attempt)
        if value is not None:
            frame["value"] = hex(value)
        frame["error"] = _refusal(step, attempt, value or 0)
        return frame

    def _text(self, data: BytesOrView) -> str:
        self._budget.keep(_FRAME_CHARACTERS + 2 * len(data))
        return f"0x{bytes(data).hex()}"


def _frame(kind: str, sender: bytes, gas: int) -> Json:
    return {"type": kind, "from": f"0x{sender.hex()}", "gas": hex(gas), "gasUsed": "0x0", "input": "0x"}


def _destruction(step: Step, attempt: _Attempt) -> Json:
    frame = _frame(_DESTRUCTION, bytes(step.computation.msg.storage_address), 0)
    return frame | {"to": _address(attempt.operands[0]), "value": hex(attempt.balance)}


def _address(word: int) -> str:
    return f"0x{word.to_bytes(32, 'big')[-_ADDRESS_BYTES:].hex()}"


def _value(step: Step, attempt: _Attempt) -> int | None:
    if attempt.name == "DELEGATECALL":
        return int(step.computation.msg.value)
    if attempt.name == "STATICCALL":
        return None
    return attempt.operands[0 if attempt.name in CREATIONS else 2]


def _refusal(step: Step, attempt: _Attempt, value: int) -> str:
    if step.computation.msg.depth + 1 > STACK_DEPTH_LIMIT:
        return "max call depth exceeded"
    if attempt.name != "DELEGATECALL" and value > attempt.balance:
        return "insufficient balance for transfer"
    return "contract address collision"


def _error(computation: ComputationAPI) -> str:
    error = computation.error
    name = type(error).__name__
    if isinstance(error, InvalidInstruction):
        return f"invalid opcode: {opcode_name(computation.code[computation.code.program_counter - 1])}"
    if computation.msg.is_create:
        for part, text in _CREATION_ERRORS.items():
            if part in str(error):
                return text
    return _ERRORS.get(name, name)


def _clear_logs(frame: Json) -> None:
    frame.pop("logs", None)
    for call in frame.get("calls", ()):
        _clear_logs(call)
