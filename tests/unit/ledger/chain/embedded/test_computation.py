"""Compiled code does to the byte what py-evm's interpreter does, and fails where and as it fails."""

from typing import Any

import pytest
from eth.db.atomic import AtomicDB
from eth.vm import opcode_values as op
from eth.vm.chain_context import ChainContext
from eth.vm.forks.london.opcodes import LONDON_OPCODES
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES
from eth.vm.message import Message
from eth.vm.stack import to_int
from eth_typing import Address, BlockNumber
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.chain.embedded.computation import CodeCache, CompilingComputation
from ledger.chain.embedded.evm import SharedSecondVM
from ledger.chain.embedded.run_compiler import GAS as COSTS
from ledger.chain.embedded.run_compiler import compile_run, jump_destinations

HERE, SENDER, OTHER = Address(b"\x11" * 20), Address(b"\x22" * 20), Address(b"\x33" * 20)
GAS = 60_000
HEADER = PragueBlockHeader(difficulty=0, block_number=BlockNumber(1), gas_limit=30_000_000, timestamp=9)


# boa, which other tests load, puts watchers in place of two opcodes, and they fail on empty stacks.
OWN_OPCODES = PRAGUE_OPCODES | {value: LONDON_OPCODES[value] for value in (op.SHA3, op.SSTORE)}


class Interpreted(PragueComputation):
    """py-evm's own."""

    opcodes = OWN_OPCODES


class AtOnce(CompilingComputation):
    """Compiles whatever it meets."""

    opcodes = OWN_OPCODES
    cache = CodeCache(often=1)


def run(kind: type[PragueComputation], code: bytes, data: bytes, gas: int) -> Any:
    state = SharedSecondVM.build_state(AtomicDB(), HEADER, ChainContext(1))
    state.set_code(HERE, code)
    message = Message(gas=gas, to=HERE, sender=SENDER, value=0, data=data, code=code, code_address=HERE)
    context = state.get_transaction_context_class()(gas_price=1, origin=SENDER)
    state.computation_class = kind
    state.lock_changes()
    return kind.apply_computation(state, message, context)


def effects(done: Any) -> dict[str, Any]:
    """All that anybody can see of a frame after it ended."""
    if done.is_error and done.error.burns_gas:
        return {"error": type(done.error)}
    return {
        "error": type(done.error) if done.is_error else None,
        "output": bytes(done.output),
        "gas": done.get_gas_remaining(),
        "refund": done.get_gas_meter().gas_refunded,
        "logs": done.get_raw_log_entries(),
        "stack": [to_int(value) for value in done._stack.values],
        "memory": bytes(done._memory._bytes),
        "storage": [done.state.get_storage(HERE, slot) for slot in range(4)],
    }


def push(value: int) -> bytes:
    data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes([op.PUSH1 + len(data) - 1]) + data


numbers = st.one_of(
    st.integers(0, 300),
    st.sampled_from([31, 32, 255, 256, 2**128, 2**255 - 1, 2**255, 2**256 - 1]),
    st.integers(0, 2**256 - 1),
)
simple = st.sampled_from(
    [value for value in range(0x20) if value != op.STOP]
    + [op.SHA3, op.ADDRESS, op.CALLER, op.CALLVALUE, op.CALLDATALOAD, op.CALLDATASIZE, op.CALLDATACOPY]
    + [op.RETURNDATASIZE, op.CODESIZE, op.CODECOPY, op.POP, op.MLOAD, op.MSTORE, op.MSTORE8, op.SLOAD]
    + [op.SSTORE, op.PC, op.MSIZE, op.GAS, op.JUMPDEST, op.PUSH0, op.LOG1, op.RETURN, op.REVERT, op.STOP]
    + [op.JUMP, op.JUMPI, op.STATICCALL, op.MCOPY, op.TLOAD, op.TSTORE, 0xFE, 0x0C]
    + list(range(op.DUP1, op.SWAP16 + 1))
)
pieces = st.one_of(numbers.map(push), simple.map(lambda value: bytes([value])))
programs = st.lists(pieces, min_size=1, max_size=60).map(b"".join)
full = b"".join(push(number) for number in range(20))


@settings(max_examples=400, deadline=None)
@given(programs, st.binary(max_size=80), st.sampled_from([GAS, 40, 700]), st.booleans())
@example(full * 60, b"", GAS, False)
@example(bytes([op.JUMPDEST]) + push(0) + bytes([op.JUMP]), b"", 5_000, False)
@example(push(4) + bytes([op.JUMP]) + push(op.JUMPDEST), b"", GAS, False)
@example(push(2**200) + bytes([op.MLOAD]), b"", GAS, False)
@example(bytes([op.PUSH32]) + b"\x01", b"", GAS, False)
def test_it_has_the_effects_of_the_interpreter(code: bytes, data: bytes, gas: int, stacked: bool) -> None:
    whole = full + code if stacked else code
    assert effects(run(AtOnce, whole, data, gas)) == effects(run(Interpreted, whole, data, gas))


def counting_down(start: int) -> bytes:
    loop = bytes([op.JUMPDEST]) + push(1) + bytes([op.SWAP1, op.SUB, op.DUP1]) + push(2) + bytes([op.JUMPI])
    return push(start) + loop + push(7) + push(0) + bytes([op.SSTORE])


def test_a_loop_is_compiled_when_it_was_met_often_enough() -> None:
    class Patient(CompilingComputation):
        opcodes = OWN_OPCODES
        cache = CodeCache(often=5)

    code = counting_down(200)
    known = Patient.cache.of(code)
    done = run(Patient, code, b"", GAS)
    assert effects(done) == effects(run(Interpreted, code, b"", GAS))
    assert [place for place, one in known.runs.items() if one is not None] == [2]
    assert known.met[2] == 5


@pytest.mark.parametrize("gas", range(3, 60))
def test_gas_runs_out_where_it_does_for_the_interpreter(gas: int) -> None:
    code = counting_down(2)
    assert effects(run(AtOnce, code, b"", gas)) == effects(run(Interpreted, code, b"", gas))


def test_every_compiled_opcode_costs_what_the_interpreters_does() -> None:
    assert {value: OWN_OPCODES[value].gas_cost for value in COSTS} == COSTS


def test_pushed_data_is_no_place_to_jump_to() -> None:
    code = push(op.JUMPDEST) + bytes([op.JUMPDEST, op.PUSH2, op.JUMPDEST, op.JUMPDEST, op.JUMPDEST])
    assert jump_destinations(code) == {2, 6}


def test_what_others_must_see_is_not_compiled() -> None:
    for value in (op.SLOAD, op.SSTORE, op.CALL, op.LOG0, op.GAS, op.STOP, op.RETURN, 0xFE):
        assert compile_run(bytes([value]), 0, frozenset()) is None


def test_too_many_codes_are_forgotten_together() -> None:
    cache = CodeCache(often=1)
    first = cache.of(b"\x5b")
    assert cache.meet(first, 0) is not None
    for number in range(300):
        cache.of(number.to_bytes(2, "big"))
    assert cache.of(b"\x5b") is not first
