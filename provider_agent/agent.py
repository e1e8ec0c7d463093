"""The provider's daemon: looks at engine, chain, node and clock, and feeds the machine what it sees.

Each part may be away: that is a state, shown in the status file and tried again. All decisions about a
lease are the machine's, all about an offer `offering`'s; the loops here only connect them to the world.
"""

import asyncio
import fcntl
import json
import logging
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from ledger.books.books import open_books
from ledger.chain.client import MarketClient
from ledger.chain.follower import Follower
from ledger.chain.keys import Signer
from ledger.chain.outbox import Outbox, OutboxPolicy
from ledger.chain.typed_data import Domain, offer_id
from ledger.market.errors import Broken, MarketError, Rejected, Unavailable
from ledger.market.facts import ChainObserved, ChainRewound
from ledger.market.identity import LeaseId, OfferId, text
from ledger.market.instructions import CancelOffer, RegisterOffer
from ledger.market.offer import Offer
from ledger.market.policy import Policy
from ledger.market.resource import Quantities
from provider_agent.chain_watch import LeaseNews, OfferNews, news_of
from provider_agent.devices.inventory import take_inventory
from provider_agent.directory import Paths, open_key, replace_file, request_drain
from provider_agent.effects import Answers, Effects, Surroundings
from provider_agent.heartbeat import Heartbeat
from provider_agent.images import ImageCache
from provider_agent.job_files import JobFiles
from provider_agent.lanes import Lanes
from provider_agent.lease_state import MS, LeaseState, Pace, Stage
from provider_agent.leases import Leases
from provider_agent.lending import Loan, free_of
from provider_agent.log_shipping import LogShipping
from provider_agent.node_client import Identity, NodeClient
from provider_agent.offering import RUNTIMES, Host, Stamp, document_of, loan_of, offer_of, still_true
from provider_agent.reconciliation import Reconciliation
from provider_agent.rules import House
from provider_agent.runtimes.base import EngineInfo
from provider_agent.runtimes.docker import DockerRuntime
from provider_agent.runtimes.engine import Engine
from provider_agent.settings import ProviderSettings, read_settings
from provider_agent.state_store import StateStore
from provider_agent.stimuli import LeaseUnmined, Stimulus
from provider_agent.storage.base import VolumeKind
from provider_agent.storage.volumes import choose_volumes

_log = logging.getLogger(__name__)
_POLL_S: Final = 0.2
_TICK_S: Final = 0.2
_OUTBOX_S: Final = 0.5
_ENGINE_S: Final = 5.0
_OFFER_S: Final = 5.0
_STATUS_S: Final = 1.0
_PROBLEM_S: Final = 30.0
_THREADS: Final = 64


def run(directory: Path, password: str) -> None:
    """Serve the provider of this folder until SIGTERM or SIGINT; running jobs go on, and are found again
    at the next start.

    `Rejected` for a wrong password or setting, where another agent serves this folder, or where the RPC
    endpoint is of another chain.
    """
    settings = read_settings(directory)
    asyncio.run(serve(directory, settings, open_key(directory, password)))


