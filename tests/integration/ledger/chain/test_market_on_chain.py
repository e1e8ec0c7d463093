"""The chain's door against the real contract on the embedded chain, over its JSON-RPC."""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count

import pytest
from web3.types import FilterParams, LogReceipt

from ledger.books.books import open_books
from ledger.chain.audit import Finding, audit
from ledger.chain.calls import approve, deposit, transfer, withdraw
from ledger.chain.client import MarketClient
from ledger.chain.follower import Followed, Follower
from ledger.chain.keys import LocalKey
from ledger.chain.outbox import Outbox, OutboxPolicy
from ledger.chain.typed_data import offer_id
from ledger.chain.wallet import Patience, wait_for
from ledger.market.errors import Broken, LostRace, Rejected, Unavailable
from ledger.market.events import (
    Deposited,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    OfferRegistered,
    UsageSettled,
)
from ledger.market.facts import ChainObserved, ChainRewound
from ledger.market.identity import Address, text
from ledger.market.instructions import (
    CancelOffer,
    CloseLease,
    OpenLease,
    RegisterOffer,
    ReleaseLease,
    TerminateLease,
)
from ledger.market.outbox import IntentState
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from tests.fakes.chain_grid import BUYER, NODE, PROVIDER, Grid, served_grid
from tests.fakes.outbox_store import MemoryStore


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with served_grid(tmp_path_factory.mktemp("grid")) as grid:
        yield grid


@pytest.fixture
def grid(founded: Grid) -> Grid:
    return founded


@pytest.fixture
def registered(grid: Grid) -> RegisterOffer:
    wish = grid.offer(capacity=Quantities(cpu=64_000, memory=65_536, disk=65_536))
    grid.wish(PROVIDER, wish)
    return wish


def test_the_client_reads_what_the_market_fixed(grid: Grid) -> None:
    assert grid.client.chain_id() == grid.identity.chain_id
    assert grid.client.policy() == EMBEDDED
    assert grid.client.token() == grid.identity.contracts["token"]
    assert grid.client.decimals() == 6


def test_another_chain_is_refused(grid: Grid) -> None:
    grid.client.check_chain(424_242)
    with pytest.raises(Rejected) as refusal:
        grid.client.check_chain(1)
    assert refusal.value.code == "wrong-chain"


def test_a_silent_endpoint_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = MarketClient(f"http://127.0.0.1:{port}", Address(bytes(20)))
    with pytest.raises(Unavailable) as failure:
        client.chain_id()
    client.close()
    assert failure.value.code == "rpc-unreachable"


def test_an_address_without_a_market_is_refused(grid: Grid) -> None:
    stranger = MarketClient(grid.client._rpc.url, BUYER.address)
    with pytest.raises(Rejected) as refusal:
        stranger.policy()
    stranger.close()
    assert refusal.value.code == "no-market"


def test_money_goes_in_and_out(grid: Grid) -> None:
    before = grid.client.balance_of(BUYER.address), grid.client.token_balance(BUYER.address)
    grid.send(BUYER, deposit(grid.client.market, 500))
    grid.send(BUYER, withdraw(grid.client.market, 200))
    after = grid.client.balance_of(BUYER.address), grid.client.token_balance(BUYER.address)
    assert (after[0] - before[0], after[1] - before[1]) == (300, -300)


def test_withdrawing_more_than_the_balance_is_refused_before_it_costs_gas(grid: Grid) -> None:
    coin = grid.client.coin_balance(BUYER.address)
    with pytest.raises(Rejected) as refusal:
        grid.send(BUYER, withdraw(grid.client.market, 2**80))
    assert refusal.value.code == "reverted"
    assert grid.client.coin_balance(BUYER.address) == coin


def test_an_account_without_coin_is_told_where_to_get_some(grid: Grid) -> None:
    poor = LocalKey(sha256(b"poor").digest())
    with pytest.raises(Rejected) as refusal:
        grid.send(poor, approve(grid.client.token(), grid.client.market, 1))
    assert refusal.value.code == "no-coin-for-gas"
    assert "faucet" in refusal.value.remedy


def test_a_transaction_that_no_block_takes_is_unavailable(grid: Grid) -> None:
    ticks = count()
    patience = Patience(clock=lambda: next(ticks), sleep=lambda _: None)
    with pytest.raises(Unavailable) as failure:
        wait_for(grid.client, bytes(32), patience)
    assert failure.value.code == "not-mined"


