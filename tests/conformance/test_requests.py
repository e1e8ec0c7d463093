"""JSON-RPC 2.0 itself: what is no request is refused alike, and batches and notifications work alike."""

import json
from typing import Any

import pytest

from tests.fakes.conformance import DEVIATIONS
from tests.fakes.two_nodes import Pair

CALL = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'


def error(code: int, key: object = None) -> dict[str, Any]:
    return {"id": key, "code": code}


def shown(answer: Any) -> Any:
    """Ids, results and error codes; wordings differ."""
    if isinstance(answer, list):
        return [shown(one) for one in answer]
    if isinstance(answer, dict) and "error" in answer:
        return error(answer["error"]["code"], answer["id"])
    return answer


def result(value: object, key: object = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": key, "result": value}


CHAIN_ID = result("0x1092")
ALIKE: dict[str, tuple[bytes, Any]] = {
    "an empty batch": (b"[]", error(-32600)),
    "a number": (b"7", error(-32600)),
    "an object without a method": (b"{}", error(-32600)),
    "a method that is no string": (b'{"jsonrpc":"2.0","id":1,"method":7}', error(-32600, 1)),
    "another version": (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', error(-32600, 1)),
    "no version": (b'{"id":1,"method":"eth_chainId"}', error(-32600, 1)),
    "an unknown method": (b'{"jsonrpc":"2.0","id":1,"method":"eth_nothing"}', error(-32601, 1)),
    "parameters by name": (
        b'{"jsonrpc":"2.0","id":1,"method":"eth_getCode","params":{}}',
        error(-32602, 1),
    ),
    "too many parameters": (
        b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[1]}',
        error(-32602, 1),
    ),
    "too few parameters": (
        b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":[]}',
        error(-32602, 1),
    ),
    "a subscription over HTTP": (
        b'{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}',
        error(-32601, 1),
    ),
    "a call": (CALL, CHAIN_ID),
    "empty parameters": (CALL[:-1] + b',"params":[]}', CHAIN_ID),
    "an id that is text": (CALL.replace(b"1,", b'"a",'), result("0x1092", "a")),
    "an id that is null": (CALL.replace(b"1,", b"null,"), result("0x1092", None)),
    "a notification": (b'{"jsonrpc":"2.0","method":"eth_chainId"}', None),
    "a batch of two and a notification": (
        b'[%s,{"jsonrpc":"2.0","method":"eth_chainId"},{"jsonrpc":"2.0","id":2,"method":"x"}]' % CALL,
        [CHAIN_ID, error(-32601, 2)],
    ),
    "a batch in order": (b"[%s]" % b",".join([CALL] * 3), [CHAIN_ID] * 3),
}

OTHERWISE: dict[str, tuple[bytes, Any]] = {
    "broken JSON": (b"{", error(-32700)),
    "a batch of no requests": (b"[1,2]", [error(-32600)] * 2),
}
"""by the row of `DEVIATIONS`"""


@pytest.mark.parametrize("name", ALIKE)
def test_both_answer_alike(pair: Pair, name: str) -> None:
    body, expected = ALIKE[name]
    assert [shown(node.post(body)) for node in pair] == [expected, expected]


@pytest.mark.parametrize("name", OTHERWISE)
def test_the_specification_is_followed_where_anvil_does_not(pair: Pair, name: str) -> None:
    body, expected = OTHERWISE[name]
    ours, theirs = (node.post(body) for node in pair)
    assert shown(ours) == expected
    DEVIATIONS[name].instead.assert_met(theirs, "anvil")


def test_nothing_at_all_is_no_json(pair: Pair) -> None:
    ours, theirs = (node.post(b"") for node in pair)
    assert shown(ours) == error(-32700)
    DEVIATIONS["broken JSON"].instead.assert_met(theirs, "anvil")


def test_a_batch_beyond_the_limit_is_refused(pair: Pair) -> None:
    ours, _ = pair  # anvil has no limit
    body = json.dumps([json.loads(CALL)] * 1_001).encode()
    assert shown(ours.post(body)) == error(-32600)
