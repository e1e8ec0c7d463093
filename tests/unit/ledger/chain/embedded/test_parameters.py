"""JSON from anybody becomes values or error -32602."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.embedded import parameters
from ledger.chain.embedded.rpc_error import INVALID_PARAMS, RpcError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["0x", "0x1", "0xzz"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_quantities_are_read() -> None:
    assert parameters.quantity("0x10", "n") == 16
    assert parameters.quantity(16, "n") == 16


@pytest.mark.parametrize("value", ["16", "0x", "0xg", -1, True, None, 1.5, hex(2**256), [], {}])
def test_what_is_no_quantity_is_refused(value: object) -> None:
    with pytest.raises(RpcError) as refusal:
        parameters.quantity(value, "n")
    assert refusal.value.code == INVALID_PARAMS


def test_an_address_has_twenty_bytes() -> None:
    assert parameters.address("0x" + "Ab" * 20) == b"\xab" * 20
    with pytest.raises(RpcError, match="must be 20 bytes, not 19"):
        parameters.address("0x" + "ab" * 19)


def test_topics_take_a_value_a_choice_or_anything() -> None:
    one, two = "0x" + "01" * 32, "0x" + "02" * 32
    wanted = parameters.log_filter({"topics": [one, None, [one, two]], "address": "0x" + "03" * 20}, 1, 2)
    assert wanted.topics == [[b"\1" * 32], [], [b"\1" * 32, b"\2" * 32]]
    assert wanted.addresses == [b"\3" * 20]


@given(JSON)
def test_any_json_as_a_call_or_filter_raises_no_other_error(value: object) -> None:
    for attempt in (
        lambda: parameters.call(value),
        lambda: parameters.call({"from": value, "to": value, "gas": value, "accessList": value}),
        lambda: parameters.log_filter({"address": value, "topics": value, "blockHash": value}, 0, 0),
    ):
        try:
            attempt()
        except RpcError:
            continue
