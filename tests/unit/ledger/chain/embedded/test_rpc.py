"""The dispatcher knows no chain: it counts parameters, words refusals and never lets a failure out raw."""

import json
import logging
from typing import Any

import pytest

from ledger.chain.embedded.rpc import MAX_BATCH, Dispatcher
from ledger.chain.embedded.rpc_error import RpcError
from ledger.market.errors import Rejected


def fail(failure: Exception) -> object:
    raise failure


DISPATCHER = Dispatcher(
    {
        "echo": lambda value, other="none": [value, other],
        "many": lambda *values: len(values),
        "refuse": lambda: fail(Rejected("no-room", "txpool is full.", "Send it again.")),
        "error": lambda: fail(RpcError(-32005, "too much", "0x01")),
        "break": lambda: fail(ZeroDivisionError()),
    },
    {"second": lambda: 2},
)


def ask(method: str, *params: object) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = json.loads(DISPATCHER.respond(json.dumps(request)) or b"")
    return answer.get("result", answer.get("error"))


def test_optional_parameters_may_be_left_out() -> None:
    assert ask("echo", 1) == [1, "none"]
    assert ask("echo", 1, 2) == [1, 2]
    assert ask("many") == 0
    assert ask("many", 1, 2, 3) == 3
    assert ask("second") == 2


@pytest.mark.parametrize(
    ("params", "message"),
    [((), "missing value for required argument 0"), ((1, 2, 3), "too many arguments, want at most 2")],
)
def test_too_few_and_too_many_parameters_are_told_apart(params: tuple[int, ...], message: str) -> None:
    assert ask("echo", *params) == {"code": -32602, "message": message}


def test_refusals_are_worded_and_errors_keep_their_data() -> None:
    assert ask("refuse") == {"code": -32000, "message": "txpool is full"}
    assert ask("error") == {"code": -32005, "message": "too much", "data": "0x01"}


def test_a_failure_nobody_expected_is_logged_and_says_no_more(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert ask("break") == {"code": -32603, "message": "internal error"}
    assert "method break failed" in caplog.text


def test_a_way_in_may_have_methods_of_its_own() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}'
    own = {"eth_subscribe": lambda kind: f"subscribed to {kind}"}
    assert json.loads(DISPATCHER.respond(body, own) or b"")["result"] == "subscribed to newHeads"
    assert json.loads(DISPATCHER.respond(body) or b"")["error"] == {
        "code": -32601,
        "message": "notifications not supported",
    }


@pytest.mark.parametrize(("size", "message"), [(0, "empty batch"), (MAX_BATCH + 1, "batch too large")])
def test_a_batch_has_at_least_one_request_and_not_too_many(size: int, message: str) -> None:
    one = {"jsonrpc": "2.0", "id": 1, "method": "second"}
    error = json.loads(DISPATCHER.respond(json.dumps([one] * size)) or b"")["error"]
    assert error["code"] == -32600
    assert error["message"].startswith(message)


def test_a_batch_of_notifications_gets_no_answer() -> None:
    assert DISPATCHER.respond(b'[{"jsonrpc":"2.0","method":"second"}]') is None


@pytest.mark.parametrize("key", [{}, []])
def test_an_id_that_is_no_value_is_no_request(key: object) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": key, "method": "second"})
    assert json.loads(DISPATCHER.respond(body) or b"") == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32600, "message": "invalid request"},
    }
