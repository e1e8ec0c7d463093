"""One dispatcher from JSON-RPC requests to the chain, shared by every way in.

Covers what web3.py, wallets and explorers ask of a node without keys. Requests are JSON-RPC 2.0,
single or in batches; failures are error objects, expected ones with go-ethereum's wording.
"""

import inspect
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from eth.vm.interrupt import EVMMissingData
from trie.exceptions import MissingTraversalNode, MissingTrieNode

from ledger.chain.embedded.rpc_error import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
    invalid,
    missing_state,
    refused,
)
from ledger.market.errors import MarketError

Json = dict[str, Any]
Method = Callable[..., object]
Methods = Mapping[str, Method]
MAX_BATCH = 1_000
_NONE: Methods = MappingProxyType({})
_SUBSCRIPTIONS = frozenset({"eth_subscribe", "eth_unsubscribe"})
_log = logging.getLogger(__name__)


class Dispatcher:
    """Answers requests by tables of methods; safe to use from several threads.

    A way in that has methods of its own (a WebSocket's subscriptions) gives them with each request.
    """

    def __init__(self, *tables: Methods) -> None:
        self._methods = {name: function for table in tables for name, function in table.items()}

    def respond(self, body: bytes | str, own: Methods = _NONE) -> bytes | None:
        """The response to a message; None when it held notifications only."""
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return _encoded(_error(None, RpcError(PARSE_ERROR, "parse error")))
        if not isinstance(request, list):
            answer = self._answer(request, own)
            return None if answer is None else _encoded(answer)
        if not request or len(request) > MAX_BATCH:
            message = "batch too large" if request else "empty batch"
            return _encoded(_error(None, RpcError(INVALID_REQUEST, f"{message}: 1 to {MAX_BATCH} requests")))
        answers = [answer for one in request if (answer := self._answer(one, own)) is not None]
        return _encoded(answers) if answers else None

    def call(self, method: str, params: Sequence[Any] = (), own: Methods = _NONE) -> object:
        """The result of one method. `RpcError` when it fails."""
        function = own.get(method) or self._methods.get(method)
        if function is None:
            raise RpcError(METHOD_NOT_FOUND, _absent(method))
        _check_count(function, len(params))
        try:
            return function(*params)
        except MarketError as exc:
            raise refused(exc) from exc
        except (EVMMissingData, MissingTrieNode, MissingTraversalNode) as exc:
            raise missing_state(exc) from exc

    def _answer(self, request: object, own: Methods) -> Json | None:
        if not isinstance(request, dict):
            return _error(None, RpcError(INVALID_REQUEST, "invalid request"))
        key, method, params = request.get("id"), request.get("method"), request.get("params")
        if request.get("jsonrpc") != "2.0" or not isinstance(method, str) or isinstance(key, dict | list):
            key = None if isinstance(key, dict | list) else key
            return _error(key, RpcError(INVALID_REQUEST, "invalid request"))
        answer = self._result(key, method, params, own)
        return answer if "id" in request else None

    def _result(self, key: object, method: str, params: object, own: Methods) -> Json:
        if not (params is None or isinstance(params, list)):
            return _error(key, invalid("non-array args"))
        try:
            return {"jsonrpc": "2.0", "id": key, "result": self.call(method, params or (), own)}
        except RpcError as exc:
            return _error(key, exc)
        except Exception:
            _log.exception("method %s failed", method)
            return _error(key, RpcError(INTERNAL_ERROR, "internal error"))


def _absent(method: str) -> str:
    if method in _SUBSCRIPTIONS:
        return "notifications not supported"
    return f"the method {method} does not exist/is not available"


def _check_count(function: Method, given: int) -> None:
    taken = inspect.signature(function).parameters.values()
    single = [one for one in taken if one.kind is not inspect.Parameter.VAR_POSITIONAL]
    needed = sum(one.default is inspect.Parameter.empty for one in single)
    if given < needed:
        raise invalid(f"missing value for required argument {given}")
    if given > len(single) == len(taken):
        raise invalid(f"too many arguments, want at most {len(single)}")


def _error(key: object, error: RpcError) -> Json:
    return {"jsonrpc": "2.0", "id": key, "error": error.as_object()}


def _encoded(answer: object) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()
