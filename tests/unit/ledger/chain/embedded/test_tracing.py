"""A trace ends where its time or its length is spent, and names opcodes as go-ethereum does."""

from itertools import count

import pytest

from ledger.chain.embedded.rpc_error import LIMIT_EXCEEDED, SERVER_ERROR, RpcError
from ledger.chain.embedded.tracing import MAX_KEPT, Budget, as_int, opcode_name


def test_time_is_looked_at_every_thousand_steps() -> None:
    readings = count()
    budget = Budget(clock=lambda: next(readings), deadline=2.0)
    for _ in range(3 * 1_024):
        budget.step()
    assert next(readings) == 3
    with pytest.raises(RpcError, match="execution timeout") as refusal:
        budget.look()
    assert refusal.value.code == SERVER_ERROR


def test_an_answer_may_be_so_long_and_no_longer() -> None:
    budget = Budget(clock=lambda: 0.0, deadline=1.0)
    budget.keep(MAX_KEPT)
    with pytest.raises(RpcError, match="trace exceeds") as refusal:
        budget.keep(1)
    assert refusal.value.code == LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("opcode", "name"),
    [
        (0x00, "STOP"),
        (0x20, "KECCAK256"),
        (0x44, "PREVRANDAO"),
        (0x5F, "PUSH0"),
        (0x7F, "PUSH32"),
        (0xFE, "INVALID"),
        (0x0C, "opcode 0xc not defined"),
    ],
)
def test_opcodes_have_their_names(opcode: int, name: str) -> None:
    assert opcode_name(opcode) == name


def test_a_word_is_a_number_however_the_stack_keeps_it() -> None:
    assert (as_int(258), as_int(b"\x01\x02"), as_int(b"")) == (258, 258, 0)