async def serve(directory: Path, settings: ProviderSettings, key: Signer) -> None:
    """The same, in a running event loop of the main thread."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, request_drain, directory)
    paths = Paths(root=directory)
    with _only_one(paths.lock), ExitStack() as stack:
        store = StateStore(paths.state)
        stack.callback(store.close)
        client = MarketClient(settings.rpc, settings.market.address)
        stack.callback(client.close)
        domain = Domain(chain_id=settings.market.chain_id, market=settings.market.address)
        identity = Identity(domain=domain, key=key)
        async with NodeClient(settings.node, identity, time.time, secrets.randbits) as node:
            agent = Agent(paths, settings, key, store, client, node)
            stack.callback(agent.close)
            await agent.serve(stop)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise Rejected(
                "agent-runs-already",
                f"Another agent serves {path.parent}.",
                "Stop it, or name another folder.",
            ) from exc
        yield


class Agent:
    """One provider's agent; everything of it lives in one event loop."""

    def __init__(
        self,
        paths: Paths,
        settings: ProviderSettings,
        key: Signer,
        store: StateStore,
        client: MarketClient,
        node: NodeClient,
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._key = key
        self._store = store
        self._client = client
        self._node = node
        name = text(key.address)
        self._engine = Engine(settings.engine or None)
        self._runtime = DockerRuntime(self._engine, agent=name)
        self._volumes = choose_volumes(paths.volumes, self._engine, agent=name)
        self._books = open_books(str(paths.outbox))
        confirmations = settings.market.confirmations
        self._outbox = Outbox(
            self._books.outbox(key.address), client, key, OutboxPolicy(confirmations=confirmations)
        )
        self._follower = Follower(client, confirmations)
        self._domain = Domain(chain_id=settings.market.chain_id, market=settings.market.address)
        images = ImageCache(self._runtime, record=paths.images, budget=settings.images_mib << 20)
        files = JobFiles(
            node=node,
            runtime=self._runtime,
            volumes=self._volumes,
            images=images,
            scratch=paths.scratch,
            clock=time.time,
        )
        around = Surroundings(
            domain=self._domain,
            rules=settings.rules,
            store=store,
            books=self._books,
            chain=client,
            node=node,
            runtime=self._runtime,
            files=files,
            logs=LogShipping(node, self._runtime),
            clock=time.time,
        )
        self._nudged, self._wished = asyncio.Event(), asyncio.Event()
        answers = Answers(
            state=self._state,
            house=self._house,
            devices=self._assign,
            images=self._images_in_use,
            feed=self._feed,
            wished=self._wished.set,
            failed=self._note,
        )
        self._effects = Effects(around, answers)
        self._lanes = Lanes(self._effects.perform)
        self._leases: Leases
        self._reconciliation: Reconciliation
        self._problems: dict[str, tuple[float, MarketError]] = {}
        self._info: EngineInfo | None = None
        self._loan: Loan | None = None
        self._head: bytes = b""
        self._caught_up = False
        self._connected = False
        self._documented: set[bytes] = set()

    async def serve(self, stop: asyncio.Event) -> None:
        """Take up what was under way, then follow the world until `stop` is set."""
        policy = await self._policy(stop)
        if policy is None:
            return
        self._leases = Leases(self._store, Pace.of(policy), self._lanes.put)
        self._reconciliation = Reconciliation(
            self._leases, self._client, self._runtime, self._volumes, self._lanes.put
        )
        self._leases.resume(self._now())
        heartbeat = Heartbeat(
            url=self._node.socket_url,
            beat=self._beat,
            nudged=self._nudged.set,
            connected=self._greet,
            failed=self._disconnected,
        )
        loops = (
            self._repeat("chain", self._follow, _POLL_S, self._nudged),
            self._repeat("outbox", self._send, _OUTBOX_S, self._wished),
            self._repeat("engine", self._look_at_engine, _ENGINE_S),
            self._repeat("offer", self._stand_offer, _OFFER_S),
            self._repeat("clock", self._tick, _TICK_S),
            self._repeat("status", self._write_status, _STATUS_S),
            heartbeat.run(),
        )
        tasks = [asyncio.create_task(loop) for loop in loops]
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
        self._lanes.cancel()
        self._effects.stop()
        for task in done - {stopping}:
            task.result()

    def close(self) -> None:
        """Give connections and files back."""
        self._engine.close()
        self._books.close()

    async def _policy(self, stop: asyncio.Event) -> Policy | None:
        """The market's windows; the chain is waited for where they were never read."""
        while (policy := self._store.policy()) is None and not stop.is_set():
            try:
                await asyncio.to_thread(self._client.check_chain, self._settings.market.chain_id)
                self._store.keep_policy(await asyncio.to_thread(self._client.policy))
            except Unavailable as exc:
                self._note("chain", exc)
                await self._write_status()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1.0)
        return policy

    async def _repeat(
        self,
        part: str,
        step: Callable[[], Awaitable[None]],
        pause: float,
        wake: asyncio.Event | None = None,
    ) -> None:
        """One loop of the agent: what fails is noted and tried again; what must not go on, ends it."""
        while True:
            try:
                await step()
                self._problems.pop(part, None)
            except Broken:
                raise
            except MarketError as exc:
                if exc.code == "wrong-chain":
                    raise
                self._note(part, exc)
            if wake is None:
                await asyncio.sleep(pause)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), pause)
            wake.clear()

    async def _follow(self) -> None:
        head = await asyncio.to_thread(self._client.block, "latest")
        if head.hash == self._head:
            return
        cursor = self._store.cursor()
        if cursor is None:
            await asyncio.to_thread(self._client.check_chain, self._settings.market.chain_id)
            first = self._settings.market.first_block
            cursor = await asyncio.to_thread(self._follower.start, first)
        followed = await asyncio.to_thread(self._follower.poll, cursor)
        for fact in followed.facts:
            self._take(fact)
        self._store.keep_cursor(followed.cursor)
        self._caught_up = followed.caught_up
        if followed.caught_up:
            self._head = head.hash
        else:
            self._nudged.set()

    def _take(self, fact: ChainObserved | ChainRewound) -> None:
        at = self._now()
        if isinstance(fact, ChainRewound):
            for lease in self._store.opened_above(fact.to.number):
                self._leases.feed(lease, LeaseUnmined(at=at))
            return
        for news in news_of((one.event for one in fact.events), self._key.address, at):
            match news:
                case LeaseNews(lease=lease, stimulus=stimulus, paid=paid, opens=opens):
                    self._leases.feed(lease, stimulus, fact.block.number if opens else None)
                    if paid is not None:
                        self._store.keep_paid(lease, paid)
                case OfferNews(id=name, offer=offer):
                    if offer is None:
                        self._store.forget_offer(name)
                    else:
                        self._store.keep_offer(name, offer, registered=True)

    async def _send(self) -> None:
        await asyncio.to_thread(self._outbox.step, int(time.time()))

    async def _look_at_engine(self) -> None:
        try:
            self._info = await asyncio.to_thread(self._runtime.info)
        except Unavailable:
            self._info = None
            raise
        await self._reconciliation.step(self._now())

    async def _tick(self) -> None:
        self._leases.tick(self._now())

    async def _stand_offer(self) -> None:
        """See to it that one true offer stands; older ones are cancelled, but not while draining."""
        if self._info is None or not self._caught_up:
            return
        wanted, plain = await self._wanted(self._info)
        standing = self._store.offers()
        limits, at = self._settings.limits, int(time.time())
        kept = [
            name
            for name, (offer, _) in standing.items()
            if still_true(offer, wanted, disk_is_fixed=limits.disk is not None, at=at)
        ][-1:]
        if not self._draining() and not kept:
            await self._fuel()
            name = offer_id(self._domain, wanted)
            self._store.keep_offer(name, wanted, registered=False)
            standing, kept = self._store.offers(), [name]
        await asyncio.to_thread(self._wish_offers, standing, kept)
        self._wished.set()
        if kept and wanted.document not in self._documented:
            await self._node.put_document(plain)
            self._documented.add(wanted.document)

    async def _wanted(self, info: EngineInfo) -> tuple[Offer, dict[str, object]]:
        inventory = await asyncio.to_thread(take_inventory, self._paths.volumes)
        host = Host(
            inventory=inventory,
            cdi="cdi" in info.features,
            hard_disk=self._volumes.kind is VolumeKind.HARD,
        )
        self._loan = loan_of(host, self._settings, await asyncio.to_thread(self._client.decimals))
        document = document_of(host, self._loan, self._settings)
        stamp = Stamp(
            provider=self._key.address,
            epoch=await asyncio.to_thread(self._client.epoch_of, self._key.address),
            at=int(time.time()),
            salt=secrets.randbits(64),
        )
        return offer_of(self._loan, document, self._settings, stamp), document.to_plain()

    def _wish_offers(self, standing: dict[OfferId, tuple[Offer, bool]], kept: list[OfferId]) -> None:
        at = int(time.time())
        with self._books.transaction() as unit:
            for name, (offer, registered) in standing.items():
                if name in kept and not registered:
                    unit.wish(f"register:{text(name)}", RegisterOffer(offer=offer), at)
                elif name not in kept and registered and not self._draining():
                    unit.wish(f"cancel:{text(name)}", CancelOffer(offer=offer), at)

    async def _fuel(self) -> None:
        """Gas for the first transaction, where the chain has a faucet."""
        if await asyncio.to_thread(self._client.coin_balance, self._key.address) == 0:
            await asyncio.to_thread(self._client.faucet, self._key.address)

    def _feed(self, lease: LeaseId, stimulus: Stimulus) -> None:
        self._leases.feed(lease, stimulus)

    def _state(self, lease: LeaseId) -> LeaseState:
        state = self._leases.get(lease)
        if state is None:
            raise Broken("unknown-lease", "An effect names an unknown lease.", "Report this as a defect.")
        return state

    def _others(self, lease: LeaseId) -> list[LeaseState]:
        return [one for one in self._leases if one.id != lease and one.stage is not Stage.SEEN]

    def _house(self, lease: LeaseId) -> House:
        if self._loan is None:
            raise Unavailable("no-inventory", "The machine was not looked at yet.", "Wait a moment.")
        taken = tuple(one.terms.want for one in self._others(lease) if one.open)
        return House(
            provider=self._key.address,
            domain=self._settings.domain,
            runtimes=RUNTIMES,
            free=free_of(self._capacity(lease), taken),
            devices=len(self._free_devices(lease)),
            image_budget=self._settings.images_mib << 20,
        )

    def _capacity(self, lease: LeaseId) -> Quantities:
        """What the lease's own offer promised, as far as this machine still has it."""
        found = self._store.offers().get(self._state(lease).terms.offer)
        assert self._loan is not None
        return found[0].capacity if found else self._loan.capacity

    def _free_devices(self, lease: LeaseId) -> list[str]:
        taken = {name for one in self._others(lease) for name in self._store.devices(one.id)}
        return [one.name for one in (self._loan.devices if self._loan else ()) if one.name not in taken]

    def _assign(self, lease: LeaseId, count: int) -> tuple[str, ...]:
        return tuple(self._free_devices(lease)[:count])

    def _images_in_use(self) -> frozenset[str]:
        jobs = (self._store.job(state.id) for state in self._leases)
        return frozenset(job.image.config for job in jobs if job is not None)

    def _beat(self) -> dict[str, object]:
        live = [text(name) for name, (_, registered) in self._store.offers().items() if registered]
        return {
            "kind": "heartbeat",
            "offers": live,
            "draining": self._draining(),
            "engine": "down" if self._info is None else "ok",
        }

    async def _greet(self) -> None:
        self._connected = True
        self._problems.pop("node", None)
        # A node that was set up anew has no document of ours.
        self._documented.clear()

    def _disconnected(self, exc: MarketError) -> None:
        self._connected = False
        self._note("node", exc)

    def _draining(self) -> bool:
        return self._paths.drain.exists()

    def _note(self, part: str, exc: MarketError) -> None:
        before = self._problems.get(part)
        if before is None or before[1].cause != exc.cause:
            _log.warning("%s: %s", part, exc)
        self._problems[part] = (time.time(), exc)

    def _now(self) -> int:
        return int(time.time() * MS)

    async def _write_status(self) -> None:
        replace_file(self._paths.status, json.dumps(self._status(), indent=1))

    def _status(self) -> dict[str, object]:
        now = time.time()
        fresh = {
            part: {"code": exc.code, "cause": exc.cause, "remedy": exc.remedy, "at": int(at)}
            for part, (at, exc) in self._problems.items()
            if now - at < _PROBLEM_S
        }
        leases = iter(self._leases) if hasattr(self, "_leases") else iter(())
        offers = {text(name): registered for name, (_, registered) in self._store.offers().items()}
        return {
            "name": self._settings.name,
            "address": text(self._key.address),
            "domain": self._settings.domain,
            "pid": os.getpid(),
            "at": int(now),
            "draining": self._draining(),
            "engine": {"ok": self._info is not None, "version": self._info.version if self._info else ""},
            "node": {"ok": self._connected, "url": self._settings.node},
            "chain": {"ok": "chain" not in fresh, "rpc": self._settings.rpc, "caught_up": self._caught_up},
            "offers": offers,
            "earned": str(self._store.earned()),
            "leases": [self._lease_status(state) for state in leases],
            "problems": fresh,
        }

    def _lease_status(self, state: LeaseState) -> dict[str, object]:
        job = self._store.job(state.id)
        return {
            "lease": text(state.id),
            "job": job.name if job else "",
            "stage": state.stage.value,
            "since": state.since,
            "milliseconds": state.billable(self._now()),
            "cosigned": state.receipt.receipt.milliseconds if state.receipt else 0,
            "settled": state.settled,
            "code": state.explanation.code,
            "cause": state.explanation.cause,
        }
