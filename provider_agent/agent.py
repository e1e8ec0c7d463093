"""The provider's daemon: looks at engine, chain, node and clock, and feeds the machine what it sees.

Each part may be away: that is a state, shown in the status file and tried again. All decisions about a
lease are the machine's, those about an offer `offering`'s; the loops here connect them to the world.
"""

import asyncio
import json
import logging
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from ledger.books.books import open_books
from ledger.chain.client import MarketClient
from ledger.chain.keyring import Keyring
from ledger.chain.outbox import OutboxPolicy
from ledger.chain.outboxes import outboxes_of
from ledger.chain.sessions import requests_by_session
from ledger.chain.typed_data import Domain
from ledger.chain.wallet import Patience
from ledger.market.errors import Broken, MarketError, Unavailable
from ledger.market.identity import LeaseId, text
from ledger.market.policy import Policy
from provider_agent.connections.chain_following import ChainFollowing
from provider_agent.connections.heartbeat import Heartbeat
from provider_agent.connections.links import Links
from provider_agent.connections.log_shipping import LogShipping
from provider_agent.connections.node_client import Identity, NodeClient
from provider_agent.directory import Paths, only_one, open_keys, replace_file, request_drain
from provider_agent.lifecycle.instructions import Instruction
from provider_agent.lifecycle.lease_state import MS, Pace
from provider_agent.offers.allocation import Allocation
from provider_agent.offers.lending import Loan
from provider_agent.offers.staking import Account, Staking
from provider_agent.offers.standing_offer import Offering, StandingOffer
from provider_agent.runtimes.base import EngineInfo
from provider_agent.runtimes.docker import DockerRuntime
from provider_agent.runtimes.engine import Engine
from provider_agent.settings import ProviderSettings, read_settings
from provider_agent.state_store import StateStore
from provider_agent.status import Problems, status_of
from provider_agent.storage.base import VolumeKind
from provider_agent.storage.volumes import choose_volumes
from provider_agent.work.chain_effects import ChainEffects
from provider_agent.work.effects import Answers, Effects, Surroundings
from provider_agent.work.images import ImageCache
from provider_agent.work.job_files import JobFiles
from provider_agent.work.lanes import Lanes
from provider_agent.work.leases import Leases
from provider_agent.work.reconciliation import Reconciliation
from provider_agent.work.wishing import Wishes

_log = logging.getLogger(__name__)
_POLL_S: Final = 0.2
_HURRIED_POLL_S: Final = 0.03
_HURRY_S: Final = 1.5
"""how long after a nudge the chain is looked at more often: the node nudges before the block is there"""
_TICK_S: Final = 0.2
_OUTBOX_S: Final = 0.5
_ENGINE_S: Final = 5.0
_OFFER_S: Final = 2.0
_STATUS_S: Final = 1.0
_RESUME_S: Final = 10.0
_STAKE_S: Final = 10.0
_UNSTAKED_S: Final = 1.0
_MINED_S: Final = 30.0
_THREADS: Final = 64


def run(directory: Path, password: Callable[[], str], ready: Callable[[], None]) -> None:
    """Serve the provider of this folder until SIGTERM or SIGINT; running jobs go on, and are found again
    at the next start. SIGUSR1 drains. `ready` is called once the folder is this agent's.

    `Rejected` for a wrong password or setting, where another agent serves this folder, or where the RPC
    endpoint is of another chain.
    """
    directory = directory.resolve()
    settings = read_settings(directory)
    asyncio.run(serve(directory, settings, open_keys(directory, password), ready))


async def serve(folder: Path, settings: ProviderSettings, keys: Keyring, ready: Callable[[], None]) -> None:
    """The same, in a running event loop of the main thread."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, request_drain, folder)
    paths = Paths(root=folder)
    with only_one(paths.lock), ExitStack() as stack:
        ready()
        store = StateStore(paths.state)
        stack.callback(store.close)
        client = MarketClient(settings.rpc, settings.market.address)
        stack.callback(client.close)
        policy = await _policy(store, client, settings, stop)
        if policy is None:
            return
        domain = Domain(chain_id=settings.market.chain_id, market=settings.market.address)
        key = requests_by_session(keys.current, time.time, secrets.token_bytes)
        identity = Identity(domain=domain, key=key, provider=settings.owner)
        async with NodeClient(settings.node, identity, time.time, secrets.randbits) as node:
            links = Links(store=store, chain=client, node=node)
            agent = Agent(paths, settings, links, identity, policy, keys)
            stack.callback(agent.close)
            await agent.serve(stop)


async def _policy(
    store: StateStore, client: MarketClient, settings: ProviderSettings, stop: asyncio.Event
) -> Policy | None:
    """The market's windows; the chain is waited for where they were never read. None when stopped."""
    while (policy := store.policy()) is None and not stop.is_set():
        try:
            await asyncio.to_thread(client.check_chain, settings.market.chain_id)
            store.keep_policy(await asyncio.to_thread(client.policy))
        except Unavailable as exc:
            _log.warning("chain: %s", exc)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
    return policy


