"""A revert speaks through its data."""

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.embedded.calls import revert_message

ERROR, PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ERROR + encode(["string"], ["no funds"]), "execution reverted: no funds"),
        (PANIC + encode(["uint256"], [0x11]), "execution reverted: arithmetic underflow or overflow"),
        (PANIC + encode(["uint256"], [0x99]), "execution reverted: unknown panic code: 0x99"),
        (b"", "execution reverted"),
        (ERROR + b"\xff" * 5, "execution reverted"),
        (b"\x01\x02\x03\x04", "execution reverted"),
    ],
)
def test_reasons_are_read_where_they_stand(data: bytes, message: str) -> None:
    assert revert_message(data) == message


@given(st.sampled_from([ERROR, PANIC, b""]), st.binary(max_size=200))
def test_any_revert_data_has_a_message(selector: bytes, data: bytes) -> None:
    assert revert_message(selector + data).startswith("execution reverted")
