"""Calls, estimates and access lists: what they see, what they answer and why they fail."""

import pytest

from tests.fakes.conformance import Case, Refused, Value, assert_same, read, refused
from tests.fakes.two_nodes import (
    BREAKS,
    FORWARDS,
    LOGS,
    LOOKS,
    NOBODY,
    POOR,
    REVERTS,
    RICH,
    STORES,
    Pair,
    creation,
    emit,
    word,
)

ME = RICH.address
TEXT = "0x08c379a0" + word(32)[2:] + word(3)[2:] + b"abc".ljust(32, b"\0").hex()
PANIC = "0x4e487b71" + word(0x11)[2:]
CALL_GAS = hex(100_000)


def called(name: str, request: dict[str, object], *more: object, value: object) -> Case:
    return read(name, "eth_call", request, *(more or ("latest",)), value=value)


def looked(number: int, caller: str = "0x" + "00" * 20, price: int = 0) -> Value:
    """What LOOKS returns, its BLOCKHASH left out."""
    words = [word(number), word(price), word(4242), word(int(caller, 16))]
    return Value(
        is_="0x" + "".join(one[2:] for one in (*words, word(int(ME, 16)), word(60_000_000), word(0)))
    )


def without_hash(output: str) -> str:
    return output[: 2 + 4 * 64] + output[2 + 5 * 64 :]


def looking(name: str, expect: Value, *params: object) -> Case:
    return Case(name=name, method="eth_call", params=params, expect=expect, clean=without_hash)


CALLS = [
    called("reads storage", {"to": STORES}, value=word(6)),
    called("reads old storage", {"to": STORES}, "0x1", value=word(0)),
    called("writes and forgets", {"to": STORES, "data": word(9)}, value="0x"),
    called("a call within", {"to": FORWARDS, "input": word(9)}, value="0x"),
    called("a plain account", {"from": ME, "to": NOBODY, "value": "0x1"}, value="0x"),
    called("a creation", {"data": creation("fe")}, value="0xfe"),
    called("at a hash object", {"to": STORES}, {"blockNumber": "0x4"}, value=word(6)),
    looking("sees the head", looked(4), {"to": LOOKS}, "latest"),
    looking("sees an old block", looked(2), {"to": LOOKS}, "0x2"),
    looking("sees the pending block", looked(5), {"to": LOOKS}, "pending"),
    looking(
        "sees its caller and price",
        looked(4, ME, 5 * 10**9),
        {"from": ME, "to": LOOKS, "gasPrice": hex(5 * 10**9), "gas": CALL_GAS},
        "latest",
    ),
    called(
        "a slot overridden",
        {"to": STORES},
        "latest",
        {STORES: {"stateDiff": {word(0): word(77)}}},
        value=word(77),
    ),
    called(
        "storage replaced", {"to": STORES}, "latest", {STORES: {"state": {word(1): word(77)}}}, value=word(0)
    ),
    called(
        "code overridden", {"to": NOBODY}, "latest", {NOBODY: {"code": "0x60015f5260205ff3"}}, value=word(1)
    ),
    called(
        "a balance overridden",
        {"from": POOR.address, "to": NOBODY, "value": "0x1"},
        "latest",
        {POOR.address: {"balance": "0x5"}},
        value="0x",
    ),
    looking("a block overridden", looked(0x1234), {"to": LOOKS}, "latest", {}, {"number": "0x1234"}),
    refused(
        "state and difference",
        "eth_call",
        {"to": STORES},
        "latest",
        {STORES: {"state": {}, "stateDiff": {}}},
        code=-32602,
        says="state",
    ),
    refused("no call", "eth_call", "x", "latest", code=-32602, says=""),
    refused("to nowhere", "eth_call", {"to": "0x1"}, "latest", code=-32602, says=""),
    refused(
        "at an unknown block",
        "eth_call",
        {"to": STORES},
        "0x99",
        code=-32000,
        says="header not found",
        deviates="block beyond head",
    ),
    refused(
        "value that is not there",
        "eth_call",
        {"from": POOR.address, "to": NOBODY, "value": "0x1"},
        "latest",
        code=-32000,
        says="insufficient funds",
        deviates="rejected: insufficient funds",
    ),
    refused(
        "gas that is not paid for",
        "eth_call",
        {"from": POOR.address, "to": NOBODY, "gasPrice": hex(10**10)},
        "latest",
        code=-32000,
        says="insufficient funds",
        deviates="rejected: insufficient funds",
    ),
    refused(
        "too cheap",
        "eth_call",
        {"from": ME, "to": LOOKS, "gasPrice": "0x1", "gas": CALL_GAS},
        "latest",
        code=-32000,
        says="max fee per gas less than block base fee",
        deviates="price below base fee",
    ),
    refused(
        "a tip above the fee",
        "eth_call",
        {"to": LOOKS, "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"},
        "latest",
        code=-32602,
        says="max_?priority_?fee_?per_?gas",
    ),
    refused(
        "two inputs",
        "eth_call",
        {"to": BREAKS, "data": "0x01", "input": "0x02"},
        "latest",
        code=-32602,
        says="data.*input",
        deviates="data and input",
    ),
    refused(
        "too little gas",
        "eth_call",
        {"to": NOBODY, "gas": hex(20_000)},
        "latest",
        code=-32000,
        says="intrinsic gas too low",
        deviates="call gas below intrinsic",
    ),
    refused(
        "an invalid opcode",
        "eth_call",
        {"to": BREAKS},
        "latest",
        code=-32000,
        says="invalid opcode",
        deviates="invalid opcode",
    ),
    refused(
        "out of gas",
        "eth_call",
        {"to": LOGS, "data": emit(1, 2, 3), "gas": hex(22_100)},
        "latest",
        code=-32000,
        says="out of gas",
        deviates="out of gas",
    ),
]

