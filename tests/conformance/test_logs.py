"""Logs, by range, block, address and topics."""

import pytest

from tests.fakes.conformance import Case, Refused, Value, assert_same
from tests.fakes.two_nodes import LOGGED, LOGS, NOBODY, UNKNOWN, Pair, hash_of, history, word

EMISSIONS = [hash_of(raw) for raw in history()[1][:3]]


def log(place: int) -> dict[str, object]:
    value, first, second = LOGGED[place]
    return {
        "address": LOGS.lower(),
        "topics": [word(first), word(second)],
        "data": word(value),
        "blockNumber": "0x2",
        "blockHash": "block 2",
        "transactionHash": EMISSIONS[place],
        "transactionIndex": hex(place),
        "logIndex": hex(place),
        "removed": False,
    }


def logs(*places: int) -> Value:
    return Value(is_=[log(place) for place in places])


def filtered(**wanted: object) -> tuple[object]:
    return ({"fromBlock": "0x0", "toBlock": "latest", **wanted},)


LOG_READS = [
    Case(name="all", method="eth_getLogs", params=filtered(), expect=logs(0, 1, 2)),
    Case(name="of an address", method="eth_getLogs", params=filtered(address=LOGS), expect=logs(0, 1, 2)),
    Case(
        name="of two addresses",
        method="eth_getLogs",
        params=filtered(address=[NOBODY, LOGS]),
        expect=logs(0, 1, 2),
    ),
    Case(name="of another address", method="eth_getLogs", params=filtered(address=NOBODY), expect=logs()),
    Case(name="by topic", method="eth_getLogs", params=filtered(topics=[word(70)]), expect=logs(0, 1)),
    Case(
        name="by the second topic",
        method="eth_getLogs",
        params=filtered(topics=[None, word(80)]),
        expect=logs(0, 2),
    ),
    Case(
        name="by both topics",
        method="eth_getLogs",
        params=filtered(topics=[word(70), [word(81), word(80)]]),
        expect=logs(0, 1),
    ),
    Case(
        name="by one of two topics",
        method="eth_getLogs",
        params=filtered(topics=[[word(71), word(99)]]),
        expect=logs(2),
    ),
    Case(
        name="by a third topic that none has",
        method="eth_getLogs",
        params=filtered(topics=[None, None, word(1)]),
        expect=logs(),
    ),
    Case(
        name="of a block's hash",
        method="eth_getLogs",
        params=lambda node: ({"blockHash": node.hash_of(2)},),
        expect=logs(0, 1, 2),
    ),
    Case(
        name="of an empty block",
        method="eth_getLogs",
        params=lambda node: ({"blockHash": node.hash_of(3)},),
        expect=logs(),
    ),
    Case(name="of a range", method="eth_getLogs", params=filtered(fromBlock="0x3"), expect=logs()),
    Case(
        name="to beyond the head", method="eth_getLogs", params=filtered(toBlock="0x99"), expect=logs(0, 1, 2)
    ),
    Case(
        name="of an unknown hash",
        method="eth_getLogs",
        params=({"blockHash": UNKNOWN},),
        expect=Refused(code=-32000, says="unknown block"),
    ),
    Case(
        name="of a hash and a range",
        method="eth_getLogs",
        params=({"blockHash": UNKNOWN, "fromBlock": "0x1"},),
        expect=Refused(code=-32602, says="cannot specify both"),
    ),
    Case(
        name="of a range backwards",
        method="eth_getLogs",
        params=({"fromBlock": "0x2", "toBlock": "0x1"},),
        expect=Refused(code=-32602, says="range"),
        deviates="logs backwards",
    ),
    Case(
        name="of five topics",
        method="eth_getLogs",
        params=filtered(topics=[None] * 5),
        expect=Refused(code=-32602, says="topics"),
    ),
    Case(
        name="of no topic",
        method="eth_getLogs",
        params=filtered(topics=["0x1"]),
        expect=Refused(code=-32602, says=""),
    ),
    Case(
        name="of no address",
        method="eth_getLogs",
        params=filtered(address="0x1"),
        expect=Refused(code=-32602, says=""),
    ),
]


@pytest.mark.parametrize("case", LOG_READS, ids=lambda case: f"{case.method}: {case.name}")
def test_both_tell_the_same(pair: Pair, case: Case) -> None:
    assert_same(pair, case)
