"""Filters and subscriptions: both nodes tell the same news, in the same order."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.fakes.conformance import DEVIATIONS, Case, Refused, Value, assert_same, cleaned
from tests.fakes.two_nodes import LOGS, NOBODY, RICH, UNKNOWN, Node, Pair, emit, hash_of, signed, word

TIMEOUT = 20.0
BODY_FIELDS = {"totalDifficulty", "uncles", "transactions", "withdrawals"}
"""which anvil adds to a new head; in go-ethereum a head is a header"""


def nonce(node: Node) -> int:
    return int(node.get("eth_getTransactionCount", RICH.address, "latest"), 16)


def emission(node: Node, value: int, topic: int, ahead: int = 0) -> str:
    return signed(nonce(node) + ahead, to=LOGS, data=emit(value, topic, 5))


def values(logs: list[dict[str, Any]]) -> list[int]:
    return [int(log["data"], 16) for log in logs]


REFUSALS = [
    Case(
        name="changes of no filter",
        method="eth_getFilterChanges",
        params=("0x1",),
        expect=Refused(code=-32000, says="filter not found"),
    ),
    Case(
        name="logs of no filter",
        method="eth_getFilterLogs",
        params=("0x1",),
        expect=Refused(code=-32000, says="filter not found"),
    ),
    Case(name="ending no filter", method="eth_uninstallFilter", params=("0x1",), expect=Value(is_=False)),
    Case(
        name="no filter object",
        method="eth_newFilter",
        params=(7,),
        expect=Refused(code=-32602, says="filter"),
    ),
    Case(
        name="no address",
        method="eth_newFilter",
        params=({"address": "0x1"},),
        expect=Refused(code=-32602, says=""),
    ),
    Case(
        name="a range backwards",
        method="eth_newFilter",
        params=({"fromBlock": "0x2", "toBlock": "0x1"},),
        expect=Refused(code=-32602, says="range"),
        deviates="filter of a past range",
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_both_refuse_alike(pair: Pair, case: Case) -> None:
    assert_same(pair, case)


def test_a_log_filter_tells_what_is_new_once(pair: Pair) -> None:
    told = []
    for node in pair:
        key = node.get("eth_newFilter", {"address": LOGS, "topics": [word(7)]})
        assert node.get("eth_getFilterChanges", key) == []
        node.mine(emission(node, 1, 7), emission(node, 2, 8, ahead=1), emission(node, 3, 7, ahead=2))
        news = node.get("eth_getFilterChanges", key)
        assert values(news) == [1, 3]
        assert node.get("eth_getFilterChanges", key) == []
        assert node.get("eth_uninstallFilter", key) is True
        assert node.ask("eth_getFilterChanges", key)["error"]["code"] == -32000
        told.append(cleaned(news, node))
    assert told[0] == told[1]


def test_a_log_filter_gives_all_logs_of_its_range_on_request(pair: Pair) -> None:
    told = []
    for node in pair:
        key = node.get("eth_newFilter", {"fromBlock": "0x0", "toBlock": "0x2", "topics": [word(70)]})
        told.append(cleaned(node.get("eth_getFilterLogs", key), node))
    assert values(told[0]) == [1, 2]
    assert told[0] == told[1]


def test_a_block_filter_tells_hashes(pair: Pair) -> None:
    for node in pair:
        key = node.get("eth_newBlockFilter")
        node.mine()
        node.mine()
        last = int(node.get("eth_blockNumber"), 16)
        assert node.get("eth_getFilterChanges", key) == [node.hash_of(last - 1), node.hash_of(last)]
        assert node.get("eth_getFilterChanges", key) == []
        assert node.ask("eth_getFilterLogs", key)["error"]["code"] in (-32000, -32602)


def test_a_filter_of_arrivals_tells_hashes(pair: Pair) -> None:
    for node in pair:
        key = node.get("eth_newPendingTransactionFilter")
        raw = signed(nonce(node), to=NOBODY, value=1, gas=21_000)
        node.get("eth_sendRawTransaction", raw)
        assert node.get("eth_getFilterChanges", key) == [hash_of(raw)]
        node.mine_waiting()
        assert node.get("eth_getFilterChanges", key) == []


class Socket:
    """A WebSocket client that keeps answers and notifications apart."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._news: list[dict[str, Any]] = []

    def ask(self, method: str, *params: object) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        self._connection.send(json.dumps(request))
        while "id" not in (message := self._read()):
            self._news.append(message)
        return message

    def get(self, method: str, *params: object) -> Any:
        return self.ask(method, *params)["result"]

    def news(self) -> Any:
        """The next notification's subscription and result."""
        message = self._news.pop(0) if self._news else self._read()
        assert message["method"] == "eth_subscription"
        return message["params"]["subscription"], message["params"]["result"]

    def _read(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._connection.recv(TIMEOUT))
        return answer


