"""A market with a lease in each state, and short words for what may be tried on it.

Each word makes arguments of a call, or brings the market into a state, for the table of `test_reverts`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boa
from eth_utils.crypto import keccak

from contracts.loader import artifact
from ledger.market.policy import EMBEDDED
from tests.fakes.market_bench import DURATION, ZERO, MarketBench, Words, account, changed
from tests.fakes.odd_tokens import LYING, deploy_token

WEEK = 7 * 24 * 3600
PATIENCE = 2 * EMBEDDED.receipt_interval
RESULT = b"r" * 32
MAX_AMOUNT = 2**88 - 1


class Scene:
    """A market with a lease in each state, and the parties that a refusal needs."""

    def __init__(self) -> None:
        self.bench = bench = MarketBench()
        self.offer = bench.register()
        self.active, self.ended, self.claimed, self.contested = (
            bench.open(self.offer, nonce=nonce) for nonce in (1, 2, 3, 4)
        )
        bench.call("market", "terminate", self.ended, sender="buyer")
        for terms in (self.claimed, self.contested):
            bench.call("market", "claim", terms, 10_000, sender="provider")
        bench.call("market", "contest", self.contested, sender="buyer")
        self.replicas, self.members = bench.gang(("replica 0", "replica 1", "replica 2"), agree=2)
        self.unknown = changed(self.active, member=9)
        roles = {"spender": 1, "operator": 2}
        for owner in ("buyer", "provider", "replica 0"):
            for name, role in roles.items():
                bench.call("market", "setDelegate", account(name), role, 0, 2**40 - 1, sender=owner)
            bench.call("market", "setDelegate", account("stale"), 3, 2**100, bench.at - 1, sender=owner)

    def next_of(self, terms: Words, *, last: bool = True, by: str = "signer", **changes: Any) -> list[Any]:
        """The arguments of `continueLease` for the lease's next."""
        bid = self.bench.bid(**({"nonce": 70, "continues": self.bench.lease_id(terms)} | changes))
        return [self.bench.receipt(terms, 1_000, last=last, by=by), self.offer, self.bench.fill(bid)]

    def odd(self, source: str) -> None:
        """Another market, of an odd token."""
        token = deploy_token(source)
        bench = self.bench
        bench.addresses = {"token": str(token.address), "jury": bench.deploy("ReplicaJury", b"")}
        bench.addresses["market"] = bench.deploy("ComputeMarket", bench.constructor())
        if source == LYING:
            bench.call("market", "deposit", MAX_AMOUNT, sender="buyer")
            token.tell(0)


Arguments = Callable[[Scene], list[Any]]
Prepare = Callable[[Scene], object]


@dataclass(frozen=True, slots=True)
class Row:
    """One refusal; `given` makes the arguments, `after` brings the market into the state."""

    contract: str
    function: str
    when: str
    reason: str
    given: Arguments
    by: str
    after: Prepare


def rows(function: str, *cases: tuple[Any, ...]) -> list[Row]:
    """The cases of one function: when, reason, arguments or what makes them, by whom, after what."""
    return [_row(function, *case) for case in cases]


def _row(
    function: str,
    when: str,
    reason: str,
    given: Any = (),
    by: str = "stranger",
    after: Prepare | None = None,
) -> Row:
    contract, _, name = function.partition(".")
    made = given if callable(given) else lambda _: list(given)
    return Row(contract, name, when, reason, made, by, after or nothing)


def nothing(_: Scene) -> None:
    """The scene as it is."""


def call(function: str, *arguments: Any, by: str) -> Prepare:
    contract, _, name = function.partition(".")
    return lambda s: s.bench.call(contract, name, *arguments, sender=by)


def wait(seconds: int) -> Prepare:
    return lambda s: s.bench.advance(seconds)


def both(*steps: Prepare) -> Prepare:
    def run(scene: Scene) -> None:
        for step in steps:
            step(scene)

    return run


paused = call("market.pause", by="guardian")


queued = both(call("market.requestUnstake", 5, by="provider"), wait(EMBEDDED.unstake_delay - 1))


def cancelled(s: Scene) -> None:
    s.bench.call("market", "cancelOffer", s.offer, sender="operator")


def released(s: Scene) -> None:
    s.bench.call("market", "release", s.active, sender="provider")


def arbitrated(s: Scene) -> None:
    s.bench.call("market", "decide", s.contested, 0, 0, sender="arbiter")


def odd(source: str) -> Prepare:
    """The scene with a market of an odd token."""
    return lambda s: s.odd(source)


def active(s: Scene) -> list[Any]:
    return [s.active]


def lease(name: str, *more: Any) -> Arguments:
    return lambda s: [getattr(s, name), *more]


def offered(**changes: Any) -> Arguments:
    return lambda s: [s.bench.offer(**changes)]