def test_digests_and_lease_ids_are_the_contracts(grid: Grid, registered: RegisterOffer) -> None:
    mined = grid.wish(NODE, wish := grid.open(registered))
    opened = [event for event in mined.events if isinstance(event, LeaseOpened)]
    assert [(event.id, event.terms) for event in opened] == [(wish.lease, grid.terms(wish))]


def test_a_fill_is_checked_before_it_is_sent(grid: Grid, registered: RegisterOffer) -> None:
    wish = grid.open(registered)

    def check(open_: OpenLease, matcher: Address = NODE.address) -> SkipReason:
        return grid.client.check_fill(matcher, open_.offer, open_.signed, open_.rate)

    assert check(wish) is SkipReason.NONE
    assert check(wish, PROVIDER.address) is SkipReason.MATCHER
    assert check(replace(wish, rate=wish.rate - 1)) is SkipReason.BELOW_ASK


def test_a_lease_lives_from_match_to_last_receipt(grid: Grid, registered: RegisterOffer) -> None:
    client = grid.client
    grid.wish(NODE, wish := grid.open(registered))
    lease = client.lease_of(wish.lease)
    assert lease is not None
    assert (lease.paid, lease.ended_after) == (0, None)
    assert client.nonce_used(BUYER.address, wish.signed.bid.nonce)
    assert client.used_of(wish.offer_id) == wish.signed.bid.want
    assert (
        client.check_settlement(grid.terms(wish), grid.receipt(wish, 5_000, last=False).signed)
        is SkipReason.NONE
    )
    mined = grid.wish(NODE, grid.receipt(wish, 5_000, last=True))
    closed = [event for event in mined.events if isinstance(event, LeaseClosed)]
    assert [event.paid + event.refunded for event in closed] == [lease.escrow]
    assert client.lease_of(wish.lease) is None


def test_one_call_carries_32_of_each_kind_within_its_gas(grid: Grid) -> None:
    offers = [grid.offer() for _ in range(32)]
    for offer in offers:
        assert grid.wish(PROVIDER, offer).gas_used < 150_000
    opens = [grid.open(offer) for offer in offers]
    opened = grid.wish(NODE, *opens)
    assert sum(isinstance(event, LeaseOpened) for event in opened.events) == 32
    settled = grid.wish(NODE, *[grid.receipt(wish, 15_000, last=False) for wish in opens])
    assert sum(isinstance(event, UsageSettled) for event in settled.events) == 32
    grid.clock.now += 600 + 61
    closed = grid.wish(NODE, *[CloseLease(lease=w.lease, terms=grid.terms(w)) for w in opens])
    assert sum(isinstance(event, LeaseClosed) for event in closed.events) == 32


def test_the_buyer_terminates_and_the_provider_releases(grid: Grid, registered: RegisterOffer) -> None:
    grid.wish(NODE, wish := grid.open(registered))
    terms = grid.terms(wish)
    ended = grid.wish(BUYER, TerminateLease(lease=wish.lease, terms=terms))
    assert any(isinstance(event, LeaseTerminated) for event in ended.events)
    closed = grid.wish(PROVIDER, ReleaseLease(lease=wish.lease, terms=terms))
    assert any(isinstance(event, LeaseClosed) for event in closed.events)


def test_a_cancelled_offer_is_no_longer_open(grid: Grid, registered: RegisterOffer) -> None:
    offer = offer_id(grid.client.domain(), registered.offer)
    assert grid.client.offer_is_open(offer)
    grid.wish(PROVIDER, CancelOffer(offer=registered.offer))
    assert not grid.client.offer_is_open(offer)


def test_the_outbox_registers_matches_and_settles(grid: Grid) -> None:
    grid.clock.now += 1
    at = int(grid.clock.now)
    agent_store, node_store = MemoryStore(), MemoryStore()
    agent = Outbox(agent_store, grid.client, PROVIDER)
    node = Outbox(node_store, grid.client, NODE)
    agent_store.wish(wish := grid.offer())
    agent.step(at)
    grid.seal()
    agent.step(at)
    assert agent_store.states() == [IntentState.DONE]

    opens = [grid.open(wish), grid.open(wish), grid.open(wish, limit_rate=1)]
    node_store.wish(*opens)
    node.step(at)
    grid.seal()
    node.step(at)
    assert node_store.states() == [IntentState.DONE, IntentState.DONE, IntentState.FAILED]
    assert node_store.details()[2] == "ABOVE_LIMIT"

    node_store.wish(grid.receipt(opens[0], 2_000, last=True), grid.receipt(opens[1], 2_000, last=True))
    node.step(at)
    grid.seal()
    node.step(at)
    assert node_store.states()[3:] == [IntentState.DONE, IntentState.DONE]


