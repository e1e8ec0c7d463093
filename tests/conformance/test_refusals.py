"""Transactions that are refused before they are pooled, each for a reason of its own."""

from typing import Any

import pytest

from tests.fakes.conformance import Case, Refused, assert_same
from tests.fakes.two_nodes import FIRST_FREE_NONCE, NOBODY, POOR, Pair, signed

NEXT = FIRST_FREE_NONCE
TRANSFER: dict[str, Any] = {"to": NOBODY, "value": 5, "gas": 21_000}


def ours(**fields: Any) -> str:
    return signed(NEXT, **{**TRANSFER, **fields})


def refused(name: str, raw: str, says: str, deviates: str | None = None, code: int = -32000) -> Case:
    return Case(
        name=name,
        method="eth_sendRawTransaction",
        params=(raw,),
        expect=Refused(code=code, says=says),
        deviates=deviates,
    )


REFUSALS = [
    refused("nonce too low", signed(0, **TRANSFER), "nonce too low", "rejected: nonce too low"),
    refused(
        "nothing to pay with",
        signed(0, POOR, **TRANSFER),
        "insufficient funds for gas",
        "rejected: insufficient funds",
    ),
    refused(
        "more than there is", ours(value=10**28), "insufficient funds for gas", "rejected: insufficient funds"
    ),
    refused("too little gas", ours(gas=20_999), "intrinsic gas too low"),
    refused("more gas than a block", ours(gas=60_000_001), "exceeds block gas limit", "block gas limit"),
    refused(
        "fee below the base fee",
        ours(maxFeePerGas=10, maxPriorityFeePerGas=1),
        "max fee per gas less than block base fee",
        "rejected: fee below base fee",
    ),
    refused(
        "tip above the fee",
        ours(maxPriorityFeePerGas=5 * 10**9),
        "max priority fee per gas higher than max fee",
        "rejected: tip above fee",
    ),
    refused("another chain", ours(chainId=1), "invalid chain id", "rejected: chain id"),
    refused(
        "too long a creation",
        signed(NEXT, to=b"", data="0x" + "00" * 50_000, gas=10_000_000),
        "max initcode size exceeded",
        "rejected: initcode",
    ),
    refused("empty", "0x", "", "undecodable"),
    refused("rubbish", "0xf8", "rlp", "undecodable"),
    refused("cut off", ours()[:-2], "rlp", "undecodable"),
    refused("no hex", "zz", "hex", code=-32602),
]

TAKEN_BY_ANVIL = [
    refused(
        "too little gas for its data",
        signed(NEXT + 1, **{**TRANSFER, "gas": 21_500}, data="0x" + "00" * 100),
        "insufficient gas for floor data gas cost",
        "floor gas",
    ),
    refused(
        "more gas than one transaction may have",
        signed(NEXT + 2, **{**TRANSFER, "gas": 2**24 + 1}),
        "transaction gas limit too high",
        "gas cap",
    ),
]


@pytest.mark.parametrize("case", [*REFUSALS, *TAKEN_BY_ANVIL], ids=lambda case: f"{case.method}: {case.name}")
def test_both_refuse_for_the_same_reason(pair: Pair, case: Case) -> None:
    assert_same(pair, case)