def two_offers(**changes: Any) -> Arguments:
    """A good one first: a bad one reverts the whole call."""
    return lambda s: [[s.bench.offer(salt=50), s.bench.offer(salt=51, **changes)]]


def withdrawal(signed_by: str = "", **changes: Any) -> Arguments:
    return lambda s: s.bench.withdrawal("buyer", signed_by, **changes)


def permit(amount: int = 9, *, seconds: int = 60, **changes: Any) -> Arguments:
    """Of a purse that approved nothing; good for so many seconds."""

    def make(s: Scene) -> list[Any]:
        s.bench.give("owner")
        s.bench.call("token", "approve", s.bench.addresses["market"], 0, sender="owner")
        return s.bench.permit("owner", amount, s.bench.at + seconds, **changes)

    return make


def next_lease(name: str = "active", **changes: Any) -> Arguments:
    return lambda s: s.next_of(getattr(s, name), **changes)


def next_elsewhere(s: Scene) -> list[Any]:
    item, _, fill = s.next_of(s.active)
    return [item, s.bench.register(salt=88), fill]


def next_replica(s: Scene) -> list[Any]:
    item, _, fill = s.next_of(s.members[0])
    return [item, s.bench.offer("replica 0", salt=3), fill]


def paid_and_contested(s: Scene) -> list[Any]:
    """A contested claim on a lease that a receipt has paid, and a decision below that."""
    bench, terms = s.bench, s.active
    bench.call("market", "settle", bench.receipt(terms, 5_000), sender="stranger")
    bench.call("market", "claim", terms, 10_000, sender="provider")
    bench.call("market", "contest", terms, sender="buyer")
    return [terms, bench.state_of(terms)[1] - 1, 0]


def created(changes: Mapping[int, int]) -> Arguments:
    """The constructor's encoded arguments with the words at some places replaced."""

    def make(s: Scene) -> list[Any]:
        encoded = s.bench.constructor()
        words = [encoded[place : place + 32] for place in range(0, len(encoded), 32)]
        for place, value in changes.items():
            words[place] = value.to_bytes(32, "big")
        return [b"".join(words)]

    return make


def matched(s: Scene) -> list[Any]:
    return [s.offer, s.bench.fill(s.bench.bid(nonce=60))]


def batch(s: Scene) -> list[Any]:
    return [[s.offer], [s.bench.fill(s.bench.bid(nonce=60))], ZERO]


def gang(members: int = 2) -> Arguments:
    def make(s: Scene) -> list[Any]:
        bid = s.bench.bid(nonce=60, members=2)
        return [[s.offer], [[0, 1]] * members, bid, *s.bench.sign("Bid", bid, "buyer"), ZERO]

    return make


def judged(guilty: bool = True, name: str = "") -> Arguments:
    return lambda s: [getattr(s, name) if name else s.members[0], guilty]


def member(number: int, *more: Any) -> Arguments:
    return lambda s: [s.members[number], *more]


def commits(*numbers: int) -> Prepare:
    def run(s: Scene) -> None:
        for number in numbers:
            s.bench.commit(s.members[number], RESULT, f"replica {number}")

    return run


def reveals(*numbers: int) -> Prepare:
    def run(s: Scene) -> None:
        for number in numbers:
            s.bench.reveal(s.replicas, s.members[number], RESULT, f"replica {number}")

    return run


def revealed(number: int, result: bytes = RESULT, **changes: Any) -> Arguments:
    return lambda s: [
        changes.get("bid", s.replicas),
        s.members[number],
        result,
        changes.get("salt", ZERO),
    ]


def commit_zero(s: Scene) -> None:
    s.bench.commit(s.members[0], ZERO, "replica 0")
    commits(1, 2)(s)


def decided(pick: Callable[[list[Words]], list[Words]] = list) -> Arguments:
    return lambda s: [s.replicas, pick(s.members)]


def decide(s: Scene) -> None:
    """As soon as it is time whatever happened."""
    s.bench.advance(DURATION + 2 * PATIENCE + 1)
    s.bench.call("jury", "decide", s.replicas, s.members, sender="stranger")


def last_epoch(s: Scene) -> None:
    """As if the account had bumped its epoch 2^32 - 1 times."""
    market = s.bench.addresses["market"]
    layout = artifact("ComputeMarket").storage_layout["accounts"]["_words"]["slot"]
    slot = keccak(layout.to_bytes(32, "big") + bytes.fromhex(account("buyer")[2:]).rjust(32, b"\0"))
    place = int.from_bytes(slot, "big")
    boa.env.set_storage(market, place, boa.env.get_storage(market, place) | (2**32 - 1) << 176)


def poor(name: str) -> Prepare:
    """Whatever the party has in its balance is withdrawn."""
    return lambda s: s.bench.call("market", "withdraw", s.bench.balance(name), sender=name)
