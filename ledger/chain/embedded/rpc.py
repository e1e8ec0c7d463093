"""One dispatcher from JSON-RPC requests to the chain, shared by every way in.

Covers what web3.py, wallets and explorers ask of a node without keys. Requests are JSON-RPC 2.0,
single or in batches; failures are error objects, expected ones with go-ethereum's wording.
"""

import json
import logging
from collections.abc import Callable
from typing import Any

from ledger.chain.embedded.eth_methods import EthMethods
from ledger.chain.embedded.grid_methods import GridMethods
from ledger.chain.embedded.rpc_error import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    SERVER_ERROR,
    RpcError,
)
from ledger.market.errors import MarketError

Json = dict[str, Any]
MAX_BATCH = 1_000
_log = logging.getLogger(__name__)


class Dispatcher:
    """Answers requests; safe to use from several threads."""

    def __init__(self, eth: EthMethods, grid: GridMethods) -> None:
        self._methods: dict[str, Callable[..., object]] = {**eth.table(), **grid.table()}

    def respond(self, body: bytes) -> bytes | None:
        """The response to an HTTP body; None when it held notifications only."""
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return _encoded(_error(None, RpcError(PARSE_ERROR, "parse error")))
        if not isinstance(request, list):
            answer = self._answer(request)
            return None if answer is None else _encoded(answer)
        if not request or len(request) > MAX_BATCH:
            return _encoded(_error(None, RpcError(INVALID_REQUEST, f"batch must hold 1 to {MAX_BATCH}")))
        answers = [answer for one in request if (answer := self._answer(one)) is not None]
        return _encoded(answers) if answers else None

    def call(self, method: str, params: list[Any] | None = None) -> object:
        """The result of one method. `RpcError` when it fails."""
        function = self._methods.get(method)
        if function is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist/is not available")
        try:
            return function(*(params or []))
        except MarketError as exc:
            raise RpcError(SERVER_ERROR, exc.cause.rstrip(".")) from exc
        except TypeError as exc:
            if exc.__traceback__ is not None and exc.__traceback__.tb_next is None:
                raise RpcError(INVALID_PARAMS, f"wrong number of parameters for {method}") from exc
            raise

    def _answer(self, request: object) -> Json | None:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(None, RpcError(INVALID_REQUEST, "invalid request"))
        key = request.get("id")
        params = request.get("params")
        if not (params is None or isinstance(params, list)):
            return _error(key, RpcError(INVALID_PARAMS, "params must be an array"))
        try:
            answer: Json = {"jsonrpc": "2.0", "id": key, "result": self.call(request["method"], params)}
        except RpcError as exc:
            answer = _error(key, exc)
        except Exception:
            _log.exception("method %s failed", request["method"])
            answer = _error(key, RpcError(INTERNAL_ERROR, "internal error"))
        return answer if "id" in request else None


def _error(key: object, error: RpcError) -> Json:
    return {"jsonrpc": "2.0", "id": key, "error": error.as_object()}


def _encoded(answer: object) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()