def test_books_on_disk_carry_a_wish_over_a_restart(
    grid: Grid, registered: RegisterOffer, grid_books_url: str
) -> None:
    """The first process stores its transaction and dies before it sends; the second one sends it."""
    at, wish = int(grid.clock.now), grid.open(registered)
    with open_books(grid_books_url) as books:
        with books.transaction() as unit:
            unit.wish("open", wish, at)
        silent = SilentClient(grid.client._rpc.url, grid.client.market)
        with pytest.raises(Unavailable):
            Outbox(books.outbox(NODE.address), silent, NODE).step(at)
        silent.close()
    with open_books(grid_books_url) as books:
        store = books.outbox(NODE.address)
        [stored] = store.attempts_in_flight()
        node = Outbox(store, grid.client, NODE)
        node.step(at)
        grid.seal()
        node.step(at)
        assert [intent.state for intent in store.intents([1])] == [IntentState.DONE]
        mined = grid.client.receipt(stored.hash)
    assert mined is not None
    assert any(isinstance(event, LeaseOpened) for event in mined.events)


class SilentClient(MarketClient):
    """An endpoint that falls silent just before it would take a transaction."""

    def send_raw(self, raw: bytes) -> bytes:
        raise Unavailable("rpc-unreachable", "Silent.", "Wait.")


def test_a_close_waits_for_its_time_at_no_cost(grid: Grid, registered: RegisterOffer) -> None:
    grid.wish(NODE, wish := grid.open(registered))
    store = MemoryStore()
    node = Outbox(store, grid.client, NODE)
    store.wish(CloseLease(lease=wish.lease, terms=grid.terms(wish)))
    assert node.step(int(grid.clock.now)) == 0
    assert store.states() == [IntentState.PENDING]
    grid.clock.now += 600 + 61
    node.step(int(grid.clock.now))
    grid.seal()
    node.step(int(grid.clock.now))
    assert store.states() == [IntentState.DONE]


def test_what_would_revert_fails_without_a_transaction(grid: Grid, registered: RegisterOffer) -> None:
    store = MemoryStore()
    agent = Outbox(store, grid.client, PROVIDER)
    store.wish(registered)
    agent.step(int(grid.clock.now))
    assert store.states() == [IntentState.FAILED]
    assert store.details() == ["market: offer known"]
    assert store.recorded == []


def observed(followed: Followed) -> list[ChainObserved]:
    return [fact for fact in followed.facts if isinstance(fact, ChainObserved)]


def test_a_match_survives_a_reorganisation(grid: Grid, registered: RegisterOffer) -> None:
    at = int(grid.clock.now)
    store = MemoryStore()
    node = Outbox(store, grid.client, NODE, OutboxPolicy(confirmations=3))
    follower = Follower(grid.client)
    cursor = follower.start(grid.client.block("latest").number + 1)
    store.wish(wish := grid.open(registered))
    node.step(at)
    grid.seal()
    first = follower.poll(cursor)
    assert any(isinstance(logged.event, LeaseOpened) for fact in observed(first) for logged in fact.events)
    grid.reorg(1)
    second = follower.poll(first.cursor)
    assert second.facts[0] == ChainRewound(to=cursor.block)
    for _ in range(4):
        node.step(at + 10)
        grid.seal()
    node.step(at + 10)
    assert store.states() == [IntentState.DONE]
    third = follower.poll(second.cursor)
    later = (*observed(second), *observed(third))
    again = [logged.event for fact in later for logged in fact.events]
    assert [event.id for event in again if isinstance(event, LeaseOpened)] == [wish.lease]


