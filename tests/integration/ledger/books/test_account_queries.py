"""Stakes, delegates, claims and rules as the books know them, and as a reorganisation takes them back."""

from collections.abc import Iterator

import pytest

from ledger.books.accounts import BURNED, FEES, balance, bond, lock, stake, unstaking
from ledger.books.books import Books, open_books
from ledger.books.rows import LeaseRow, StakeRow
from ledger.market.delegation import Delegation, Role
from ledger.market.errors import Broken
from ledger.market.events import GuardianRenounced, Paused, StakeBurned, Staked, Unpaused
from ledger.market.identity import NOBODY, Address
from ledger.market.lease import UsageClaim
from ledger.market.policy import EMBEDDED
from tests.factories import NOW, an_address
from tests.fakes.small_market import BUYER, MATCHER, PROVIDER, SmallMarket, lease_id

LEASE = lease_id("digits")
STAKE = 10_000
KEY = an_address("laptop")


@pytest.fixture
def books(books_url: str) -> Iterator[Books]:
    with open_books(books_url) as opened:
        yield opened


@pytest.fixture
def market(books: Books) -> SmallMarket:
    """A market with its rules, a buyer with money and a provider with stake, in the first block."""
    market = SmallMarket()
    market.deploy()
    market.register()
    market.deposit(1_000_000)
    market.deposit(50, PROVIDER)
    market.stake(STAKE)
    follow(books, market)
    return market


def follow(books: Books, market: SmallMarket) -> None:
    with books.transaction() as unit:
        unit.record(market.seal())


def take_back(books: Books, market: SmallMarket, depth: int = 1) -> None:
    with books.transaction() as unit:
        unit.record(market.rewind(depth))


def the_lease(books: Books) -> LeaseRow:
    row = books.queries.lease(LEASE)
    assert row is not None
    return row


def total(books: Books, account: str) -> int:
    """What an account may use, or what is left of a hold."""
    held = books.queries.holds().get(account)
    return books.queries.totals(account).available if held is None else held


def test_an_open_lease_locks_stake_until_it_closes(books: Books, market: SmallMarket) -> None:
    locked = EMBEDDED.lock_for(market.open("digits"))
    follow(books, market)
    assert books.queries.stake(PROVIDER) == StakeRow(
        free=STAKE - locked, locked=locked, unstaking=0, unlock_at=None
    )
    assert the_lease(books).lock == total(books, lock(LEASE)) == locked > 0
    market.close(LEASE)
    follow(books, market)
    assert books.queries.stake(PROVIDER) == StakeRow(free=STAKE, locked=0, unstaking=0, unlock_at=None)
    assert total(books, lock(LEASE)) == 0


def test_stake_asked_back_unlocks_and_returns(books: Books, market: SmallMarket) -> None:
    market.unstake(100, NOW + 360)
    market.unstake(50, NOW + 400)
    follow(books, market)
    asked = StakeRow(free=STAKE - 150, locked=0, unstaking=150, unlock_at=NOW + 400)
    assert books.queries.stake(PROVIDER) == asked
    assert total(books, unstaking(PROVIDER)) == 150
    market.finish_unstake()
    follow(books, market)
    returned = StakeRow(free=STAKE - 150, locked=0, unstaking=0, unlock_at=None)
    assert books.queries.stakes() == {PROVIDER: returned}
    assert books.queries.balance(PROVIDER) == 50 + 150
    take_back(books, market)
    assert books.queries.stake(PROVIDER) == asked
    take_back(books, market)
    assert books.queries.stake(PROVIDER) == StakeRow(free=STAKE, locked=0, unstaking=0, unlock_at=None)


def test_who_never_staked_has_none(books: Books, market: SmallMarket) -> None:
    assert books.queries.stake(BUYER) == StakeRow(free=0, locked=0, unstaking=0, unlock_at=None)
    assert BUYER not in books.queries.stakes()


def test_a_fee_is_taken_from_the_payout_and_reaches_the_matcher(books: Books, market: SmallMarket) -> None:
    market.open("digits")
    paid = market.settle(LEASE, 600_000)
    follow(books, market)
    fee = EMBEDDED.fee_on(paid)
    row = the_lease(books)
    assert (row.paid, row.fee) == (paid, fee)
    assert fee > 0
    assert books.queries.balance(MATCHER) == fee
    assert books.queries.balance(PROVIDER) == 50 + paid - fee
    assert total(books, FEES) == 0


def test_a_no_show_costs_a_part_of_the_lock(books: Books, market: SmallMarket) -> None:
    market.open("digits")
    market.close(LEASE)
    market.burn(LEASE, 9)
    follow(books, market)
    assert the_lease(books).burned == total(books, BURNED) == 9
    assert books.queries.stake(PROVIDER).free == total(books, stake(PROVIDER)) == STAKE - 9


