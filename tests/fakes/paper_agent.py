"""A provider's agent that runs nothing: it lends on paper, is heard, reports at once, and is paid for it.

It speaks to any of several processes of one node and repeats what got no answer, as the real one does, so
that a test may take processes away under it.
"""

import asyncio
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ledger.chain.client import MarketClient
from ledger.chain.documents import document_hash
from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import keccak, offer_id
from ledger.chain.wallet import Patience, send_and_wait
from ledger.market.errors import LostRace, Unavailable
from ledger.market.identity import Address, LeaseId, OfferId, from_text, text
from ledger.market.instructions import RegisterOffer
from ledger.market.offer_document import OfferDocument
from ledger.market.resource import Quantities
from ledger.market.usage_tree import UsageLine, UsageTree
from provider_agent.connections.node_client import Identity, JobReport, NodeClient
from tests.factories import HOUR, an_offer
from tests.fakes.chain_grid import putting_in

MONEY = 50_000_000
PAID_MS = 400
PLACES = 512
"""jobs of one core that it takes at once"""
Urls = Callable[[], Sequence[str]]
"""where the node's processes are at the moment"""
PATIENCE = Patience(clock=time.monotonic, sleep=time.sleep)


def fund(client: MarketClient, key: LocalKey, *, staked: int = 0) -> None:
    """Coin and token from the faucet, a balance of `MONEY`, of which `staked` becomes stake."""
    client.faucet(key.address)
    while client.token_balance(key.address) < MONEY:
        time.sleep(0.05)
    for call in putting_in(client, MONEY, staked):
        send_and_wait(client, key, call, PATIENCE)


class PaperAgent:
    """Runs in a thread of its own from `start` to `stop`; `served` are the leases that it reported ended."""

    def __init__(self, client: MarketClient, key: LocalKey, urls: Urls) -> None:
        self._key = key
        self._urls = urls
        self._identity = Identity(domain=client.domain(), key=key)
        self._turn = itertools.count()
        self._under_way: set[LeaseId] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.served: set[LeaseId] = set()
        self.failures: list[BaseException] = []
        self._lend(client)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(20)

    def _lend(self, client: MarketClient) -> None:
        self._document = OfferDocument(name="paper", domain="paper/berlin", region="eu-west").to_plain()
        offer = an_offer(
            provider=self._key.address,
            capacity=Quantities(cpu=1_000 * PLACES, memory=1_024 * PLACES, disk=1_024 * PLACES),
            valid_until=int(time.time()) + 24 * HOUR,
            document=document_hash(self._document),
        )
        wish = RegisterOffer(offer=offer)
        send_and_wait(client, self._key, client.call_of(wish), PATIENCE)
        self._offer: OfferId = offer_id(client.domain(), offer)

    def _any(self) -> str:
        urls = self._urls()
        return urls[next(self._turn) % len(urls)]

    async def _run(self) -> None:
        await self._persist(lambda node: node.put_document(self._document))
        await asyncio.gather(self._be_heard(), self._serve())

    async def _persist(self, call: Callable[[NodeClient], Coroutine[Any, Any, Any]]) -> Any:
        """Repeat a call, at another process each time, until it is answered."""
        while not self._stopped.is_set():
            async with NodeClient(self._any(), self._identity, time.time, secrets.randbits) as node:
                try:
                    return await call(node)
                except Unavailable:
                    await asyncio.sleep(0.1)
        return None

    async def _be_heard(self) -> None:
        beat = json.dumps({"kind": "heartbeat", "offers": [text(self._offer)]})
        while not self._stopped.is_set():
            async with NodeClient(self._any(), self._identity, time.time, secrets.randbits) as node:
                try:
                    async with connect(node.socket_url(), open_timeout=5, proxy=None) as socket:
                        while not self._stopped.is_set():
                            await socket.send(beat)
                            await asyncio.sleep(0.3)
                except (OSError, WebSocketException):
                    await asyncio.sleep(0.1)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            while not self._stopped.is_set():
                for lease, signer in await self._open_leases():
                    if lease not in self._under_way:
                        self._under_way.add(lease)
                        group.create_task(self._work(lease, signer))
                await asyncio.sleep(0.1)

    async def _open_leases(self) -> list[tuple[LeaseId, Address]]:
        query = {"provider": text(self._key.address), "open": "true"}
        try:
            async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
                shown = (await http.get(f"{self._any()}/v1/leases", params=query)).raise_for_status().json()
        except httpx.HTTPError:
            return []
        return [
            (LeaseId(from_text(one["lease"], 32)), Address(from_text(one["terms"]["signer"], 20)))
            for one in shown["leases"]
            if one["state"] == "active"
        ]

    async def _work(self, lease: LeaseId, signer: Address) -> None:
        try:
            await self._report(lease, "running", None)
            await asyncio.sleep(1.5)
            tree = UsageTree()
            for sequence, milliseconds in enumerate((0, PAID_MS)):
                line = UsageLine(
                    lease=lease,
                    sequence=sequence,
                    milliseconds=milliseconds,
                    cpu_ns=0,
                    peak_bytes=0,
                    last=milliseconds == PAID_MS,
                )
                tree = tree.followed_by(line, keccak)
                await self._use(line, tree, signer)
            await self._report(lease, "succeeded", 0)
            self.served.add(lease)
        except LostRace:
            self._under_way.discard(lease)  # a reorganised or ended lease: look again
        except Exception as error:
            self.failures.append(error)

    async def _use(self, line: UsageLine, tree: UsageTree, signer: Address) -> None:
        await self._persist(lambda node: node.report_usage(line, tree.root(keccak), signer))

    async def _report(self, lease: LeaseId, phase: str, exit_code: int | None) -> None:
        report = JobReport(phase=phase, exit_code=exit_code, code="", cause="", outputs=())
        await self._persist(lambda node: node.report_job(lease, report))
