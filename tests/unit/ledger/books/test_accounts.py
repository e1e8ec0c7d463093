"""Double entry: no event makes or destroys a base unit, and what a lease holds stays its owner's."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from ledger.books.accounts import (
    BURNED,
    FEES,
    Kind,
    Move,
    balance,
    bond,
    escrow,
    lock,
    moves_of,
    stake,
    unstaking,
    wallet,
)
from ledger.market.events import (
    BidSkipped,
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    Deposited,
    FeePaid,
    LeaseClosed,
    LeaseOpened,
    MarketEvent,
    StakeBurned,
    Staked,
    Unstaked,
    UnstakeQueued,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import BidId, LeaseId
from ledger.market.lease import ClaimDecidedBy, ClosedBecause
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from tests.factories import NOW, a_digest, an_address, some_terms
from tests.strategies import words

LEASE = LeaseId(a_digest("lease"))
BUYER, PROVIDER, MATCHER, OTHER = (an_address(name) for name in ("buyer", "provider", "node", "other"))
OURS, THEIRS = bond(LEASE, "provider"), bond(LEASE, "buyer")


def opened(amount: int) -> LeaseOpened:
    return LeaseOpened(id=LEASE, terms=some_terms(), start=NOW, escrow=amount, nonce=1, job=a_digest("job"))


def settled(amount: int, fee: int = 0) -> UsageSettled:
    return UsageSettled(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        milliseconds=1,
        amount=amount,
        fee=fee,
        paid=amount,
        evidence=a_digest("evidence"),
    )


def closed(refunded: int, paid: int = 0) -> LeaseClosed:
    return LeaseClosed(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        paid=paid,
        refunded=refunded,
        because=ClosedBecause.RELEASED,
    )


def claimed(bond_: int) -> ClaimOpened:
    return ClaimOpened(lease=LEASE, buyer=BUYER, provider=PROVIDER, claimed=9, bond=bond_, until=NOW)


def contested(bond_: int) -> ClaimContested:
    return ClaimContested(lease=LEASE, buyer=BUYER, provider=PROVIDER, bond=bond_, until=NOW)


def decided(amount: int, fee: int, to_provider: int, to_buyer: int, burned: int) -> ClaimDecided:
    return ClaimDecided(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        amount=amount,
        fee=fee,
        paid=amount,
        to_provider=to_provider,
        to_buyer=to_buyer,
        burned=burned,
        by=ClaimDecidedBy.ARBITER,
    )


class Ledger:
    """The totals that the database derives, in a few lines."""

    def __init__(self) -> None:
        self.posted: dict[str, int] = defaultdict(int)
        self.pending: dict[str, int] = defaultdict(int)
        self.held: dict[str, int] = defaultdict(int)

    def take(self, *events: MarketEvent) -> "Ledger":
        for event in events:
            for move in moves_of(event, EMBEDDED, lambda name: self.held[name]):
                self.move(move)
        return self

    def move(self, move: Move) -> None:
        if move.kind in (Kind.DIRECT, Kind.POST):
            self.posted[move.debit] -= move.amount
            self.posted[move.credit] += move.amount
        if move.hold is not None:
            sign = 1 if move.kind is Kind.PENDING else -1
            self.pending[move.debit] += sign * move.amount
            self.held[move.hold] += sign * move.amount
            assert self.held[move.hold] >= 0

    def available(self) -> Mapping[str, int]:
        names = self.posted.keys() | self.pending.keys()
        return {name: rest for name in names if (rest := self.posted[name] - self.pending[name])}

    def left(self) -> Mapping[str, int]:
        return {name: amount for name, amount in self.held.items() if amount}


def paths(events: Sequence[MarketEvent]) -> list[tuple[Kind, str, str, str | None]]:
    return [
        (move.kind, move.debit, move.credit, move.hold)
        for event in events
        for move in moves_of(event, held=lambda _: 0)
    ]


amounts = st.integers(1, 1 << 80)


@given(amounts)
def test_each_event_moves_its_money_from_one_account_to_another(amount: int) -> None:
    """Without the market's rules, which say what a lease locks."""
    ours, theirs = balance(PROVIDER), balance(BUYER)
    events: list[MarketEvent] = [
        Deposited(account=BUYER, amount=amount),
        opened(amount),
        settled(amount),
        closed(amount),
        Withdrawn(account=BUYER, to=OTHER, amount=amount),
        Staked(account=PROVIDER, amount=amount),
        UnstakeQueued(account=PROVIDER, amount=amount, unlock_at=NOW),
        Unstaked(account=PROVIDER, amount=amount),
        StakeBurned(provider=PROVIDER, lease=LEASE, amount=amount),
        FeePaid(matcher=MATCHER, amount=amount),
        claimed(amount),
        contested(amount),
    ]
    assert paths(events) == [
        (Kind.DIRECT, wallet(BUYER), theirs, None),
        (Kind.PENDING, theirs, ours, escrow(LEASE)),
        (Kind.POST, theirs, ours, escrow(LEASE)),
        (Kind.VOID, theirs, ours, escrow(LEASE)),
        (Kind.DIRECT, theirs, wallet(OTHER), None),
        (Kind.DIRECT, ours, stake(PROVIDER), None),
        (Kind.DIRECT, stake(PROVIDER), unstaking(PROVIDER), None),
        (Kind.DIRECT, unstaking(PROVIDER), ours, None),
        (Kind.DIRECT, stake(PROVIDER), BURNED, None),
        (Kind.DIRECT, FEES, balance(MATCHER), None),
        (Kind.PENDING, ours, BURNED, OURS),
        (Kind.PENDING, theirs, BURNED, THEIRS),
    ]


