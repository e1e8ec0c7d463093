"""A signer as its documentation describes it, for contract tests: Consensys Web3Signer's eth1 JSON-RPC.

It takes typed data as one JSON text and knows no `_v4`; its digests and transactions are eth-account's, not
ours. `answer` lets a test spoil what it says.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

Answer = Callable[[str, Any], Any]
INVALID_PARAMS = {"code": -32602, "message": "Invalid params"}
LOCKED = {"code": -32000, "message": "From address does not match any available account"}
UNKNOWN = {"code": -32601, "message": "Method not found"}


class Web3Signer:
    """Holds one key; `asked` is what was asked of it, `url` where it listens."""

    def __init__(self, secret: bytes, url: str) -> None:
        self._account = Account.from_key(secret)
        self.url = url
        self.asked: list[tuple[str, list[Any]]] = []
        self.answer: Answer = lambda method, result: result
        self.status = 200
        self.typed_method = "eth_signTypedData"

    def respond(self, question: dict[str, Any]) -> dict[str, Any]:
        method, params = question["method"], question["params"]
        self.asked.append((method, params))
        envelope = {"jsonrpc": "2.0", "id": question["id"]}
        if method == "eth_accounts":
            return envelope | {"result": self.answer(method, [self._account.address.lower()])}
        if method == "eth_signTransaction":
            return envelope | self._transaction(params)
        if method == self.typed_method:
            return envelope | self._typed(method, params)
        return envelope | {"error": UNKNOWN}

    def _transaction(self, params: list[Any]) -> dict[str, Any]:
        fields = dict(params[0])
        if fields.pop("from") != self._account.address.lower():
            return {"error": LOCKED}
        if "to" in fields:
            fields["to"] = bytes.fromhex(fields["to"][2:])
        signed = self._account.sign_transaction(fields)
        return {"result": self.answer("eth_signTransaction", "0x" + signed.raw_transaction.hex())}

    def _typed(self, method: str, params: list[Any]) -> dict[str, Any]:
        if len(params) != 2 or isinstance(params[1], str) != (method == "eth_signTypedData"):
            return {"error": INVALID_PARAMS}
        if params[0] != self._account.address.lower():
            return {"error": LOCKED}
        full = json.loads(params[1]) if isinstance(params[1], str) else params[1]
        signed = self._account.sign_message(encode_typed_data(full_message=_numbers(full)))
        return {"result": self.answer(method, "0x" + signed.signature.hex())}


@contextmanager
def web3signer(secret: bytes) -> Iterator[Web3Signer]:
    """One that listens on a free port until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    host, port = server.server_address[:2]
    signer = Web3Signer(secret, f"http://{host!s}:{port}")
    server.signer = signer  # type: ignore[attr-defined]
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield signer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        signer: Web3Signer = self.server.signer  # type: ignore[attr-defined]
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(signer.respond(asked)).encode()
        self.send_response(signer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """A test reads `asked` instead."""


def _numbers(full: dict[str, Any]) -> dict[str, Any]:
    """eth-account wants integers where the JSON has decimal texts."""
    kinds = {member["name"]: member["type"] for member in full["types"][full["primaryType"]]}
    message = {
        name: int(value) if kinds[name].startswith("uint") else value
        for name, value in full["message"].items()
    }
    return full | {"message": message}
