"""The node's HTTP application over a `NodeTwin`, on a real socket; callers sign as the protocol says."""

import json
import threading
import time
from typing import Any

import httpx
import uvicorn

from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import keccak, request_digest
from ledger.market.bid import SignedBid
from ledger.market.identity import text
from ledger.market.wire import signed_bid_to_plain
from node.api.application import application
from node.api.authentication import Authentication
from node.api.services import Services
from node.relay.blobs import BlobStore
from node.relay.job_logs import JobLogs
from node.relay.nudges import Nudges
from node.settings import NodeSettings
from node.trading.delegates import Delegates
from node.trading.relaying import Relaying
from tests.fakes.node_twin import DOMAIN, NODE, NodeTwin

CHUNK_LIMIT = 1 << 16
BLOB_LIMIT = 1 << 20


class NodeServer:
    """Serves `twin` until `close`; `call` signs where a key is given."""

    def __init__(self, twin: NodeTwin) -> None:
        self.twin = twin
        self.nudges = Nudges()
        self.blobs = BlobStore(twin.path, BLOB_LIMIT, 1 << 22)
        self._nonce = 0
        services = Services(
            settings=NodeSettings(directory=twin.path, chunk_limit=CHUNK_LIMIT),
            books=twin.books,
            exchange=twin.exchange,
            settlement=twin.settlement,
            track_records=twin.track_records,
            delegates=Delegates(twin),
            relaying=Relaying(twin.books, twin, DOMAIN, NODE.address),
            chain=twin,
            blobs=self.blobs,
            logs=JobLogs(twin.path / "logs", 1 << 16),
            authentication=Authentication(DOMAIN),
            nudges=self.nudges,
            market={
                "node": text(NODE.address),
                "chain_id": DOMAIN.chain_id,
                "market": text(DOMAIN.market),
                "decimals": 6,
            },
            health=lambda: {"status": "ok"},
            clock=lambda: twin.now,
        )
        config = uvicorn.Config(
            application(services), port=0, log_level="critical", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.http = httpx.Client(base_url=f"http://{self.address}", timeout=10, trust_env=False)

    def close(self) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(10)

    def credentials(
        self,
        key: LocalKey,
        method: str,
        target: str,
        body: bytes = b"",
        **changed: int,
    ) -> dict[str, str]:
        """The four values of a signed request; `nonce` and `deadline` may be chosen."""
        self._nonce += 1
        nonce = changed.get("nonce", self._nonce)
        deadline = changed.get("deadline", self.twin.now + 60)
        digest = request_digest(DOMAIN, method, target, keccak(body), nonce, deadline)
        return {
            "address": text(key.address),
            "nonce": str(nonce),
            "deadline": str(deadline),
            "signature": text(key.sign(digest)),
        }

    def call(
        self,
        method: str,
        target: str,
        body: object = b"",
        *,
        key: LocalKey | None = None,
        headers: dict[str, str] | None = None,
        **changed: int,
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = dict(headers or {})
        if key is not None:
            values = self.credentials(key, method, target, content, **changed)
            given |= {f"Bingwang-{name.title()}": value for name, value in values.items()}
        return self.http.request(method, target, content=content, headers=given)


def order_plain(document: dict[str, object], attempts: list[SignedBid], wait: int = 0) -> dict[str, Any]:
    """The body of `POST /v1/bids`."""
    return {"document": document, "attempts": [signed_bid_to_plain(one) for one in attempts], "wait": wait}
