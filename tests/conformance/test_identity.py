"""Who the chain is, and what its fees are and were."""

from typing import Any

import pytest

from tests.fakes.conformance import Case, Refused, Value, assert_same
from tests.fakes.two_nodes import RICH, Pair

ME = RICH.address.lower()


def is_hex(value: object) -> bool:
    return isinstance(value, str) and value.startswith("0x")


def past_fees(history: dict[str, Any]) -> dict[str, Any]:
    """Without the last base fee: anvil always gives the pending block's, whatever the newest block is."""
    return {**history, "baseFeePerGas": history["baseFeePerGas"][:-1]}


IDENTITY = [
    Case(name="chain id", method="eth_chainId", expect=Value(is_="0x1092")),
    Case(name="network", method="net_version", expect=Value(is_="4242")),
    Case(name="listening", method="net_listening", expect=Value(is_=True)),
    Case(name="syncing", method="eth_syncing", expect=Value(is_=False)),
    Case(name="coinbase", method="eth_coinbase", expect=Value(is_=ME)),
    Case(name="hash rate", method="eth_hashrate", expect=Value(is_="0x0")),
    Case(name="head", method="eth_blockNumber", expect=Value(is_="0x4")),
    Case(
        name="client",
        method="web3_clientVersion",
        expect=Value(check=lambda name: "/" in name),
        clean=lambda name: name.partition("/")[1],
    ),
    Case(name="accounts", method="eth_accounts", expect=Value(is_=[]), deviates="accounts"),
    Case(
        name="keccak",
        method="web3_sha3",
        params=("0x68656c6c6f",),
        expect=Value(is_="0x1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8"),
    ),
    Case(
        name="keccak of no hex", method="web3_sha3", params=("zz",), expect=Refused(code=-32602, says="hex")
    ),
    Case(name="peers", method="net_peerCount", expect=Value(is_="0x0"), deviates="absent"),
    Case(name="mining", method="eth_mining", expect=Value(is_=False), deviates="absent"),
    Case(name="modules", method="rpc_modules", expect=Value(has={"eth": "1.0"}), deviates="absent"),
    Case(
        name="no such method",
        method="eth_nothing",
        expect=Refused(code=-32601, says="eth_nothing does not exist"),
        deviates="no method",
    ),
]


FEES = [
    Case(name="gas price", method="eth_gasPrice", expect=Value(check=is_hex), clean=lambda price: price[:2]),
    Case(
        name="tip",
        method="eth_maxPriorityFeePerGas",
        expect=Value(check=is_hex),
        clean=lambda price: price[:2],
    ),
    Case(name="blob base fee", method="eth_blobBaseFee", expect=Value(is_="0x1")),
    Case(
        name="history with rewards",
        method="eth_feeHistory",
        params=("0x4", "latest", [0, 50, 100]),
        expect=Value(has={"oldestBlock": "0x1", "blobGasUsedRatio": [0.0] * 4}),
    ),
    Case(
        name="history of a legacy price",
        method="eth_feeHistory",
        params=("0x1", "0x2", [1, 99]),
        expect=Value(check=lambda history: len(set(history["reward"][0])) == 2),
        clean=past_fees,
    ),
    Case(
        name="longer than the chain",
        method="eth_feeHistory",
        params=("0x400", "0x1", [50]),
        expect=Value(has={"oldestBlock": "0x0"}),
        clean=lambda history: past_fees({**history, "baseFeePerGas": history["baseFeePerGas"][1:]}),
    ),
    Case(
        name="without rewards",
        method="eth_feeHistory",
        params=("0x1", "latest"),
        expect=Value(check=lambda history: "reward" not in history),
        deviates="no rewards",
    ),
    Case(
        name="falling percentiles",
        method="eth_feeHistory",
        params=("0x1", "latest", [50, 10]),
        expect=Refused(code=-32602, says="percentile"),
        deviates="percentiles",
    ),
    Case(
        name="a percentile of 101",
        method="eth_feeHistory",
        params=("0x1", "latest", [101]),
        expect=Refused(code=-32602, says="percentile"),
        deviates="percentiles",
    ),
    Case(
        name="beyond the head",
        method="eth_feeHistory",
        params=("0x1", "0x99", []),
        expect=Refused(code=-32000, says="request beyond head block"),
        deviates="fee history beyond head",
    ),
]


@pytest.mark.parametrize("case", [*IDENTITY, *FEES], ids=lambda case: f"{case.method}: {case.name}")
def test_both_tell_the_same(pair: Pair, case: Case) -> None:
    assert_same(pair, case)
