"""A node's parts put together: services for the API, and the loops that keep them going."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from ledger.books.books import Books
from ledger.books.rows import JobRow
from ledger.chain.client import MarketClient
from ledger.chain.follower import Follower
from ledger.chain.keyring import Keyring
from ledger.chain.keys import Signer
from ledger.chain.outbox import OutboxPolicy
from ledger.chain.outboxes import outboxes_of
from ledger.market.errors import LostRace, Unavailable
from ledger.market.events import LeaseOpened
from ledger.market.identity import LeaseId, text
from ledger.market.wire import policy_to_plain
from node.api.authentication import Authentication
from node.api.events import TOPIC
from node.api.services import Health, Services
from node.exchange import Exchange
from node.loops import Chores, Following, Loop, Sending, Sweeping
from node.relay.blobs import BlobStore
from node.relay.job_logs import JobLogs
from node.relay.nudges import Nudges
from node.settings import NodeSettings
from node.trading.claims import Claims
from node.trading.continuing import Continuing
from node.trading.delegates import Delegates
from node.trading.jurying import Jurying
from node.trading.presence import Presence
from node.trading.relaying import Relaying
from node.trading.settlement import Settlement
from node.trading.track_records import TrackRecords
from node.trading.unstaking import Unstaking
from node.trading.venue import Retention, Venue
from node.version import VERSION

SWEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundations:
    """What a node stands on: its settings, the market on its chain, its books and its own key."""

    settings: NodeSettings
    client: MarketClient
    books: Books
    keys: Keyring
    rpc_url: str
    first_block: int
    url: str
    """where this process is reached"""
    writes: bool = True
    """whether it writes the books; a replica only reads them"""

    @property
    def key(self) -> Signer:
        """The node's current key."""
        return self.keys.current


@dataclass(frozen=True, slots=True, kw_only=True)
class Loops:
    """The node's clockwork, in the order in which it starts and stops."""

    follower: Loop
    outbox: Loop
    sweeper: Loop

    def all(self) -> tuple[Loop, ...]:
        return (self.follower, self.outbox, self.sweeper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    services: Services
    loops: Loops

    def start(self) -> None:
        """Take up where the books ended, and set the clockwork going."""
        self.services.track_records.follow()
        self.services.exchange.start(_now())
        for loop in self.loops.all():
            loop.start()

    def stop(self) -> None:
        """Return once no loop runs any more."""
        for loop in self.loops.all():
            loop.stop()


def assemble(base: Foundations) -> Node:
    """The node on these foundations; nothing runs yet, and nothing was written."""
    now = _now()
    settings, books, domain = base.settings, base.books, base.client.domain()
    retention = Retention(days=settings.epoch_days, bytes=settings.epoch_limit)
    venue = Venue(domain=domain, address=base.key.address, policy=base.client.policy(), retention=retention)
    track_records = TrackRecords(books.queries, base.keys.addresses)
    nudges = Nudges()
    exchange = Exchange(
        books,
        base.client,
        venue,
        Presence(now, settings.heartbeat_timeout, settings.lost_after),
        Continuing(domain, base.keys),
        track_records.per_mille,
        nudges.publish,
    )
    settlement = Settlement(books, domain, base.keys, venue.policy)
    loops = _loops(base, exchange, settlement, track_records, nudges)
    services = Services(
        settings=settings,
        books=books,
        exchange=exchange,
        settlement=settlement,
        track_records=track_records,
        delegates=Delegates(base.client),
        relaying=Relaying(books, base.client, domain, base.key.address),
        chain=base.client,
        blobs=BlobStore(settings.directory, settings.blob_limit, settings.store_limit),
        logs=JobLogs(settings.directory / "logs", settings.log_limit),
        authentication=Authentication(domain),
        nudges=nudges,
        market=_market(base),
        health=_health(base, loops),
        hasten=_haste(books, nudges, loops.outbox),
        check_chain=loops.follower.check_available,
    )
    return Node(services=services, loops=loops)


def _market(base: Foundations) -> dict[str, object]:
    """The body of `GET /v1/market`, without the time."""
    client, domain, roles = base.client, base.client.domain(), base.client.roles()
    return {
        "chain_id": domain.chain_id,
        "market": text(domain.market),
        "token": text(client.token()),
        "decimals": client.decimals(),
        "node": text(base.key.address),
        "rpc_url": base.rpc_url,
        "guardian": text(roles.guardian),
        "arbiter": text(roles.arbiter),
        "jury": text(roles.jury),
        "policy": policy_to_plain(client.policy()),
        "first_block": base.first_block,
        "confirmations": base.settings.confirmations,
        "embedded": base.settings.rpc_url is None,
        "version": VERSION,
    }


def _loops(
    base: Foundations,
    exchange: Exchange,
    settlement: Settlement,
    track_records: TrackRecords,
    nudges: Nudges,
) -> Loops:
    def on_opened(event: LeaseOpened) -> None:
        nudges.publish(event.terms.provider, _nudge(event.id))
        nudges.publish(TOPIC, "events")

    books, client, depth = base.books, base.client, base.settings.confirmations
    follower_of = Follower(client, depth)
    following = Following(books, follower_of, exchange, track_records, base.first_block, on_opened)
    policy = OutboxPolicy(confirmations=depth, gas_budget=base.settings.gas_budget)
    outboxes = outboxes_of(base.keys, books.outbox, client, policy)
    sending = Sending(books, outboxes, exchange)
    chores = Chores(
        claims=Claims(books), jurying=Jurying(books, exchange.venue.policy), unstaking=Unstaking(books)
    )
    sweeping = Sweeping(books, exchange, settlement, chores)
    pause = base.settings.poll_seconds
    follower = Loop("follower", lambda: following.step(_now()), pause)

    def send() -> bool:
        more = sending.step(_now())
        if more:
            follower.hurry()
        return more

    return Loops(
        follower=follower,
        outbox=Loop("outbox", send, pause),
        sweeper=Loop("sweeper", lambda: sweeping.step(_now()), SWEEP_SECONDS),
    )


def _nudge(lease: LeaseId) -> str:
    return json.dumps({"kind": "lease", "lease": text(lease)})


def _haste(books: Books, nudges: Nudges, outbox: Loop) -> Callable[[JobRow], None]:
    """Send a new plan at once, and let its agent look out for the block."""

    def hasten(row: JobRow) -> None:
        planned = None if row.lease is None else books.queries.lease(row.lease)
        if planned is not None:
            nudges.publish(planned.terms.provider, _nudge(planned.id))
            outbox.wake()

    return hasten


def _health(base: Foundations, loops: Loops) -> Health:
    def health() -> dict[str, object]:
        chain = _chain_health(base)
        parts = {loop.name: {"ok": loop.failure is None, "cause": loop.failure} for loop in loops.all()}
        well = chain["ok"] is True and all(loop.failure is None for loop in loops.all())
        return {
            "status": "ok" if well else "degraded",
            "version": VERSION,
            "role": "writer" if base.writes else "replica",
            "writer": base.url if base.writes else base.books.writer(),
            "parts": {"chain": chain, **(parts if base.writes else {})},
        }

    return health


def _chain_health(base: Foundations) -> dict[str, object]:
    cursor = base.books.queries.cursor()
    try:
        head = base.client.block("latest").number
    except (Unavailable, LostRace) as exc:
        return {"ok": False, "cause": exc.cause, "remedy": exc.remedy}
    return {"ok": True, "head": head, "lag": head - cursor[0].number if cursor else head}


def _now() -> int:
    return int(time.time())
