"""A market at its door: many providers with staked offers and live agents, and buyers with signed bids.

The offers are written as rows, since following 100,000 registrations would take longer than the measurement;
stakes and deposits are followed events. The chain is a counter: who asks it is seen.
"""

import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path

from sqlalchemy import insert

from ledger.books.books import open_books
from ledger.books.engine import open_engine
from ledger.books.mapping import dumps
from ledger.books.tables import DocumentRecord, OfferRecord
from ledger.chain.documents import canonical
from ledger.chain.keyring import keyring
from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import Domain, bid_id, keccak, offer_id
from ledger.market.bid import Bid, SignedBid
from ledger.market.delegation import Delegation, Role
from ledger.market.demand import demanded, wanted
from ledger.market.events import BlockRef, Deposited, Logged, MarketDeployed, MarketEvent, Staked
from ledger.market.facts import ChainObserved
from ledger.market.identity import Address, Digest, LeaseId, OfferId
from ledger.market.job import Job
from ledger.market.lifecycle import JobState
from ledger.market.offer import Offer
from ledger.market.offer_document import OfferDocument
from ledger.market.policy import EMBEDDED
from ledger.market.resource import Quantities
from node.exchange import Exchange
from node.trading.admission import Proposal, admit
from node.trading.continuing import Continuing
from node.trading.presence import Heartbeat, Presence
from node.trading.venue import Venue
from tests.factories import NOW, a_job, an_address, an_offer

DOMAIN = Domain(chain_id=77, market=an_address("market"))
NODE = LocalKey(sha256(b"node").digest())
PROVIDERS, BUYERS = 1_000, 64
STAKE, DEPOSIT = 10**12, 10**15
_AT_ONCE = 5_000
_PROBED = 7
"""a step through the capacities and prices, which has no divisor in common with their numbers"""


class CountedChain:
    """The chain's head, which knows no more than what was followed."""

    def __init__(self) -> None:
        self.asked = 0

    def balance_of(self, _account: Address) -> int:
        self.asked += 1
        return DEPOSIT

    def epoch_of(self, _account: Address) -> int:
        self.asked += 1
        return 0

    def nonce_used(self, _account: Address, _nonce: int) -> bool:
        self.asked += 1
        return False

    def lease_of(self, _lease: LeaseId) -> object | None:
        self.asked += 1
        return None

    def delegation_of(self, _account: Address, key: Address) -> Delegation:
        self.asked += 1
        return Delegation(key=key, roles=Role(0), allowance=0, until=0)