@contextmanager
def sockets(pair: Pair) -> Iterator[list[tuple[Node, Socket]]]:
    with ExitStack() as stack:
        opened = []
        for node in pair:
            connection = stack.enter_context(connect(node.url.replace("http", "ws")))
            opened.append((node, Socket(connection)))
        yield opened


def test_requests_and_batches_are_answered_over_websocket(pair: Pair) -> None:
    for node in pair:
        with connect(node.url.replace("http", "ws")) as connection:
            call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
            connection.send(json.dumps([call, {**call, "id": 2}]))
            answers = json.loads(connection.recv(TIMEOUT))
            assert [one["result"] for one in answers] == ["0x1092"] * 2


def test_new_heads_are_announced_as_they_are_read(pair: Pair) -> None:
    told: list[list[dict[str, Any]]] = []
    with sockets(pair) as opened:
        for node, socket in opened:
            key = socket.get("eth_subscribe", "newHeads")
            node.mine(emission(node, 4, 9))
            node.mine()
            heads = [socket.news(), socket.news()]
            assert [one for one, _ in heads] == [key, key]
            for _, head in heads:
                block = node.get("eth_getBlockByHash", head["hash"], False)
                assert {name: block[name] for name in head} == head
            told.append([cleaned(head, node) for _, head in heads])
    for ours, theirs in zip(*told, strict=True):
        assert theirs.keys() - ours.keys() == BODY_FIELDS
        assert {**theirs, **ours} == theirs


def test_logs_are_announced_if_they_match(pair: Pair) -> None:
    told = []
    with sockets(pair) as opened:
        for node, socket in opened:
            wanted = {"address": LOGS, "topics": [[word(21), word(22)]]}
            key = socket.get("eth_subscribe", "logs", wanted)
            node.mine(emission(node, 1, 20), emission(node, 2, 21, ahead=1), emission(node, 3, 22, ahead=2))
            news = [socket.news(), socket.news()]
            assert [one for one, _ in news] == [key, key]
            assert values([log for _, log in news]) == [2, 3]
            told.append([cleaned(log, node) for _, log in news])
    assert told[0] == told[1]


def test_arrivals_are_announced(pair: Pair) -> None:
    with sockets(pair) as opened:
        for node, socket in opened:
            key = socket.get("eth_subscribe", "newPendingTransactions")
            raw = signed(nonce(node), to=NOBODY, value=2, gas=21_000)
            node.get("eth_sendRawTransaction", raw)
            assert socket.news() == (key, hash_of(raw))
            node.mine_waiting()


def test_a_subscription_ends_once(pair: Pair) -> None:
    with sockets(pair) as opened:
        for node, socket in opened:
            first, second = (socket.get("eth_subscribe", "newHeads") for _ in range(2))
            assert socket.get("eth_unsubscribe", first) is True
            node.mine()
            assert socket.news()[0] == second


def test_ending_what_is_not_there_is_refused(pair: Pair) -> None:
    with sockets(pair) as ((_, ours), (_, theirs)):
        assert ours.ask("eth_unsubscribe", UNKNOWN)["error"]["code"] == -32000
        answer = theirs.ask("eth_unsubscribe", UNKNOWN)
        DEVIATIONS["unsubscribing what is not there"].instead.assert_met(answer, "anvil")


def test_an_unknown_subscription_is_refused(pair: Pair) -> None:
    with sockets(pair) as ((_, ours), (_, theirs)):
        assert ours.ask("eth_subscribe", "weather")["error"]["code"] == -32601
        answer = theirs.ask("eth_subscribe", "weather")
        DEVIATIONS["unknown subscription"].instead.assert_met(answer, "anvil")
