"""A node's core on real books, beside the kernel's reference model of the contract instead of a chain.

Wishes are carried out by hand (`mine`), blocks are observed by hand (`seal`), so that a test stands at
every point between the two. Nothing here decides: the model's rules are the contract's.
"""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.books.books import open_books
from ledger.books.rows import JobRow, LeaseRow
from ledger.chain.documents import canonical, document_hash
from ledger.chain.keys import LocalKey
from ledger.chain.outcomes import Outcome, outcome_of
from ledger.chain.typed_data import Domain, bid_id, lease_id, offer_id
from ledger.market.bid import Bid, SignedBid
from ledger.market.demand import demanded, wanted
from ledger.market.events import BlockRef, Logged, MarketEvent
from ledger.market.facts import ChainObserved, ChainRewound, JobPhase, JobReported, UsageReported
from ledger.market.identity import Address, BidId, LeaseId, OfferId
from ledger.market.instructions import CloseLease, OpenLease, SettleReceipt
from ledger.market.job import Job
from ledger.market.lease import Lease
from ledger.market.model import Fill, MarketModel, Settlement
from ledger.market.offer import Offer
from ledger.market.offer_document import OfferDocument
from ledger.market.outbox import TxIntent
from ledger.market.policy import EMBEDDED
from ledger.market.state import MarketState
from node.exchange import Exchange
from node.loops import Sending, Sweeping
from node.trading import settlement
from node.trading.admission import Order, admit
from node.trading.presence import Heartbeat, Presence
from tests.factories import NOW, a_digest, a_job, an_address, an_offer

DOMAIN = Domain(chain_id=77, market=an_address("market"))
NODE = LocalKey(sha256(b"node").digest())
BUYER = LocalKey(sha256(b"buyer").digest())
OTHER = LocalKey(sha256(b"other buyer").digest())
RATE = 1_102_400
"""what `a_job` costs at `an_offer`'s ask"""
TIMEOUT, LOST_AFTER = 10, 30
GENESIS = BlockRef(number=0, hash=sha256(b"genesis").digest(), parent=bytes(32), at=NOW)


class NodeTwin:
    """One node; `now` is its clock, and the chain's."""

    def __init__(self, path: Path) -> None:
        self.now = NOW
        self.path = path
        self.model = MarketModel(policy=EMBEDDED, lease_id=lambda terms: lease_id(DOMAIN, terms))
        self.blocks: list[ChainObserved] = []
        self.pending: list[MarketEvent] = []
        self.nonces = 0
        self._forks = 0
        self._open()

    def _open(self) -> None:
        self.books = open_books(str(self.path / "books.sqlite3"))
        self.presence = Presence(self.now, TIMEOUT, LOST_AFTER)
        self.exchange = Exchange(self.books, self, DOMAIN, NODE.address, self.presence)
        self.settlement = settlement.Settlement(self.books, DOMAIN, NODE, EMBEDDED)
        self.sending = Sending(self.books, self, self.exchange)
        self.sweeping = Sweeping(self.books, self.exchange, self.settlement)
        self.exchange.start(self.now)

    def restart(self) -> None:
        """Everything that is not on the disk is gone."""
        self.books.close()
        self._open()

    def close(self) -> None:
        self.books.close()

    # what the exchange asks of the chain

    def balance_of(self, account: Address) -> int:
        return self.model.state.balances.get(account, 0)

    def epoch_of(self, account: Address) -> int:
        return self.model.state.epochs.get(account, 0)

    def nonce_used(self, account: Address, nonce: int) -> bool:
        return nonce in self.model.state.nonces.get(account, ())

    def lease_of(self, lease: LeaseId) -> Lease | None:
        return self.model.state.leases.get(lease)

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
        name = offer_id(DOMAIN, offer)
        self.pending += self.model.register_offer(offer.provider, name, offer, self.now)
        return name

    def beat(self, *offers: OfferId, name: str = "provider", **changes: Any) -> None:
        beat = Heartbeat(offers=frozenset(offers), draining=False, engine_ok=True, at=self.now)
        self.exchange.beat(an_address(name), replace(beat, **changes))

    def order(self, job: Job | None = None, buyer: LocalKey = BUYER, **changes: Any) -> Order:
        """A signed order for `a_job`; `changes` are the bid's."""
        document, attempts = self.signed(job or a_job(), buyer, **changes)
        return admit(DOMAIN, document, attempts, NODE.address, self.now)

    def signed(
        self,
        job: Job,
        buyer: LocalKey = BUYER,
        **changes: Any,
    ) -> tuple[dict[str, object], list[SignedBid]]:
        document = job.to_plain()
        bid = Bid(
            buyer=buyer.address,
            signer=NODE.address,
            want=wanted(job),
            traits=demanded(job, 0),
            limit_rate=job.max_rate,
            max_over_ask_bps=0,
            duration=job.max_seconds,
            start_by=self.now + 3_600,
            valid_until=self.now + 3_600,
            open_after=self.now + 3_601,
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

    # the chain's part

    def step(self, at: int) -> int:
        """As an outbox whose transactions are mined at once."""
        wishes = self.books.outbox(NODE.address).pending(100)
        for intent in wishes:
            events = self._carry_out(intent)
            self.pending += events
            self.settle(intent, outcome_of(intent, events, DOMAIN))
        return len(wishes)

    def settle(self, intent: TxIntent, outcome: Outcome) -> None:
        self.books.outbox(NODE.address).settle_intent(outcome)

    def mine(self) -> None:
        """The outbox's loop, once."""
        self.sending.step(self.now)

    def _carry_out(self, intent: TxIntent) -> list[MarketEvent]:
        match intent.instruction:
            case OpenLease(offer_id=name, offer=offer, signed=signed, rate=rate):
                fill = Fill(
                    offer_id=name,
                    offer=offer,
                    bid_id=bid_id(DOMAIN, signed.bid),
                    bid=signed.bid,
                    rate=rate,
                    authentic=True,
                )
                return self.model.match_bid(NODE.address, fill, self.now)
            case SettleReceipt(terms=terms, signed=signed):
                item = Settlement(terms=terms, receipt=signed.receipt, authentic=True)
                return self.model.settle(item, self.now)
            case CloseLease(terms=terms):
                return self.model.close_many([terms], self.now)
            case other:
                raise AssertionError(other)

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
        self.model.state = MarketState()
        for block in self.blocks:
            for logged in block.events:
                self.model.state.apply(logged.event)
        self.tell(ChainRewound(to=self.blocks[-1].block if self.blocks else GENESIS))

    def tell(self, fact: ChainObserved | ChainRewound) -> None:
        with self.books.transaction() as unit:
            self.exchange.observe([fact], unit)
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
        return UsageReported(
            lease=lease,
            milliseconds=milliseconds,
            cpu_ns=0,
            peak_bytes=0,
            evidence=a_digest("evidence"),
            last=last,
            at=self.now,
        )

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
