"""A random market's chain without an EVM: the kernel's model decides, so that every event is a valid one.

Blocks can be taken back: the state before each of the newest ones is kept, and what follows a fork has other
hashes. Cheap enough for a hundred thousand events.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from random import Random
from typing import Any

from ledger.market.bid import Bid
from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.events import BlockRef, Logged, MarketDeployed, MarketEvent
from ledger.market.facts import ChainObserved, ChainRewound
from ledger.market.identity import NO_DIGEST, Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.model import Fill, GangFill, MarketModel, Settlement
from ledger.market.money import rate_of
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED
from ledger.market.receipt import UsageReceipt
from ledger.market.resource import Quantities
from ledger.market.state import MarketState
from ledger.market.traits import ANY_REGION, ANY_VENDOR, FEATURES, REGIONS, VENDORS, Traits

DEPTH = 64
"""blocks that a reorganisation may take back"""
BEGINNING = 1_800_000_000
_FOREVER = BEGINNING + 10**9
_PARTIES = 12
_OPEN = 60
"""leases that are open at a time, about"""
_REMEMBERED = 200
"""closed leases that the model still knows; it needs the newest alone"""
_SIZES = (10, 40, 60, 80)
"""bits of the amounts that are deposited"""


def _address(name: str) -> Address:
    return Address(_hash(name)[:20])


def _hash(name: str) -> bytes:
    return sha256(name.encode()).digest()


def _lease_id(terms: LeaseTerms) -> LeaseId:
    return LeaseId(_hash(repr(terms)))


BUYERS = tuple(_address(f"buyer {number}") for number in range(_PARTIES))
PROVIDERS = tuple(_address(f"provider {number}") for number in range(_PARTIES))
NODES = tuple(_address(f"node {number}") for number in range(3))
GUARDIAN, ARBITER, JURY, TOKEN = (_address(name) for name in ("guardian", "arbiter", "jury", "token"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """The chain as it was when a block was its head."""

    block: BlockRef
    state: MarketState


class RandomMarket:
    """One chain that grows by random calls, and forks."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a test's dice
        self.model = MarketModel(
            policy=EMBEDDED, lease_id=_lease_id, guardian=GUARDIAN, arbiter=ARBITER, jury=JURY
        )
        self.now = BEGINNING
        self.blocks: list[ChainObserved] = []
        """those that are canonical now"""
        genesis = BlockRef(number=0, hash=_hash("genesis"), parent=bytes(32), at=self.now)
        self._past = [_Standing(block=genesis, state=_copied(self.model.state))]
        self._drawn = 0
        self._founding: list[MarketEvent] = [
            MarketDeployed(token=TOKEN, guardian=GUARDIAN, arbiter=ARBITER, jury=JURY, policy=EMBEDDED)
        ]

    @property
    def head(self) -> BlockRef:
        return self._past[-1].block

    @property
    def reach(self) -> int:
        """How many blocks can be taken back now."""
        return len(self._past) - 1

    def seal(self, events: int) -> ChainObserved:
        """The next block, of about so many events."""
        found, self._founding = self._founding, []
        self.now += self.random.choice((1, 2, 15, 70))
        while len(found) < events:
            found += self._call()
        return self._append(found)

    def rewind(self, depth: int) -> tuple[ChainRewound, list[ChainObserved]]:
        """The newest blocks vanish: what is told of it, and they themselves, oldest first."""
        vanished = self.blocks[len(self.blocks) - depth :]
        del self.blocks[len(self.blocks) - depth :]
        del self._past[len(self._past) - depth :]
        standing = self._past[-1]
        self.model.state, self.now = _copied(standing.state), standing.block.at
        return ChainRewound(to=standing.block), vanished

    def bring_back(self, blocks: Sequence[ChainObserved]) -> None:
        """Blocks that had vanished are canonical again."""
        for block in blocks:
            for logged in block.events:
                self.model.state.apply(logged.event, logged.block.at)
            self.now = block.block.at
            self._keep(block)

    def _append(self, events: Sequence[MarketEvent]) -> ChainObserved:
        self._drawn += 1
        parent = self.head
        digest = _hash(f"{parent.hash.hex()} {self._drawn}")
        ref = BlockRef(number=parent.number + 1, hash=digest, parent=parent.hash, at=self.now)
        logged = tuple(
            Logged(event=event, block=ref, log_index=index, transaction=_hash(f"{self._drawn} {index}"))
            for index, event in enumerate(events)
        )
        block = ChainObserved(block=ref, events=logged)
        self._keep(block)
        return block

    def _keep(self, block: ChainObserved) -> None:
        _forget(self.model.state)
        self.blocks.append(block)
        self._past.append(_Standing(block=block.block, state=_copied(self.model.state)))
        del self._past[: max(0, len(self._past) - DEPTH - 1)]

    # one random call

    def _call(self) -> list[MarketEvent]:
        """What one call logs; nothing where the market refused it."""
        few = len(self.model.state.leases) < _OPEN
        calls: tuple[Callable[[], list[MarketEvent]], ...] = (
            *(self._deposit, self._stake, self._withdraw, self._unstake, self._offer, self._delegate),
            *((self._match,) * (14 if few else 4)),
            *((self._gang,) * 2),
            *((self._settle,) * 10),
            *((self._end,) * 6),
            *((self._dispute,) * 4),
        )
        try:
            return self.random.choice(calls)()
        except Rejected:
            return []

    def _deposit(self) -> list[MarketEvent]:
        amount = self.random.getrandbits(self.random.choice(_SIZES)) + 1
        return self.model.deposit(self.random.choice(BUYERS + PROVIDERS), amount, self.now)

    def _stake(self) -> list[MarketEvent]:
        provider = self.random.choice(PROVIDERS)
        return self.model.stake(provider, self._part(self.model.state.balances.get(provider, 0)))

    def _withdraw(self) -> list[MarketEvent]:
        account = self.random.choice(BUYERS + PROVIDERS + NODES)
        return self.model.withdraw(account, self._part(self.model.state.balances.get(account, 0)))

    def _unstake(self) -> list[MarketEvent]:
        queued = list(self.model.state.unstaking)
        if queued and self.random.random() < 0.7:
            return self.model.finish_unstake(self.random.choice(queued), self.now)
        provider = self.random.choice(PROVIDERS)
        part = self._part(self.model.state.stakes.get(provider, 0) // 8)
        return self.model.request_unstake(provider, part, self.now)

    def _offer(self) -> list[MarketEvent]:
        state = self.model.state
        if len(state.offers) > 4 * _PARTIES and self.random.random() < 0.9:
            return []
        offer = self._new_offer()
        return self.model.register_offer(offer.provider, _offer_id(offer), offer, self.now)

    def _new_offer(self) -> Offer:
        provider = self.random.choice(PROVIDERS)
        return Offer(
            provider=provider,
            capacity=Quantities(cpu=64_000, memory=1 << 20, disk=1 << 20),
            ask=Quantities(cpu=self.random.choice((1, 1_000, 10**6, (1 << 31) - 1))),
            traits=Traits(vendors=1 << VENDORS["cpu"], regions=1 << REGIONS["eu-west"], features=1),
            min_seconds=1,
            max_seconds=10**6,
            valid_until=_FOREVER,
            epoch=self.model.state.epochs.get(provider, 0),
            salt=self._number(),
            document=NO_DIGEST,
        )

    def _delegate(self) -> list[MarketEvent]:
        roles = self.random.choice((Role(0), Role.SPEND, Role.OPERATE))
        allowance = self.random.getrandbits(80) if roles else 0
        until = _FOREVER if roles else 0
        key = self.random.choice(NODES)
        return self.model.set_delegate(self.random.choice(BUYERS), key, roles, allowance, until)

    def _match(self) -> list[MarketEvent]:
        fill = self._fill(members=1)
        return self.model.match_bid(fill.bid.matcher, fill, self.now)

    def _gang(self) -> list[MarketEvent]:
        first = self._fill(members=2)
        gang = GangFill(members=(first, first), shape=first)
        return self.model.match_gang(first.bid.matcher, gang, self.now)

    def _fill(self, members: int) -> Fill:
        offers = list(self.model.state.offers.items())
        if not offers:
            raise Rejected("no-offer", "Nobody offers anything.", "Register an offer.")
        offer_id, offer = self.random.choice(offers)
        bid = self._bid(members)
        return Fill(
            offer_id=offer_id,
            offer=offer,
            bid_id=BidId(_hash(repr(bid))),
            bid=bid,
            rate=rate_of(offer.ask, bid.want),
            authentic=True,
        )

    def _bid(self, members: int) -> Bid:
        buyer = self.random.choice(BUYERS)
        return Bid(
            buyer=buyer,
            signer=buyer,
            want=Quantities(cpu=self.random.choice((1, 500, 4_000)), memory=64, disk=64),
            traits=Traits(vendors=ANY_VENDOR, regions=ANY_REGION, features=1 << FEATURES["runc"]),
            limit_rate=(1 << 96) - 1,
            max_over_ask_bps=0,
            duration=self.random.choice((1, 60, 600, 3_600)),
            start_by=_FOREVER,
            valid_until=_FOREVER,
            open_after=_FOREVER,
            members=members,
            epoch=self.model.state.epochs.get(buyer, 0),
            nonce=self._number(),
            job=NO_DIGEST,
            matcher=self.random.choice(NODES),
        )

    def _settle(self) -> list[MarketEvent]:
        items = [self._receipt(terms) for terms in self._leases(self.random.choice((1, 1, 4)))]
        return self.model.settle_many(items, self.now)

    def _receipt(self, terms: LeaseTerms) -> Settlement:
        elapsed = self.now - self.model.state.leases[_lease_id(terms)].start
        most = min(elapsed + 20, terms.duration) * 1_000
        receipt = UsageReceipt(
            lease=_lease_id(terms),
            milliseconds=self.random.randint(0, most),
            evidence=Digest(_hash(str(self._number()))),
            last=self.random.random() < 0.3,
        )
        return Settlement(terms=terms, receipt=receipt, authentic=True)

    def _end(self) -> list[MarketEvent]:
        (terms,) = self._leases(1)
        match self.random.randrange(3):
            case 0:
                return self.model.terminate(terms.buyer, terms, self.now)
            case 1:
                return self.model.release(terms.provider, terms, self.now)
            case _:
                return self.model.close_many(self._leases(3), self.now)

    def _dispute(self) -> list[MarketEvent]:
        claimed = [one.terms for one in self.model.state.leases.values() if one.claim is not None]
        if not claimed or self.random.random() < 0.3:
            return self._claim()
        terms = self.random.choice(claimed)
        lease = self.model.state.leases[_lease_id(terms)]
        match self.random.randrange(3):
            case 0:
                return self.model.contest(terms.buyer, terms, self.now)
            case 1 if lease.claim is not None:
                paid = self.random.choice((lease.paid, lease.claim.claimed, lease.paid + 1))
                slash = self._part(self.model.policy.lock_for(lease.escrow))
                return self.model.decide(ARBITER, terms, paid, slash, self.now)
            case _:
                return self.model.finalize(terms, self.now)

    def _claim(self) -> list[MarketEvent]:
        (terms,) = self._leases(1)
        lease = self.model.state.leases[_lease_id(terms)]
        paid_for = lease.paid * 3_600_000_000 // max(1, terms.rate)
        reach = self.random.randint(0, 2 * self.model.policy.receipt_interval * 1_000)
        return self.model.claim(terms.provider, terms, paid_for + reach, self.now)

    def _leases(self, count: int) -> list[LeaseTerms]:
        found = list(self.model.state.leases.values())
        if not found:
            raise Rejected("no-lease", "No lease is open.", "Open one.")
        return [one.terms for one in self.random.sample(found, min(count, len(found)))]

    def _part(self, amount: int) -> int:
        return self.random.choice((amount, amount // 2, self.random.randint(0, amount)))

    def _number(self) -> int:
        self._drawn += 1
        return self._drawn


def _offer_id(offer: Offer) -> OfferId:
    return OfferId(_hash(repr(offer)))


def _forget(state: MarketState) -> None:
    """Closed leases and used nonces that no later call asks about; the books are compared with a fold of
    all events instead."""
    while len(state.closed) > _REMEMBERED:
        del state.closed[next(iter(state.closed))]
    for nonces in state.nonces.values():
        nonces.clear()


def _copied(state: MarketState) -> MarketState:
    """Independent of the original: what the dictionaries hold never changes, the sets of nonces apart."""
    cells = {item.name: getattr(state, item.name) for item in fields(state)}
    copies: dict[str, Any] = {
        name: copy(cell) if isinstance(cell, dict | set) else cell for name, cell in cells.items()
    }
    copies["nonces"] = {account: set(nonces) for account, nonces in state.nonces.items()}
    return replace(state, **copies)