def test_following_from_the_first_block_gives_every_event_once(grid: Grid) -> None:
    follower = Follower(grid.client)
    cursor, caught_up = follower.start(0), False
    facts: list[ChainObserved | ChainRewound] = []
    while not caught_up:
        followed = follower.poll(cursor)
        facts += followed.facts
        cursor, caught_up = followed.cursor, followed.caught_up
    events = [logged for fact in facts if isinstance(fact, ChainObserved) for logged in fact.events]
    assert events == grid.client.logs(0, grid.client.block("latest").number)
    assert {type(logged.event) for logged in events} > {Deposited, OfferRegistered, LeaseOpened}
    assert follower.poll(cursor).facts == ()


class Behind(MarketClient):
    """A node that has a block's header and not yet its logs."""

    def _find(self, wanted: FilterParams) -> Sequence[LogReceipt]:
        return ()


def test_logs_that_a_node_does_not_have_yet_are_not_taken_for_none(grid: Grid) -> None:
    grid.send(BUYER, deposit(grid.client.market, 3))
    client = Behind(grid.client._rpc.url, grid.client.market)
    head = client.block("latest")
    with pytest.raises(LostRace) as lost:
        client.logs_of(head.hash)
    grid.seal()
    assert client.logs_of(client.block("latest").hash) == []
    client.close()
    assert lost.value.code == "not-on-chain"


class Strict(MarketClient):
    """An endpoint that answers for three blocks at a time."""

    def _find(self, wanted: FilterParams) -> Sequence[LogReceipt]:
        if int(wanted["toBlock"]) - int(wanted["fromBlock"]) >= 3:
            raise Rejected("rpc-refused", "The block range is too wide.", "Ask for less.")
        return super()._find(wanted)


def test_a_range_that_the_endpoint_finds_too_large_is_asked_for_in_pieces(grid: Grid) -> None:
    client = Strict(grid.client._rpc.url, grid.client.market)
    head = client.block("latest").number
    found = client.logs(0, head)
    with pytest.raises(Rejected):
        client.logs_at_once(0, head)
    client.close()
    assert found == grid.client.logs(0, head) == grid.client.logs_at_once(0, head)


def test_the_audit_rebuilds_the_market_from_events(grid: Grid) -> None:
    grid.send(BUYER, transfer(grid.client.token(), grid.client.market, 7))
    report = audit(grid.client, 0)
    assert report.findings == ()
    assert report.sound
    assert report.unsolicited == 7
    assert report.held + 7 == report.token_balance
    assert report.state.balances[BUYER.address] == grid.client.balance_of(BUYER.address)


def test_the_audit_refuses_events_without_their_beginning(grid: Grid) -> None:
    logged = grid.client.logs(0, grid.client.block("latest").number)
    first = next(one.block.number for one in logged if isinstance(one.event, Deposited))
    with pytest.raises(Broken) as failure:
        audit(grid.client, first + 1)
    assert failure.value.code == "negative-balance"


class LyingClient(MarketClient):
    """A contract whose view is one base unit off, and whose token lost ten."""

    def balance_of(self, account: Address) -> int:
        return super().balance_of(account) + (account == BUYER.address)

    def token_balance(self, account: Address) -> int:
        return super().token_balance(account) - 10


def test_the_audit_names_the_account_and_both_amounts(grid: Grid) -> None:
    liar = LyingClient(grid.client._rpc.url, grid.client.market)
    report = audit(liar, 0)
    liar.close()
    balance = report.state.balances[BUYER.address]
    wrong = Finding(
        what="balance", subject=text(BUYER.address), events=str(balance), contract=str(balance + 1)
    )
    assert not report.sound
    assert [finding.what for finding in report.findings] == ["token balance", "balance"]
    assert report.findings[1] == wrong


def test_of_two_processes_that_send_from_one_account_the_newer_goes_on(
    grid: Grid, registered: RegisterOffer, books_url: str
) -> None:
    at = int(grid.clock.now)
    with open_books(books_url) as books:
        older, newer = (Outbox(books.outbox(NODE.address), grid.client, NODE) for _ in range(2))
        with books.transaction() as unit:
            unit.wish("one", grid.open(registered), at)
        older.step(at)
        newer.step(at)
        with books.transaction() as unit:
            unit.wish("two", grid.open(registered), at)
        grid.seal()
        with pytest.raises(LostRace) as refusal:
            older.step(at)
        assert refusal.value.code == "outbox-superseded"
        newer.step(at)
        grid.seal()
        newer.step(at)
        store = books.outbox(NODE.address)
        assert [intent.state for intent in store.intents([1, 2])] == [IntentState.DONE] * 2
