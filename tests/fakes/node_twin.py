"""A node's core on real books, beside the kernel's reference model of the contract instead of a chain.

Wishes are carried out by hand (`mine`), blocks are observed by hand (`seal`), so that a test stands at
every point between the two. Nothing here decides: the model's rules are the contract's.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.books.books import open_books
from ledger.books.rows import JobRow, LeaseRow
from ledger.chain.documents import canonical, document_hash
from ledger.chain.keyring import keyring
from ledger.chain.keys import LocalKey
from ledger.chain.outcomes import Outcome, outcome_of
from ledger.chain.typed_data import Domain, bid_id, lease_id, offer_id
from ledger.market.bid import Bid, SignedBid
from ledger.market.demand import demanded, wanted
from ledger.market.errors import Rejected
from ledger.market.events import BlockRef, Logged, MarketDeployed, MarketEvent
from ledger.market.facts import ChainObserved, ChainRewound, JobPhase, JobReported, UsageReported
from ledger.market.identity import Address, BidId, LeaseId, OfferId
from ledger.market.instructions import AnchorEpoch
from ledger.market.job import Job
from ledger.market.model import MarketModel
from ledger.market.offer import Offer
from ledger.market.offer_document import OfferDocument
from ledger.market.outbox import IntentState, TxIntent
from ledger.market.policy import EMBEDDED
from node.exchange import Exchange
from node.loops import Chores, Sending, Sweeping
from node.trading import settlement
from node.trading.admission import Order, Proposal, admit
from node.trading.claims import Claims
from node.trading.continuing import Continuing
from node.trading.jurying import Jurying
from node.trading.presence import Heartbeat, Presence
from node.trading.track_records import TrackRecords
from node.trading.unstaking import Unstaking
from node.trading.venue import Venue
from tests.factories import NOW, a_job, an_address, an_offer
from tests.fakes.model_chain import JURY, TOKEN, ModelChain
from tests.fakes.usage_reports import next_line

DOMAIN = Domain(chain_id=77, market=an_address("market"))
NODE = LocalKey(sha256(b"node").digest())
BUYER = LocalKey(sha256(b"buyer").digest())
OTHER = LocalKey(sha256(b"other buyer").digest())
RATE = 1_102_400
"""what `a_job` costs at `an_offer`'s ask"""
TIMEOUT, LOST_AFTER = 10, 30
STAKE = 1_000_000
"""base units that every provider has staked"""
DEPLOYED = MarketDeployed(
    token=TOKEN, guardian=NODE.address, arbiter=NODE.address, jury=JURY, policy=EMBEDDED
)
GENESIS = BlockRef(number=0, hash=sha256(b"genesis").digest(), parent=bytes(32), at=NOW)


def a_model() -> MarketModel:
    """The contract as it is deployed."""
    return MarketModel(
        policy=EMBEDDED,
        lease_id=lambda terms: lease_id(DOMAIN, terms),
        guardian=NODE.address,
        arbiter=NODE.address,
        jury=JURY,
    )