REVERTING = [
    Case(
        name=f"{name} ({method})",
        method=method,
        params=({"to": REVERTS, "data": data}, "latest"),
        expect=Refused(code=3, says=says, data=data),
    )
    for method in ("eth_call", "eth_estimateGas")
    for name, data, says in (
        ("a bare revert", "0x", "^execution reverted$"),
        ("a reason", TEXT, "^execution reverted: abc$"),
        ("a panic", PANIC, "arithmetic underflow or overflow"),
        ("a custom error", "0xdeadbeef", "^execution reverted"),
    )
]


def nearly(gas: str) -> int:
    """In thousands: both estimate by bisection and stop at their own tolerance."""
    return round(int(gas, 16) / 1_000)


def estimated(name: str, request: dict[str, object], *more: object, gas: int) -> Case:
    return Case(
        name=name,
        method="eth_estimateGas",
        params=(request, *(more or ("latest",))),
        expect=Value(is_=gas),
        clean=nearly,
    )


ESTIMATES = [
    read("a transfer", "eth_estimateGas", {"from": ME, "to": NOBODY, "value": "0x1"}, value="0x5208"),
    estimated("a write", {"to": STORES, "data": word(9)}, gas=26),
    estimated("a refund", {"to": STORES, "data": word(0)}, gas=26),
    estimated("a call within", {"to": FORWARDS, "data": word(9)}, gas=29),
    estimated("a refund within", {"to": FORWARDS, "data": word(0)}, gas=29),
    estimated("a creation", {"data": creation("fe")}, gas=53),
    estimated("at an old block", {"to": STORES, "data": word(9)}, "0x1", gas=43),
    refused(
        "beyond its gas",
        "eth_estimateGas",
        {"to": NOBODY, "gas": hex(20_000)},
        "latest",
        code=-32000,
        says="gas required exceeds allowance",
        deviates="estimate beyond the limit",
    ),
    refused(
        "without funds",
        "eth_estimateGas",
        {"from": POOR.address, "to": NOBODY, "value": "0x1"},
        "latest",
        code=-32000,
        says="insufficient funds",
        deviates="estimate without funds",
    ),
    refused(
        "an invalid opcode",
        "eth_estimateGas",
        {"to": BREAKS},
        "latest",
        code=-32000,
        says="invalid opcode",
        deviates="invalid opcode",
    ),
]

TOUCHED = [{"address": STORES.lower(), "storageKeys": [word(0)]}]
LISTS = [
    Case(
        name="a write",
        method="eth_createAccessList",
        params=({"to": STORES, "data": word(9)}, "latest"),
        expect=Value(has={"accessList": TOUCHED}),
    ),
    Case(
        name="a call within",
        method="eth_createAccessList",
        params=({"to": FORWARDS, "data": word(9)}, "latest"),
        expect=Value(has={"accessList": TOUCHED}),
    ),
    Case(
        name="a transfer",
        method="eth_createAccessList",
        params=({"to": NOBODY}, "latest"),
        expect=Value(is_={"accessList": [], "gasUsed": "0x5208"}),
    ),
    Case(
        name="a revert",
        method="eth_createAccessList",
        params=({"to": REVERTS}, "latest"),
        expect=Value(has={"accessList": [], "error": "execution reverted"}),
        deviates="access list of a revert",
    ),
]


@pytest.mark.parametrize(
    "case", [*CALLS, *REVERTING, *ESTIMATES, *LISTS], ids=lambda case: f"{case.method}: {case.name}"
)
def test_both_tell_the_same(pair: Pair, case: Case) -> None:
    assert_same(pair, case)


NESTS = "5f3580600c57435f55000000" + "5b600190035f525f5f60205f5f305af16022575f5ffd5b00"
"""calls itself as deep as its input says, then writes; fails where a call within fails"""


@pytest.mark.parametrize("depth", [0, 1, 12, 40])
def test_what_is_estimated_for_nested_calls_suffices_and_a_little_less_does_not(
    pair: Pair, depth: int
) -> None:
    request = {"from": ME, "to": NOBODY, "data": word(depth)}
    code = {NOBODY: {"code": "0x" + NESTS}}
    estimates = []
    for node in pair:
        gas = int(node.get("eth_estimateGas", request, "latest", code), 16)
        assert "result" in node.ask("eth_call", {**request, "gas": hex(gas)}, "latest", code)
        assert "error" in node.ask("eth_call", {**request, "gas": hex(gas * 98 // 100)}, "latest", code)
        estimates.append(gas)
    assert max(estimates) <= min(estimates) * 102 // 100