def test_a_claim_stands_until_it_is_decided(books: Books, market: SmallMarket) -> None:
    market.open("digits")
    market.claim(LEASE, 20, bond=6)
    follow(books, market)
    assert the_lease(books).claim == UsageClaim(claimed=20, provider_bond=6, until=NOW + 60)
    market.contest(LEASE)
    follow(books, market)
    contested = UsageClaim(claimed=20, provider_bond=6, until=NOW + 300, buyer_bond=20)
    assert the_lease(books).claim == contested
    assert [total(books, bond(LEASE, side)) for side in ("provider", "buyer")] == [6, 20]
    market.decide(LEASE, 15, burned=2, slash=3)
    follow(books, market)
    row = the_lease(books)
    assert (row.claim, row.paid, row.burned) == (None, 15, 3)
    assert not any(total(books, bond(LEASE, side)) for side in ("provider", "buyer"))
    assert total(books, BURNED) == 5
    assert books.queries.balance(PROVIDER) == total(books, balance(PROVIDER)) == 50 - 6 + 15 + 24
    take_back(books, market)
    row = the_lease(books)
    assert (row.claim, row.paid, row.burned) == (contested, 0, 0)


def test_a_delegation_is_known_until_it_is_revoked(books: Books, market: SmallMarket) -> None:
    market.delegate(KEY, Role.SPEND, 300, NOW + 60)
    follow(books, market)
    known = Delegation(key=KEY, roles=Role.SPEND, allowance=300, until=NOW + 60)
    assert books.queries.delegations(BUYER) == [known]
    assert books.queries.delegation(BUYER, KEY) == known
    market.delegate(KEY, Role(0))
    follow(books, market)
    assert books.queries.delegation(BUYER, KEY) is None
    take_back(books, market)
    assert books.queries.delegations(BUYER) == [known]
    take_back(books, market)
    assert books.queries.delegations(BUYER) == []


def test_a_key_may_do_nothing_for_another_account(books: Books, market: SmallMarket) -> None:
    market.delegate(KEY, Role.SPEND)
    follow(books, market)
    assert books.queries.delegation(PROVIDER, KEY) is None
    assert books.queries.delegations(PROVIDER) == []


def test_the_markets_rules_are_known_from_its_first_event(books: Books, market: SmallMarket) -> None:
    row = books.queries.market()
    assert row is not None
    assert (row.policy, row.guardian, row.paused_until) == (EMBEDDED, an_address("guardian"), 0)
    market.log(Paused(until=NOW + 9), GuardianRenounced(guardian=row.guardian))
    follow(books, market)
    paused = books.queries.market()
    assert paused is not None
    assert (paused.guardian, paused.paused_until) == (NOBODY, NOW + 9)
    market.log(Unpaused(guardian=row.guardian))
    follow(books, market)
    going_on = books.queries.market()
    assert going_on is not None
    assert going_on.paused_until == 0
    take_back(books, market, 2)
    assert books.queries.market() == row


def test_books_that_begin_later_know_no_rules_and_no_locks(books: Books) -> None:
    late = SmallMarket()
    late.register()
    late.deposit(1_000_000)
    late.open("digits")
    follow(books, late)
    assert books.queries.market() is None
    assert (the_lease(books).lock, books.queries.stakes()) == (0, {})


@pytest.mark.parametrize(
    "event",
    [
        Staked(account=BUYER, amount=2_000_000),
        StakeBurned(provider=PROVIDER, lease=LEASE, amount=STAKE + 1),
    ],
    ids=["more than the balance", "more than the stake"],
)
def test_events_that_leave_less_than_nothing_are_broken(
    books: Books, market: SmallMarket, event: Staked | StakeBurned
) -> None:
    market.log(event)
    with pytest.raises(Broken) as failure:
        follow(books, market)
    assert failure.value.code == "negative-balance"


def test_a_rebuild_gives_the_same_accounts(books: Books, market: SmallMarket) -> None:
    market.open("digits")
    market.claim(LEASE, 20, bond=6)
    market.unstake(7, NOW + 360)
    market.delegate(KEY, Role.OPERATE)
    follow(books, market)

    def accounts() -> tuple[object, ...]:
        queries = books.queries
        keys: list[Address] = [BUYER, PROVIDER]
        delegations = [queries.delegations(key) for key in keys]
        return queries.stakes(), queries.balances(), queries.market(), delegations, the_lease(books)

    before = accounts()
    books.rebuild()
    assert accounts() == before