class NodeTwin(ModelChain):
    """One node; `now` is its clock, and the chain's. Its books are in `path` unless a URL says where."""

    def __init__(self, path: Path, books_url: str = "") -> None:
        super().__init__(a_model(), DOMAIN, NODE.address, NOW)
        self.path = path
        self.books_url = books_url or str(path / "books.sqlite3")
        self.blocks: list[ChainObserved] = []
        self.pending: list[MarketEvent] = [DEPLOYED]
        self.told: list[tuple[Address, str]] = []
        """what agents were told, each with its provider"""
        self.nonces = 0
        self._forks = 0
        self._open()

    def _open(self) -> None:
        self.books = open_books(self.books_url)
        self.presence = Presence(self.now, TIMEOUT, LOST_AFTER)
        self.track_records = TrackRecords(self.books.queries, (NODE.address,))
        self.track_records.follow()
        self.exchange = Exchange(
            self.books,
            self,
            Venue(domain=DOMAIN, address=NODE.address, policy=EMBEDDED),
            self.presence,
            Continuing(DOMAIN, keyring(NODE)),
            self.track_records.per_mille,
            lambda provider, message: self.told.append((provider, message)),
        )
        self.settlement = settlement.Settlement(self.books, DOMAIN, keyring(NODE), EMBEDDED)
        self.sending = Sending(self.books, self, self.exchange)
        self.chores = Chores(
            claims=Claims(self.books),
            jurying=Jurying(self.books, EMBEDDED),
            unstaking=Unstaking(self.books),
        )
        self.sweeping = Sweeping(self.books, self.exchange, self.settlement, self.chores)
        self.exchange.start(self.now)

    def restart(self) -> None:
        """Everything that is not on the disk is gone."""
        self.books.close()
        self._open()

    def close(self) -> None:
        self.books.close()

    # parties

    def deposit(self, amount: int, account: Address = BUYER.address) -> None:
        self.pending += self.model.deposit(account, amount)

    def lend(self, name: str = "provider", *, domain: str = "lab/berlin", **changes: Any) -> OfferId:
        """Register an offer of that provider, its document kept at the node."""
        plain = OfferDocument(name=name, domain=domain, region="eu-west").to_plain()
        offer = an_offer(provider=an_address(name), document=document_hash(plain), **changes)
        with self.books.transaction() as unit:
            unit.keep_document(offer.document, canonical(plain))
        return self.register(offer)

    def register(self, offer: Offer) -> OfferId:
        """Register an offer; its provider has staked before."""
        name = offer_id(DOMAIN, offer)
        if not self.stake_of(offer.provider):
            self.pending += self.model.deposit(offer.provider, STAKE)
            self.pending += self.model.stake(offer.provider, STAKE)
        self.pending += self.model.register_offer(offer.provider, name, offer, self.now)
        return name

    def beat(self, *offers: OfferId, name: str = "provider", **changes: Any) -> None:
        beat = Heartbeat(offers=frozenset(offers), draining=False, engine_ok=True, at=self.now)
        self.exchange.beat(an_address(name), replace(beat, **changes))

    def order(self, job: Job | None = None, buyer: LocalKey = BUYER, **changes: Any) -> Order:
        """A signed order for `a_job`; `changes` are the bid's."""
        return self.order_of([job or a_job()], buyer, **changes)

    def order_of(self, jobs: Sequence[Job], buyer: LocalKey = BUYER, **changes: Any) -> Order:
        """A signed order of alternatives, which share their nonces; `changes` are the bids'."""
        before = self.nonces
        proposals = []
        for job in jobs:
            self.nonces = before
            document, attempts = self.signed(job, buyer, **changes)
            proposals.append(Proposal(document=document, attempts=tuple(attempts)))
        return admit(DOMAIN, proposals, NODE.address, self.now)

    def signed(
        self,
        job: Job,
        buyer: LocalKey = BUYER,
        behalf: Address | None = None,
        **changes: Any,
    ) -> tuple[dict[str, object], list[SignedBid]]:
        """A job's document and its bids, signed by `buyer`, who spends for `behalf` where it is given."""
        document = job.to_plain()
        bid = Bid(
            buyer=behalf or buyer.address,
            signer=NODE.address,
            want=wanted(job),
            traits=demanded(job, 0),
            limit_rate=job.max_rate,
            max_over_ask_bps=0,
            duration=job.max_seconds,
            start_by=self.now + 3_600,
            valid_until=self.now + 3_600,
            open_after=self.now + 3_601,
            members=job.gang.members if job.gang else 1,
            flags=job.gang.flags if job.gang else 0,
            epoch=0,
            nonce=0,
            job=document_hash(document),
            matcher=NODE.address,
        )
        attempts = []
        for _ in range(1 + job.retry):
            self.nonces += 1
            one = replace(bid, **{"nonce": self.nonces} | changes)
            attempts.append(SignedBid(bid=one, signature=buyer.sign(bid_id(DOMAIN, one))))
        return document, attempts

    def submit(self, job: Job | None = None, wait: int = 0, buyer: LocalKey = BUYER) -> BidId:
        return self.exchange.submit(self.order(job, buyer), wait, self.now).job

    def wishes(self) -> list[TxIntent]:
        """What waits to be sent, beside the roots of epochs."""
        pending = self.books.outbox(DOMAIN.market).pending(100)
        return [wish for wish in pending if not isinstance(wish.instruction, AnchorEpoch)]

    # the chain's part

    def step(self, at: int) -> int:
        """As an outbox whose transactions are mined at once."""
        wishes = self.books.outbox(NODE.address).pending(100)
        for intent in wishes:
            try:
                events = self.carry_out(intent.instruction)
            except Rejected as exc:
                self.settle(intent, Outcome(intent=intent.id, state=IntentState.FAILED, detail=exc.code))
                continue
            self.pending += events
            self.settle(intent, outcome_of(intent, events, DOMAIN))
        return len(wishes)

    def settle(self, intent: TxIntent, outcome: Outcome) -> None:
        self.books.outbox(NODE.address).settle_intent(outcome)

    def mine(self) -> None:
        """The outbox's loop, once."""
        self.sending.step(self.now)

    def seal(self) -> ChainObserved:
        """One block of what happened, observed as the follower's loop does."""
        block = self.sealed()
        self.tell(block)
        return block

    def sealed(self) -> ChainObserved:
        """One block of what happened, which nobody has told the node of."""
        parent = self.blocks[-1].block if self.blocks else GENESIS
        seed = parent.hash + self._forks.to_bytes(4) + repr(self.pending).encode()
        block = BlockRef(
            number=parent.number + 1, hash=sha256(seed).digest(), parent=parent.hash, at=self.now
        )
        events = tuple(
            Logged(event=event, block=block, log_index=index, transaction=sha256(seed).digest())
            for index, event in enumerate(self.pending)
        )
        self.pending = []
        self.blocks.append(ChainObserved(block=block, events=events))
        return self.blocks[-1]

    def rewind(self, depth: int) -> None:
        """The newest blocks vanish; the model is what the others left."""
        self._forks += 1
        self.blocks, self.pending = self.blocks[:-depth], []
        self.model.state = a_model().state
        for block in self.blocks:
            for logged in block.events:
                self.model.state.apply(logged.event)
        self.tell(ChainRewound(to=self.blocks[-1].block if self.blocks else GENESIS))

    def tell(self, fact: ChainObserved | ChainRewound) -> None:
        with self.books.transaction() as unit:
            self.exchange.observe([fact], unit)
            block = fact.to if isinstance(fact, ChainRewound) else fact.block
            unit.save_cursor(block, (block,))
        self.track_records.follow(rewound=isinstance(fact, ChainRewound))
        self.exchange.observed([fact], self.now)

    def sweep(self) -> None:
        self.sweeping.step(self.now)

    def opened(self, job: Job | None = None) -> LeaseId:
        """An order that was submitted, matched, mined and observed."""
        name = self.submit(job)
        self.mine()
        self.seal()
        lease = self.job(name).lease
        assert lease is not None
        return lease

    # what the agent says

    def used(self, lease: LeaseId, milliseconds: int, *, last: bool = False) -> UsageReported:
        """The next line of the lease, as its agent would meter it now."""
        return next_line(self.books.queries, lease, milliseconds, last=last, at=self.now)

    def say(self, lease: LeaseId, phase: JobPhase, exit_code: int | None = None) -> None:
        self.exchange.report(
            JobReported(
                lease=lease,
                phase=phase,
                exit_code=exit_code,
                code="",
                cause="",
                outputs=(),
                at=self.now,
            )
        )

    def job(self, job: BidId) -> JobRow:
        row = self.books.queries.job(job)
        assert row is not None
        return row

    def lease(self, lease: LeaseId) -> LeaseRow:
        row = self.books.queries.lease(lease)
        assert row is not None
        return row