class Agent:
    """One provider's agent; everything of it lives in one event loop."""

    def __init__(
        self,
        paths: Paths,
        settings: ProviderSettings,
        links: Links,
        identity: Identity,
        policy: Policy,
        keys: Keyring,
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._links = links
        self._key = identity.key
        self._provider = identity.provider or self._key.address
        name = text(self._provider)
        self._engine = Engine(settings.engine or None)
        self._runtime = DockerRuntime(self._engine, agent=name)
        self._volumes = choose_volumes(paths.volumes, self._engine, agent=name)
        self._books = open_books(str(paths.outbox))
        self._nudged, self._wished = asyncio.Event(), asyncio.Event()
        self._problems = Problems()
        self._hurry_until = self._resume_by = 0.0
        self._resumed = self._connected = False
        self._info: EngineInfo | None = None
        store, chain = links.store, links.chain
        depth = OutboxPolicy(confirmations=settings.market.confirmations)
        self._outbox = outboxes_of(keys, self._books.outbox, chain, depth)
        self._sending = asyncio.Lock()
        self._reputation: object = None
        self._policy = policy
        self._lanes = Lanes(self._perform)
        self._leases = Leases(store, Pace.of(policy), self._lanes.put)
        self._following = ChainFollowing(
            self._provider, settings.market, chain, store, self._leases, time.time
        )
        self._offer = StandingOffer(self._offering(identity.domain))
        account = Account(provider=self._provider, key=self._key, wanted=settings.stake, policy=policy)
        patience = Patience(clock=time.time, sleep=time.sleep, seconds=_MINED_S)
        self._staking = Staking(account, chain, self._leases, patience)
        self._reconciliation = Reconciliation(
            self._leases, chain, self._runtime, self._volumes, self._lanes.put, self._following
        )
        self._effects = Effects(self._surroundings(identity.domain), self._answers())

    async def serve(self, stop: asyncio.Event) -> None:
        """Take up what was under way, then follow the world until `stop` is set."""
        if self._volumes.kind is VolumeKind.SOFT:
            _log.warning("not root: disk limits are soft, a job can write more than it asked for")
        self._resume_by = time.monotonic() + _RESUME_S
        heartbeat = Heartbeat(
            url=self._links.node.socket_url,
            beat=self._beat,
            nudged=self._hurry,
            yields=lambda lease: self._leases.yields(lease, self._now()),
            connected=self._greet,
            failed=self._disconnected,
        )
        loops = (
            self._repeat("chain", self._following.step, self._chain_pause, self._nudged),
            self._repeat("outbox", self._send, lambda: _OUTBOX_S, self._wished),
            self._repeat("engine", self._look_at_engine, lambda: _ENGINE_S),
            self._repeat("offer", self._stand_offer, lambda: _OFFER_S),
            self._repeat("stake", self._see_to_stake, self._stake_pause),
            self._repeat("clock", self._tick, lambda: _TICK_S),
            self._repeat("status", self._write_status, lambda: _STATUS_S),
            heartbeat.run(),
        )
        tasks = [asyncio.create_task(loop) for loop in loops]
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self._lanes.cancel()
        self._effects.stop()
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
        for task in done - {stopping}:
            task.result()

    def close(self) -> None:
        """Give connections and files back."""
        self._engine.close()
        self._books.close()

    async def _repeat(
        self,
        part: str,
        step: Callable[[], Awaitable[None]],
        pause: Callable[[], float],
        wake: asyncio.Event | None = None,
    ) -> None:
        """One loop of the agent: what fails is noted and tried again; what must not go on, ends it."""
        wake = wake or asyncio.Event()
        while True:
            try:
                await step()
                self._problems.clear(part)
            except Broken:
                raise
            except MarketError as exc:
                if exc.code == "wrong-chain":
                    raise
                self._note(part, exc)
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), pause())
            wake.clear()

    def _hurry(self) -> None:
        self._hurry_until = time.monotonic() + _HURRY_S
        self._nudged.set()

    def _chain_pause(self) -> float:
        return _HURRIED_POLL_S if time.monotonic() < self._hurry_until else _POLL_S

    async def _perform(self, lease: LeaseId, instruction: Instruction) -> None:
        await self._effects.perform(lease, instruction)

    async def _send(self) -> None:
        async with self._sending:
            await asyncio.to_thread(self._outbox.step, int(time.time()))

    async def _look_at_engine(self) -> None:
        try:
            self._info = await asyncio.to_thread(self._runtime.info)
        except Unavailable:
            self._info = None
            raise
        await self._reconciliation.step(self._now())

    async def _stand_offer(self) -> None:
        # Before the chain is read to its end, an offer that stands there may still be unknown here.
        if self._info is not None and self._following.caught_up:
            await self._staking.check_authorised()
            if self._offer.loan is None:
                await self._stake_first(await self._offer.look(self._info))
            await self._offer.see_to_it(self._info, draining=self._draining())
            self._wished.set()

    async def _stake_first(self, loan: Loan) -> None:
        """No lease opens on an offer without stake; what is wrong with it is no reason not to stand."""
        try:
            await self._staking.see_to_it(loan, self._sending)
        except MarketError as exc:
            self._note("stake", exc)

    async def _see_to_stake(self) -> None:
        loan = self._offer.loan
        if loan is None or not self._following.caught_up:
            return
        # What the node makes of us is only shown; a node that is away is another loop's problem.
        with suppress(MarketError):
            self._reputation = await self._links.node.reputation(self._provider)
        await self._staking.see_to_it(loan, self._sending)

    def _stake_pause(self) -> float:
        return _UNSTAKED_S if self._offer.loan is None else _STAKE_S

    async def _tick(self) -> None:
        """Nothing is decided by the clock before the chain has told what happened while we were away; one
        that does not answer is not waited for: a job must end in its time."""
        if not self._resumed:
            if not self._following.caught_up and time.monotonic() < self._resume_by:
                return
            self._resumed = True
            self._leases.resume(self._now())
        self._leases.tick(self._now())

    async def _write_status(self) -> None:
        status = status_of(
            self._settings,
            self._links.store,
            self._leases,
            self._problems.fresh(),
            self._beat()
            | {
                "address": text(self._provider),
                "operator": text(self._key.address),
                "reputation": self._reputation,
                "node": self._connected,
                "caught_up": self._following.caught_up,
                "version": self._info.version if self._info else "",
                "disk_limit": self._volumes.kind.value,
            },
            self._staking.stakes,
            self._policy,
        )
        await asyncio.to_thread(replace_file, self._paths.status, json.dumps(status, indent=1))

    def _beat(self) -> dict[str, object]:
        offers = self._links.store.offers()
        return {
            "kind": "heartbeat",
            "offers": [text(name) for name, (_, registered) in offers.items() if registered],
            "draining": self._draining(),
            "engine": "down" if self._info is None else "ok",
        }

    async def _greet(self) -> None:
        self._connected = True
        self._problems.clear("node")
        self._offer.node_is_new()

    def _disconnected(self, exc: MarketError) -> None:
        self._connected = False
        self._note("node", exc)

    def _draining(self) -> bool:
        return self._paths.drain.exists()

    def _note(self, part: str, exc: MarketError) -> None:
        if self._problems.note(part, exc):
            _log.warning("%s: %s", part, exc)

    def _now(self) -> int:
        return int(time.time() * MS)

    def _offering(self, domain: Domain) -> Offering:
        return Offering(
            provider=self._provider,
            sender=self._key.address,
            domain=domain,
            settings=self._settings,
            volumes=self._paths.volumes,
            disk=self._volumes.kind,
            books=self._books,
            links=self._links,
            clock=time.time,
        )

    def _surroundings(self, domain: Domain) -> Surroundings:
        node, runtime = self._links.node, self._runtime
        budget = self._settings.images_mib << 20
        files = JobFiles(
            node=node,
            runtime=runtime,
            volumes=self._volumes,
            images=ImageCache(runtime, record=self._paths.images, budget=budget),
            scratch=self._paths.scratch,
            clock=time.time,
        )
        return Surroundings(
            domain=domain,
            rules=self._settings.rules,
            links=self._links,
            runtime=runtime,
            files=files,
            logs=LogShipping(node, runtime),
            chain=self._chain_effects(domain),
            clock=time.time,
            random_bytes=secrets.token_bytes,
        )

    def _chain_effects(self, domain: Domain) -> ChainEffects:
        wishes = Wishes(self._books, time.time, self._wished.set)
        return ChainEffects(domain, self._links.chain, self._links.store, wishes, self._leases.known)

    def _answers(self) -> Answers:
        return Answers(
            allocation=Allocation(
                self._provider,
                self._settings,
                self._links.store,
                self._leases,
                lambda: self._offer.loan,
            ),
            feed=self._leases.feed,
            failed=self._note,
        )