class Door:
    """An exchange on books in `folder`, with so many live offers."""

    def __init__(self, folder: Path, offers: int) -> None:
        self._path = folder / "books.sqlite3"
        self._books = open_books(str(self._path))
        self._chain = CountedChain()
        self._buyers = [LocalKey(sha256(f"buyer {number}".encode()).digest()) for number in range(BUYERS)]
        self._nonces = count(1)
        self._live: dict[Address, set[OfferId]] = {}
        self._found()
        self._list(offers)
        self._presence = Presence(NOW, 10**6, 10**6)
        for provider, names in self._live.items():
            beat = Heartbeat(offers=frozenset(names), draining=False, engine_ok=True, at=NOW)
            self._presence.beat(provider, beat)
        self.restarted = 0.0
        self.restart()

    @property
    def asked(self) -> int:
        """How many questions the chain was asked."""
        return self._chain.asked

    def restart(self) -> None:
        """A new exchange, which reads everything."""
        started = time.perf_counter()
        self._exchange = Exchange(
            self._books,
            self._chain,
            Venue(domain=DOMAIN, address=NODE.address, policy=EMBEDDED),
            self._presence,
            Continuing(DOMAIN, keyring(NODE)),
        )
        self._exchange.start(NOW)
        self.restarted = time.perf_counter() - started

    def submit(self, proposal: Proposal) -> None:
        """From the proposal to the journalled match."""
        order = admit(DOMAIN, [proposal], NODE.address, NOW)
        row = self._exchange.submit(order, 0, NOW)
        assert row.state is JobState.OPENING

    def planned(self) -> int:
        """How many jobs are about to open."""
        return len(self._books.queries.open_orders())

    def signed(self, number: int) -> list[Proposal]:
        """So many fresh bids, of the buyers by turns."""
        jobs = [a_job(cpu=1_000 * (1 + turn % 4), max_rate=10**9) for turn in range(4)]
        return [
            _proposal(jobs[nonce % 4], self._buyers[nonce % BUYERS], nonce)
            for nonce in (next(self._nonces) for _ in range(number))
        ]

    def close(self) -> None:
        self._books.close()

    def _found(self) -> None:
        """The market's first block: its rules, stakes and deposits."""
        events: list[MarketEvent] = [
            MarketDeployed(
                token=an_address("token"),
                guardian=NODE.address,
                arbiter=NODE.address,
                jury=an_address("jury"),
                policy=EMBEDDED,
            )
        ]
        for buyer in self._buyers:
            events.append(Deposited(account=buyer.address, amount=DEPOSIT))
        for provider in map(_provider, range(PROVIDERS)):
            events += [Deposited(account=provider, amount=STAKE), Staked(account=provider, amount=STAKE)]
        block = BlockRef(number=1, hash=sha256(b"block").digest(), parent=bytes(32), at=NOW)
        logged = tuple(
            Logged(event=event, block=block, log_index=index, transaction=block.hash)
            for index, event in enumerate(events)
        )
        with self._books.transaction() as unit:
            unit.record(ChainObserved(block=block, events=logged))
            unit.save_cursor(block, (block,))

    def _list(self, offers: int) -> None:
        engine = open_engine(str(self._path))
        for start in range(0, offers, _AT_ONCE):
            some = list(_offers(start, min(_AT_ONCE, offers - start)))
            with engine.begin() as connection:
                rows = [
                    {
                        "id": name,
                        "provider": offer.provider,
                        "offer": dumps(offer),
                        "used": 0,
                        "cancelled": False,
                    }
                    for name, offer, _ in some
                ]
                connection.execute(insert(OfferRecord), rows)
                documents = [{"hash": offer.document, "body": body} for _, offer, body in some]
                connection.execute(insert(DocumentRecord), documents)
            for name, offer, _ in some:
                self._live.setdefault(offer.provider, set()).add(name)
        engine.dispose()


def _provider(number: int) -> Address:
    return an_address(f"provider {number}")


def _offers(start: int, number: int) -> Iterator[tuple[OfferId, Offer, bytes]]:
    for place in range(start, start + number):
        domain = f"group{place % 50}/site{place % 20}"
        plain = OfferDocument(name=f"offer-{place}", domain=domain, region="eu-west").to_plain()
        body = canonical(plain)
        cores = 8 << place * _PROBED % 4
        offer = an_offer(
            provider=_provider(place % PROVIDERS),
            document=Digest(keccak(body)),
            capacity=Quantities(cpu=1_000 * cores, memory=4_096 * cores, disk=16_384 * cores),
            ask=Quantities(cpu=900 + place * _PROBED % 1_013),
            salt=place,
        )
        yield offer_id(DOMAIN, offer), offer, body


def _proposal(job: Job, buyer: LocalKey, nonce: int) -> Proposal:
    document = job.to_plain()
    bid = Bid(
        buyer=buyer.address,
        signer=NODE.address,
        want=wanted(job),
        traits=demanded(job, 0),
        limit_rate=job.max_rate,
        max_over_ask_bps=0,
        duration=job.max_seconds,
        start_by=NOW + 3_600,
        valid_until=NOW + 3_600,
        open_after=NOW + 3_601,
        members=1,
        flags=0,
        epoch=0,
        nonce=nonce,
        job=Digest(keccak(canonical(document))),
        matcher=NODE.address,
    )
    signed = SignedBid(bid=bid, signature=buyer.sign(bid_id(DOMAIN, bid)))
    return Proposal(document=document, attempts=(signed,))
