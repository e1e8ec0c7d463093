"""Any program's trace: it says what happened unwatched, its gas adds up, and another EVM traces it alike."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from eth.abc import ComputationAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.chain.embedded import calls
from ledger.chain.embedded.calls import Call
from ledger.chain.embedded.overrides import override_state
from tests.anvil import ask
from tests.fakes.evm_assembly import assembled, calling
from tests.fakes.two_chains import TwoChains, debugging, two_chains

PLACE = bytes.fromhex("00000000000000000000000000000000c0ffee01")
OTHER = bytes.fromhex("00000000000000000000000000000000c0ffee02")
pytestmark = pytest.mark.filterwarnings("ignore:SELFDESTRUCT")
GAS = 120_000
CONTINUED = ("CALL", "STATICCALL", "DELEGATECALL", "CALLCODE", "CREATE", "CREATE2")
OWN = frozenset({"COINBASE", "TIMESTAMP", "NUMBER", "PREVRANDAO", "BASEFEE", "GASLIMIT", "BLOCKHASH"})
"""opcodes that each chain answers for itself"""

PLAIN = (
    *("ADD", "MUL", "SUB", "DIV", "SDIV", "MOD", "SMOD", "ADDMOD", "MULMOD", "EXP", "SIGNEXTEND"),
    *("LT", "GT", "SLT", "SGT", "EQ", "ISZERO", "AND", "OR", "XOR", "NOT", "BYTE", "SHL", "SHR", "SAR"),
    *("ADDRESS", "BALANCE", "CALLER", "CALLVALUE", "CALLDATALOAD", "CALLDATASIZE", "CALLDATACOPY"),
    *("CODESIZE", "CODECOPY", "EXTCODESIZE", "EXTCODECOPY", "EXTCODEHASH", "RETURNDATASIZE"),
    *("RETURNDATACOPY", "SELFBALANCE", "POP", "MLOAD", "MSTORE", "MSTORE8", "SLOAD", "JUMP", "JUMPI"),
    *("PC", "MSIZE", "GAS", "JUMPDEST", "TLOAD", "TSTORE", "MCOPY", "PUSH0", "DUP1", "DUP2", "SWAP1"),
    *("SWAP2", "LOG0", "LOG1", "CREATE", "CREATE2", "RETURN", "REVERT", "STOP"),
)
# Two opcodes come with their operands: the contracts' test library watches them in every EVM of the process,
# and stumbles where the stack is empty.
WHOLE = ("PUSH1 01 PUSH0 SSTORE", "PUSH0 PUSH0 SSTORE", "DUP2 DUP2 SSTORE", "PUSH1 20 PUSH0 SHA3")
JUST_BYTES = st.binary(max_size=48).map(lambda code: code.translate(None, b"\x20\x55"))
BYTES = st.binary(min_size=1, max_size=1).map(lambda byte: f"PUSH1 {byte.hex()}")
CALLS = st.sampled_from(CONTINUED[:4]).map(lambda kind: calling(kind, OTHER, size=32, gas=20_000))
WORDS = st.one_of(BYTES, BYTES, CALLS, st.sampled_from(WHOLE), st.sampled_from(PLAIN))
PROGRAMS = st.lists(WORDS, max_size=60).map(lambda words: assembled(" ".join(words)))
LAWS = settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoChains]:
    with two_chains(tmp_path_factory.mktemp("laws") / "chain") as both:
        yield both


def request(data: bytes = b"\1\2\3") -> dict[str, str]:
    return {"to": f"0x{PLACE.hex()}", "gas": hex(GAS), "data": f"0x{data.hex()}"}


def placed(program: bytes, other: bytes) -> dict[str, Any]:
    codes = {PLACE: program, OTHER: other}
    return {
        f"0x{place.hex()}": {"code": f"0x{code.hex()}", "balance": "0x64"} for place, code in codes.items()
    }


def unwatched(two: TwoChains, overrides: dict[str, Any]) -> ComputationAPI:
    call = Call(to=PLACE, gas=GAS, data=b"\1\2\3")
    state = calls.state_in(two.chain, calls.on_head(two.chain, two.chain.head()), call)
    override_state(state, overrides)
    return calls.execute(state, call, GAS)


@LAWS
@given(program=st.one_of(PROGRAMS, JUST_BYTES), other=PROGRAMS)
def test_watching_changes_nothing(two: TwoChains, program: bytes, other: bytes) -> None:
    overrides = placed(program, other)
    trace = debugging(two.chain).trace_call(request(), "latest", {"stateOverrides": overrides})
    alone = unwatched(two, overrides)
    assert (trace["failed"], trace["returnValue"]) == (alone.is_error, f"0x{alone.output.hex()}")
    if trace["structLogs"] and not alone.is_error:
        last = trace["structLogs"][-1]
        assert last["gas"] - last["gasCost"] == alone.get_gas_remaining()


@LAWS
@given(program=PROGRAMS, other=PROGRAMS)
def test_each_step_leaves_the_gas_that_the_next_has(two: TwoChains, program: bytes, other: bytes) -> None:
    options = {"stateOverrides": placed(program, other)}
    steps = debugging(two.chain).trace_call(request(), "latest", options)["structLogs"]
    for step, following in pairwise(steps):
        if following["depth"] == step["depth"] and step["op"] not in CONTINUED:
            assert following["gas"] == step["gas"] - step["gasCost"]


@LAWS
@given(program=st.one_of(PROGRAMS, JUST_BYTES), other=PROGRAMS)
def test_another_evm_takes_the_same_steps(two: TwoChains, program: bytes, other: bytes) -> None:
    options = {"stateOverrides": placed(program, other)}
    ours = debugging(two.chain).trace_call(request(), "latest", options)
    theirs = ask(two.url, "debug_traceCall", request(), "latest", options)
    if not OWN & {step["op"] for step in ours["structLogs"]}:
        assert (ours["failed"], ours["returnValue"]) == (theirs["failed"], theirs["returnValue"])
        assert [compared(step) for step in ours["structLogs"]] == [
            compared(step) for step in theirs["structLogs"]
        ]


def compared(step: dict[str, Any]) -> tuple[Any, ...]:
    # An undefined opcode's name is anvil's own, and so are the cost and the storage of one that failed.
    return step["pc"], step["depth"], step["gas"], step["stack"]


@LAWS
@given(program=PROGRAMS, other=PROGRAMS)
def test_a_frame_used_what_its_calls_used_and_no_more_than_it_had(
    two: TwoChains, program: bytes, other: bytes
) -> None:
    options = {"tracer": "callTracer", "stateOverrides": placed(program, other)}
    tree = debugging(two.chain).trace_call(request(), "latest", options)
    for frame in frames(tree):
        used, had = int(frame["gasUsed"], 16), int(frame["gas"], 16)
        within = sum(int(call["gasUsed"], 16) for call in frame.get("calls", ()))
        assert used <= had
        assert within <= (had if frame is tree else used)  # the transaction's own is after refunds


def frames(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield tree
    for call in tree.get("calls", ()):
        yield from frames(call)