@given(st.integers(10_000, 1 << 80))
def test_an_open_lease_holds_its_escrow_and_its_share_of_the_providers_stake(escrowed: int) -> None:
    locked = EMBEDDED.lock_for(escrowed)
    ledger = Ledger().take(opened(escrowed))
    assert ledger.left() == {escrow(LEASE): escrowed, lock(LEASE): locked}
    assert ledger.available() == {balance(BUYER): -escrowed, stake(PROVIDER): -locked}
    assert not any(ledger.posted.values()), "what is held is still its owner's"


@given(amounts, words(70))
def test_a_lease_that_is_over_holds_nothing_whatever_was_paid_of_it(paid: int, refunded: int) -> None:
    ledger = Ledger().take(opened(paid + refunded), settled(paid), closed(refunded, paid))
    assert ledger.left() == {}
    assert ledger.available() == {balance(BUYER): -paid, balance(PROVIDER): paid}


@given(amounts, amounts)
def test_a_payouts_fee_comes_out_of_it_and_reaches_the_matcher(net: int, fee: int) -> None:
    gross = net + fee
    ledger = Ledger().take(opened(gross), settled(gross, fee), closed(0, gross))
    ledger.take(FeePaid(matcher=MATCHER, amount=fee))
    assert ledger.available() == {
        balance(BUYER): -gross,
        balance(PROVIDER): net,
        balance(MATCHER): fee,
    }


@given(st.data(), words(70), words(70))
def test_a_decision_spreads_both_bonds_to_the_unit(data: st.DataObject, ours: int, theirs: int) -> None:
    """Whichever way, also where one side gets what was the other's."""
    to_provider = data.draw(st.integers(0, ours + theirs))
    to_buyer = data.draw(st.integers(0, ours + theirs - to_provider))
    burned = ours + theirs - to_provider - to_buyer
    ledger = Ledger().take(claimed(ours), contested(theirs), decided(0, 0, to_provider, to_buyer, burned))
    assert ledger.left() == {}
    gained = {balance(PROVIDER): to_provider - ours, balance(BUYER): to_buyer - theirs, BURNED: burned}
    assert ledger.available() == {name: amount for name, amount in gained.items() if amount}


def test_a_decision_pays_out_of_the_escrow_and_charges_its_fee() -> None:
    ledger = Ledger().take(opened(100), claimed(6), contested(20), decided(100, 1, 23, 0, 3))
    assert ledger.left() == {lock(LEASE): 10}
    assert ledger.posted == {balance(BUYER): -120, balance(PROVIDER): 99 + 17, FEES: 1, BURNED: 3}


def test_an_event_without_money_moves_none() -> None:
    assert moves_of(BidSkipped(bid=BidId(a_digest("bid")), reason=SkipReason.FUNDS)) == ()
    assert moves_of(Deposited(account=BUYER, amount=0)) == ()
