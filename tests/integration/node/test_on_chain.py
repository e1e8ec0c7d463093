"""The node's core against the real contracts: verdicts, claims, continuations and unstakes end to end."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from ledger.books.books import open_books
from ledger.books.rows import LeaseRow
from ledger.chain.calls import request_unstake
from ledger.chain.documents import canonical, document_hash
from ledger.chain.follower import Follower
from ledger.chain.keyring import keyring
from ledger.chain.keys import LocalKey
from ledger.chain.outbox import Outbox
from ledger.chain.typed_data import bid_id, commitment, offer_id
from ledger.market.bid import SignedBid
from ledger.market.demand import demanded, wanted
from ledger.market.facts import JobPhase, JobReported
from ledger.market.identity import BidId, Digest, LeaseId, OfferId
from ledger.market.instructions import CommitResult, OpenClaim, RegisterOffer, RevealResult
from ledger.market.job import Gang, Job
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import LeaseState, Verdict
from ledger.market.offer_document import OfferDocument
from ledger.market.policy import EMBEDDED
from node.exchange import Exchange
from node.loops import Chores, Following, Sending, Sweeping
from node.trading.admission import Proposal, admit
from node.trading.claims import Claims
from node.trading.continuing import Continuing
from node.trading.jurying import Jurying
from node.trading.presence import Heartbeat, Presence
from node.trading.settlement import Settlement
from node.trading.track_records import TrackRecords
from node.trading.unstaking import Unstaking
from node.trading.venue import Venue
from tests.factories import HOUR, a_bid, a_digest, a_job
from tests.fakes.chain_grid import BUYER, MONEY, NODE, PROVIDER, Grid, served_grid
from tests.fakes.usage_reports import next_line

RIVAL, THIRD = (LocalKey(sha256(name).digest()) for name in (b"rival", b"third"))
SALT = Digest(a_digest("salt"))


class Core:
    """What `assemble` puts together, stepped by hand on a grid whose clock is in the test's hand."""

    def __init__(self, grid: Grid, books_url: str) -> None:
        self.grid = grid
        self.books = open_books(books_url)
        client, domain = grid.client, grid.client.domain()
        venue = Venue(domain=domain, address=NODE.address, policy=client.policy())
        self.venue, self.presence = venue, Presence(self.now, 10**6, 10**6)
        records = TrackRecords(self.books.queries, (NODE.address,))
        continuing = Continuing(domain, keyring(NODE))
        self.exchange = Exchange(self.books, client, venue, self.presence, continuing, records.per_mille)
        self.settlement = Settlement(self.books, domain, keyring(NODE), venue.policy)
        follower = Follower(client)
        self.following = Following(self.books, follower, self.exchange, records, 0, lambda _: None)
        outbox = Outbox(self.books.outbox(NODE.address), client, NODE)
        self.sending = Sending(self.books, outbox, self.exchange)
        chores = Chores(
            claims=Claims(self.books),
            jurying=Jurying(self.books, venue.policy),
            unstaking=Unstaking(self.books),
        )
        self.sweeping = Sweeping(self.books, self.exchange, self.settlement, chores)
        self.exchange.start(self.now)

    @property
    def now(self) -> int:
        return int(self.grid.clock.now)

    def turn(self) -> None:
        """Everything once: sweep, send, a block, settle, follow."""
        self.sweeping.step(self.now)
        self.sending.step(self.now)
        self.grid.seal()
        self.sending.step(self.now)
        self.follow()

    def follow(self) -> None:
        while self.following.step(self.now):
            pass

    def lend(self, key: LocalKey, domain: str) -> OfferId:
        """Register an offer of that provider, and let its agent be heard."""
        plain = OfferDocument(name="p", domain=domain, region="eu-west").to_plain()
        wish: RegisterOffer = self.grid.offer(provider=key.address, document=document_hash(plain))
        self.grid.wish(key, wish)
        with self.books.transaction() as unit:
            unit.keep_document(wish.offer.document, canonical(plain))
        self.follow()
        name = offer_id(self.venue.domain, wish.offer)
        beat = Heartbeat(offers=frozenset({name}), draining=False, engine_ok=True, at=self.now)
        self.exchange.beat(key.address, beat)
        return name

    def submit(self, job: Job, **changes: Any) -> list[LeaseId]:
        """The leases of an order that was matched and opened."""
        document = job.to_plain()
        given = {
            "buyer": BUYER.address,
            "signer": NODE.address,
            "matcher": NODE.address,
            "want": wanted(job),
            "traits": demanded(job, 0),
            "limit_rate": job.max_rate,
            "duration": job.max_seconds,
            "members": job.gang.members if job.gang else 1,
            "flags": job.gang.flags if job.gang else 0,
            "job": document_hash(document),
            "nonce": next(self.grid.nonces),
        }
        given |= dict.fromkeys(("start_by", "valid_until", "open_after"), self.now + HOUR)
        bid = a_bid(**(given | changes))
        signed = SignedBid(bid=bid, signature=BUYER.sign(bid_id(self.venue.domain, bid)))
        proposal = Proposal(document=document, attempts=(signed,))
        order = admit(self.venue.domain, [proposal], NODE.address, self.now)
        self.exchange.submit(order, 0, self.now)
        self.turn()
        return [row.id for row in self._of_bid(order.id)]

    def _of_bid(self, bid: BidId) -> list[LeaseRow]:
        return [row for row in self.books.queries.leases() if row.terms.bid == bid]

    def lease(self, lease: LeaseId) -> LeaseRow:
        row = self.books.queries.lease(lease)
        assert row is not None
        return row

    def used(self, lease: LeaseId, milliseconds: int, *, last: bool = False) -> None:
        fact = next_line(self.books.queries, lease, milliseconds, last=last, at=self.now)
        self.settlement.report(fact)

    def running(self, lease: LeaseId) -> None:
        told = JobReported(
            lease=lease, phase=JobPhase.RUNNING, exit_code=None, code="", cause="", outputs=(), at=self.now
        )
        self.exchange.report(told)

    def commit(self, key: LocalKey, lease: LeaseId, result: Digest) -> None:
        bound = commitment(lease, key.address, result, SALT)
        self.grid.wish(key, CommitResult(lease=lease, terms=self.lease(lease).terms, commitment=bound))

    def reveal(self, key: LocalKey, lease: LeaseId, result: Digest) -> None:
        row = self.lease(lease)
        assert row.signed is not None
        bid = row.signed.bid
        self.grid.wish(key, RevealResult(lease=lease, bid=bid, terms=row.terms, result=result, salt=SALT))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with served_grid(tmp_path_factory.mktemp("grid")) as grid:
        for key in (RIVAL, THIRD):
            grid.fund(key, staked=MONEY // 2)
        yield grid


@pytest.fixture
def core(grid: Grid, grid_books_url: str) -> Iterator[Core]:
    core = Core(grid, grid_books_url)
    core.follow()
    yield core
    core.books.close()


def test_replicas_are_judged_the_majority_paid_and_the_liar_burned(core: Core) -> None:
    keys = {key.address: key for key in (PROVIDER, RIVAL, THIRD)}
    for number, key in enumerate(keys.values()):
        core.lend(key, f"domain-{number}/rack")
    leases = core.submit(a_job(gang=Gang(members=3, agree=2), outputs=("result.json",)))
    assert [core.lease(lease).undecided for lease in leases] == [True] * 3
    core.grid.clock.now += 10
    truth, lie = Digest(a_digest("truth")), Digest(a_digest("lie"))
    told = dict(zip(leases, (truth, lie, truth), strict=True))
    owners = {lease: keys[core.lease(lease).terms.provider] for lease in leases}
    for lease in leases:
        core.used(lease, 9_000, last=True)
        core.commit(owners[lease], lease, told[lease])
    for lease in leases:
        core.reveal(owners[lease], lease, told[lease])
    core.follow()
    for _ in range(3):
        core.turn()
    rows = [core.lease(lease) for lease in leases]
    assert [row.verdict for row in rows] == [Verdict.AGREED, Verdict.GUILTY, Verdict.AGREED]
    assert [row.paid > 0 for row in rows] == [True, False, True]
    assert [row.burned > 0 for row in rows] == [False, True, False]
    assert all(row.state is LeaseState.CLOSED for row in rows)


def test_a_claim_that_nobody_contests_is_finalised(core: Core) -> None:
    core.lend(PROVIDER, "lab/claims")
    (lease,) = core.submit(a_job(max_seconds=HOUR))
    core.grid.clock.now += 60
    terms = core.lease(lease).terms
    core.grid.wish(PROVIDER, OpenClaim(lease=lease, terms=terms, milliseconds=9_500))
    core.follow()
    assert core.lease(lease).claim is not None
    core.turn()
    assert core.lease(lease).state is LeaseState.ACTIVE
    core.grid.clock.now += EMBEDDED.challenge_window + 2
    core.turn()
    row = core.lease(lease)
    assert (row.because, row.paid) == (ClosedBecause.CLAIMED, terms.rate * 9_500 // 3_600_000_000)


def test_a_lease_is_continued_at_what_it_used(core: Core) -> None:
    core.lend(PROVIDER, "lab/continued")
    (lease,) = core.submit(a_job())
    core.running(lease)
    core.grid.clock.now += 30
    core.used(lease, 25_000)
    core.grid.clock.now += 4
    (following,) = core.submit(a_job(max_seconds=1_200), continues=Digest(lease))
    old, new = core.lease(lease), core.lease(following)
    assert (old.because, old.paid) == (
        ClosedBecause.CONTINUED,
        old.terms.rate * 29_000 // 3_600_000_000,
    )
    assert (new.state, new.continues) == (LeaseState.ACTIVE, lease)
    core.used(following, 1_000, last=True)
    core.turn()
    assert core.lease(following).state is LeaseState.CLOSED


def test_a_ripe_unstake_is_finished_for_its_provider(core: Core) -> None:
    core.lend(THIRD, "lab/leaving")
    core.grid.send(THIRD, request_unstake(core.grid.client.market, 1_000))
    core.follow()
    before = core.grid.client.balance_of(THIRD.address)
    core.turn()
    assert core.grid.client.balance_of(THIRD.address) == before
    core.grid.clock.now += EMBEDDED.unstake_delay + 60
    core.turn()
    assert core.grid.client.balance_of(THIRD.address) == before + 1_000
    assert core.grid.client.unstaking_of(THIRD.address) == (0, 0)
