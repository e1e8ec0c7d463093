"""Whoever has the logs has the state: every slot that market and jury wrote follows from events alone."""

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import boa
from boa.util.abi import Address

from contracts.loader import artifact
from ledger.market.policy import EMBEDDED
from tests.fakes.event_storage import CLAIMED, CONTESTED, EventStorage
from tests.fakes.market_bench import (
    PURSE,
    RATE,
    ZERO,
    Log,
    MarketBench,
    Reverted,
    Words,
    account,
    raw,
    terms_of,
)

PROVIDERS = ("provider", "rival", "replica 0", "replica 1")
PARTIES = (*PROVIDERS, "buyer", "other")
NONCES = (*range(12), 31, 32, 40, 63, 64, 250, 256, 2**21 - 1, 2**21, 2**63)
RESULTS = (b"a" * 32, b"b" * 32)
SESSIONS, CALLS = 4, 250


class Session:
    """Random calls of random parties; what is refused changes nothing and is forgotten."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.storage = EventStorage()
        self.seen: set[str] = set()
        self.offers: list[tuple[str, Words]] = []
        self.gangs: list[tuple[Words, list[Words]]] = []
        self.bench = MarketBench()
        for name in PARTIES:
            if name not in ("provider", "buyer"):
                self.bench.fund(name)
        self.read = 0

    def follow(self) -> None:
        """Read the logs that were not read yet, as a node does."""
        logs = [log for _, log in self.bench.logged[self.read :]]
        for at, log in self.bench.logged[self.read :]:
            self.storage.apply(log, at)
        self.seen |= {log.name for log in logs}
        self.read = len(self.bench.logged)

    def step(self) -> None:
        action = self.random.choice(ACTIONS)
        with suppress(Reverted, IndexError, StopIteration):
            action(self)
        self.follow()

    def party(self) -> str:
        return self.random.choice(PARTIES)

    def lease(self, *states: int) -> Words:
        """The terms of an open lease, of one in these states where any is."""
        known = list(self.storage.leases.values())
        fit = [one for one in known if one.state in states] or known
        return terms_of([Log("market", "LeaseOpened", self.random.choice(fit).opened)])[0]

    def send(self, function: str, *arguments: Any, by: str) -> None:
        self.bench.call("market", function, *arguments, sender=by)

    def owner_of(self, terms: Words, place: int) -> str:
        return next((name for name in PARTIES if account(name) == terms[place]), "stranger")

    # Each of these is one call that may well be refused.

    def money(self) -> None:
        name, amount = self.party(), self.random.choice([1, 1_000, PURSE // 2])
        self.send(self.random.choice(["deposit", "withdraw", "stake", "requestUnstake"]), amount, by=name)

    def unstake(self) -> None:
        self.send("finishUnstake", account(self.party()), by="stranger")

    def permitted(self) -> None:
        name = self.party()
        self.bench.call("token", "approve", self.bench.addresses["market"], 0, sender=name)
        permit = self.bench.permit(name, 77, self.bench.at)
        self.send("depositWithPermit", *permit, by="stranger")
        self.bench.call("token", "approve", self.bench.addresses["market"], 2**256 - 1, sender=name)

    def withdraw_signed(self) -> None:
        nonce = self.random.choice(NONCES)
        self.send("withdrawSigned", *self.bench.withdrawal(self.party(), nonce=nonce), by="stranger")

    def nonces(self) -> None:
        index = self.random.choice([0, 1, 2**13 - 1, 2**13])
        self.send("cancelNonces", index, 1 << self.random.randrange(256), by=self.party())

    def epoch(self) -> None:
        if self.random.random() < 0.1:
            self.send("bumpEpoch", by=self.party())

    def delegate(self) -> None:
        roles = self.random.choice([0, 1, 2, 3])
        limits = (2 * PURSE, self.bench.at + 10_000) if roles else (0, 0)
        self.send("setDelegate", account("laptop"), roles, *limits, by=self.party())

    def guard(self) -> None:
        self.send(self.random.choice(["pause", *["unpause"] * 4]), by="guardian")

    def register(self) -> None:
        name = self.random.choice(PROVIDERS)
        offers = [self._offer(name) for _ in range(self.random.choice([1, 1, 3]))]
        if len(offers) == 1:
            self.send("registerOffer", offers[0], by=name)
        else:
            self.send("registerOffers", offers, by=name)
        self.offers += [(name, offer) for offer in offers]

    def _offer(self, name: str) -> Words:
        salt = self.random.randrange(2**60)
        epoch = self.bench.view("market", "epochOf", account(name))
        return self.bench.offer(name, salt=salt, epoch=epoch, valid_until=self.bench.at + 30_000)

    def cancel(self) -> None:
        name, offer = self.random.choice(self.offers[-4:])
        if self.random.random() < 0.3:
            self.send("cancelOffer", offer, by=name)

    def _fill(self, offer_index: int = 0, **changes: Any) -> Words:
        buyer = self.random.choice(["buyer", "other", "rival"])
        nonce = self.random.choice([*NONCES, *range(300, 320), self.random.randrange(2**12)])
        fields = {"nonce": nonce, "buyer": raw(buyer), "duration": 600}
        fields |= {"start_by": self.bench.at + 60, "valid_until": self.bench.at + 60}
        fields["epoch"] = self.bench.view("market", "epochOf", account(buyer))
        by = self.random.choice([buyer, buyer, "laptop"])
        bid = self.bench.bid(**(fields | changes))
        return self.bench.fill(bid, signed_by=by, offer_index=offer_index)

    def match(self) -> None:
        self.send("matchBid", self.random.choice(self.offers[-6:])[1], self._fill(), by="matcher")

    def match_many(self) -> None:
        offers = [self.random.choice(self.offers[-6:])[1] for _ in range(3)]
        fills = [self._fill(self.random.randrange(4)) for _ in range(6)]
        self.send("matchBids", offers, sorted(fills, key=lambda fill: fill[0]), ZERO, by="matcher")

    def gang(self) -> None:
        # Of each provider the newest offer, or any offers.
        newest = list(dict(self.offers).values())
        offers = self.random.choice([newest, [offer for _, offer in self.offers[-8:]]])
        size = self.random.choice([2, 3])
        picked = self.random.sample(range(len(offers)), min(size, len(offers)))
        members = [[index, RATE] for index in picked]
        flags = self.random.choice([0, 1, 2 | size << 4, 2 | 2 << 4])
        _, _, bid, *signature = self._fill(members=size, flags=flags)
        logs = self.bench.call(
            "market", "matchGang", offers, members, bid, *signature, ZERO, sender="matcher"
        )
        if terms := terms_of(logs):
            self.gangs.append((bid, terms))

    def go_on(self) -> None:
        terms = self.lease()
        offer = next(offer for _, offer in self.offers if self._digest(offer) == terms[0])
        buyer = self.owner_of(terms, 4)
        fill = self._fill(continues=self.bench.lease_id(terms), buyer=raw(buyer))
        fill[3:] = self.bench.sign("Bid", fill[2], buyer)
        self.send("continueLease", self._receipt(terms, last=True), offer, fill, by="matcher")

    def _digest(self, offer: Words) -> bytes:
        return bytes(self.bench.view("market", "offerDigest", offer))

    def _receipt(self, terms: Words, *, last: bool) -> Words:
        elapsed = (self.bench.at - self.bench.state_of(terms)[2]) * 1000
        return self.bench.receipt(terms, min(elapsed, terms[9] * 1000), last=last)

    def settle(self) -> None:
        last = self.random.random() < 0.3
        self.send("settle", self._receipt(self.lease(), last=last), by="stranger")

    def settle_many(self) -> None:
        items = [self._receipt(self.lease(), last=self.random.random() < 0.2) for _ in range(4)]
        self.send("settleMany", items, by="stranger")

    def end(self) -> None:
        terms = self.lease()
        kind, place = self.random.choice([("release", 3), ("terminate", 4), ("terminate", 4)])
        self.send(kind, terms, by=self.owner_of(terms, place))

    def close(self) -> None:
        if self.random.random() < 0.5:
            self.send("close", self.lease(), by="stranger")
        else:
            self.send("closeMany", [self.lease() for _ in range(3)], by="stranger")

    def claim(self) -> None:
        terms = self.lease()
        _, paid, start, _, _ = self.bench.state_of(terms)
        most = (self.bench.at - start) * 1000
        milliseconds = min(most, paid * 3_600_000_000 // terms[8] + self.random.choice([5_000, 15_000]))
        self.send("claim", terms, milliseconds, by=self.owner_of(terms, 3))

    def contest(self) -> None:
        terms = self.lease(CLAIMED)
        self.send("contest", terms, by=self.owner_of(terms, 4))

    def decide(self) -> None:
        terms = self.lease(CONTESTED)
        claimed = self.bench.view("market", "claimOf", self.bench.lease_id(terms))[0]
        paid = self.bench.state_of(terms)[1]
        to = self.random.choice([paid, claimed, (paid + claimed) // 2])
        self.send("decide", terms, to, self.random.choice([0, 3]), by="arbiter")

    def finalize(self) -> None:
        self.send("finalize", self.lease(CLAIMED, CONTESTED), by="stranger")

    def commit(self) -> None:
        _, terms = self.gangs[-1]
        for one in terms:
            with suppress(Reverted):
                self.bench.commit(one, self.random.choice([*RESULTS, RESULTS[0]]), self.owner_of(one, 3))

    def reveal(self) -> None:
        bid, terms = self.gangs[-1]
        for one in terms:
            for result in RESULTS:
                with suppress(Reverted):
                    self.bench.reveal(bid, one, result, self.owner_of(one, 3))

    def judge(self) -> None:
        bid, terms = self.random.choice(self.gangs)
        self.bench.call("jury", "decide", bid, terms, sender="stranger")

    def wait(self) -> None:
        self.bench.advance(self.random.choice([1, 5, 20, 70, 310]))


ACTIONS: list[Callable[[Session], None]] = [
    *[Session.money, Session.unstake, Session.permitted, Session.withdraw_signed, Session.nonces],
    *[Session.epoch, Session.delegate, Session.guard, Session.register, Session.cancel],
    *[Session.match, Session.match_many, Session.gang, Session.go_on] * 2,
    *[Session.settle, Session.settle_many, Session.end, Session.close] * 2,
    *[Session.claim, Session.contest, Session.decide, Session.finalize] * 2,
    *[Session.commit, Session.reveal, Session.judge, Session.wait] * 2,
]


def written(bench: MarketBench, contract: str) -> dict[int, int]:
    """What the EVM holds in every slot that the contract ever wrote, without the zeros."""
    at = Address(bench.addresses[contract])
    values = {slot: boa.env.get_storage(at, slot) for slot in boa.env.sstore_trace[at]}
    return {slot: value for slot, value in values.items() if value}


def check(session: Session) -> None:
    session.follow()
    bench, storage = session.bench, session.storage
    assert storage.market_slots() == written(bench, "market")
    assert storage.jury_slots(bench.addresses["market"]) == written(bench, "jury")


def after_a_session(seed: int) -> Session:
    session = Session(seed)
    for number in range(CALLS):
        session.step()
        if number % 50 == 0:
            check(session)
    check(session)
    return session


def test_storage_is_what_the_events_say_after_any_session() -> None:
    seen: set[str] = set()
    for seed in range(SESSIONS):
        seen |= after_a_session(seed).seen
    events = {
        entry["name"]
        for contract in ("ComputeMarket", "ReplicaJury")
        for entry in artifact(contract).abi
        if entry["type"] == "event"
    }
    assert events - seen == {"GuardianRenounced"}, "a session that leaves events out proves too little"


def test_a_guardian_that_renounced_leaves_an_empty_slot() -> None:
    session = Session(0)
    session.send("pause", by="guardian")
    session.send("renounceGuardian", by="guardian")
    check(session)


def test_what_every_lease_locks_is_the_stake_that_is_missing() -> None:
    session = after_a_session(9)
    storage = session.storage
    locks = sum(EMBEDDED.lock_for(lease.opened["escrow"]) for lease in storage.leases.values())
    accounts = storage.accounts.values()
    bonds = sum((lease.claim >> 88) % 2**88 for lease in storage.leases.values())
    contested = sum(lease.claim % 2**88 - lease.paid for lease in storage.leases.values() if lease.state == 3)
    held = sum(one.balance + one.stake for one in accounts) + locks + bonds + contested + storage.burned
    held += sum(lease.opened["escrow"] - lease.paid for lease in storage.leases.values())
    held += sum(amount for amount, _ in storage.queues.values())
    assert held == session.bench.view("token", "balanceOf", session.bench.addresses["market"])
