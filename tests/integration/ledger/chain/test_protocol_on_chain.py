"""The whole settlement protocol through the chain's door: each call, its event, its view, and its refusal."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar

import pytest

from ledger.chain import calls
from ledger.chain.audit import audit
from ledger.chain.client import ChainState, MarketClient
from ledger.chain.embedded.grid import GridPolicy
from ledger.chain.keys import LocalKey
from ledger.chain.outbox import Outbox
from ledger.chain.typed_data import commitment
from ledger.chain.wallet import carry_out, deposit_with_permit, sign_permit, sign_withdrawal
from ledger.market.bid import AGREE_SHIFT, REPLICAS
from ledger.market.delegation import Delegation, Role
from ledger.market.errors import Rejected
from ledger.market.events import (
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    DelegateSet,
    Deposited,
    FeePaid,
    LeaseClosed,
    LeaseContinued,
    LeaseJudged,
    LeaseOpened,
    MarketDeployed,
    MarketEvent,
    OfferRegistered,
    ReplicasDecided,
    ReplicasOpened,
    ResultCommitted,
    ResultRevealed,
    StakeBurned,
    UnstakeQueued,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import Address, LeaseId
from ledger.market.instructions import (
    CloseLease,
    CommitResult,
    ContestClaim,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    OpenClaim,
    OpenGang,
    OpenLease,
    RegisterOffer,
    RelayDeposit,
    RelayWithdrawal,
    RevealResult,
)
from ledger.market.lease import ClaimDecidedBy, ClosedBecause, LeaseTerms
from ledger.market.outbox import IntentState
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from tests.factories import HOUR, NOW, a_digest, an_address
from tests.fakes.chain_grid import BUYER, FAUCET, MONEY, NODE, PROVIDER, Grid, served_grid
from tests.fakes.outbox_store import MemoryStore

LAPTOP, HOT_KEY, SECOND = (LocalKey(sha256(name).digest()) for name in (b"laptop", b"hot", b"second"))
LARGE = Quantities(cpu=64_000, memory=65_536, disk=65_536)
REPLICATED = REPLICAS | 2 << AGREE_SHIFT


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with served_grid(tmp_path_factory.mktemp("grid")) as grid:
        for key in (LAPTOP, HOT_KEY):
            grid.client.faucet(key.address)
        grid.fund(SECOND, staked=MONEY // 2)
        yield grid


@pytest.fixture
def grid(founded: Grid) -> Grid:
    return founded


@pytest.fixture
def registered(grid: Grid) -> RegisterOffer:
    wish = grid.offer(capacity=LARGE, valid_until=NOW + 24 * HOUR)
    grid.wish(PROVIDER, wish)
    return wish


E = TypeVar("E", bound=MarketEvent)


def seen(kind: type[E], events: tuple[MarketEvent, ...]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def an_open_lease(grid: Grid, registered: RegisterOffer) -> OpenLease:
    wish = grid.open(registered)
    assert seen(LeaseOpened, grid.wish(NODE, wish).events)
    return wish


def a_claimed_lease(grid: Grid, registered: RegisterOffer) -> tuple[OpenLease, LeaseTerms]:
    """Its provider claims 15 s that nobody signed for."""
    wish = an_open_lease(grid, registered)
    terms = grid.terms(wish)
    grid.wish(PROVIDER, OpenClaim(lease=wish.lease, terms=terms, milliseconds=15_000))
    return wish, terms


def refusal_of(grid: Grid, key: LocalKey, call: calls.Call) -> str:
    """The contract's reason against the call."""
    with pytest.raises(Rejected) as refusal:
        grid.send(key, call)
    return str(refusal.value.facts["reason"])


class TestRules:
    def test_the_deployment_is_the_first_event_and_says_what_the_views_say(self, grid: Grid) -> None:
        client = grid.client
        first = client.logs(0, client.block("latest").number)[0].event
        assert isinstance(first, MarketDeployed)
        assert first.policy == client.policy() == GridPolicy().market == EMBEDDED
        roles = client.roles()
        assert (first.guardian, first.arbiter, first.jury) == (roles.guardian, roles.arbiter, roles.jury)
        assert first.token == client.token()

    def test_the_operator_guards_the_market_and_decides_its_claims(self, grid: Grid) -> None:
        roles = grid.client.roles()
        assert roles.guardian == roles.arbiter == FAUCET.address
        assert roles.jury == grid.identity.contracts["jury"]

    def test_a_stranger_cannot_pause(self, grid: Grid) -> None:
        assert refusal_of(grid, BUYER, calls.pause(grid.client.market)) == "market: not the guardian"


class TestStake:
    def test_stake_leaves_the_balance_and_comes_back_after_the_delay(self, grid: Grid) -> None:
        client, account = grid.client, SECOND.address
        free = client.stake_of(account)
        queued = grid.send(SECOND, calls.request_unstake(client.market, 1_000))
        (event,) = seen(UnstakeQueued, queued.events)
        assert client.unstaking_of(account) == (1_000, event.unlock_at)
        assert client.stake_of(account) == free - 1_000
        store = MemoryStore()
        store.wish(FinishUnstake(account=account))
        outbox = Outbox(store, client, NODE)
        outbox.step(int(grid.clock.now))
        assert store.states() == [IntentState.PENDING]
        grid.clock.now += EMBEDDED.unstake_delay
        for _ in range(2):
            outbox.step(int(grid.clock.now))
            grid.seal()
        outbox.step(int(grid.clock.now))
        assert store.states() == [IntentState.DONE]
        assert client.unstaking_of(account) == (0, 0)

    def test_a_lease_locks_a_share_of_its_escrow_until_it_closes(
        self, grid: Grid, registered: RegisterOffer
    ) -> None:
        free = grid.client.stake_of(PROVIDER.address)
        wish = an_open_lease(grid, registered)
        lease = grid.client.lease_of(wish.lease)
        assert lease is not None
        locked = EMBEDDED.lock_for(lease.escrow)
        assert grid.client.stake_of(PROVIDER.address) == free - locked
        grid.wish(NODE, grid.receipt(wish, 1_000, last=True))
        assert grid.client.stake_of(PROVIDER.address) == free

    def test_a_provider_without_stake_is_skipped(self, grid: Grid) -> None:
        poor = grid.offer(provider=HOT_KEY.address)
        grid.wish(HOT_KEY, poor)
        wish = grid.open(poor)
        found = grid.client.check_fill(NODE.address, wish.offer, wish.signed, wish.rate)
        assert found is SkipReason.STAKE

    def test_staking_more_than_the_balance_is_refused(self, grid: Grid) -> None:
        assert "too small" in refusal_of(grid, SECOND, calls.stake(grid.client.market, 1 << 80))

    def test_a_no_show_burns_a_part_of_the_lock(self, grid: Grid, registered: RegisterOffer) -> None:
        wish = an_open_lease(grid, registered)
        lease = grid.client.lease_of(wish.lease)
        assert lease is not None
        burned = grid.client.burned()
        grid.clock.now += 600 + EMBEDDED.grace + 1
        mined = grid.wish(NODE, CloseLease(lease=wish.lease, terms=grid.terms(wish)))
        (event,) = seen(StakeBurned, mined.events)
        assert event.amount == EMBEDDED.no_show_of(EMBEDDED.lock_for(lease.escrow)) > 0
        assert grid.client.burned() == burned + event.amount


class TestFees:
    def test_the_matcher_gets_its_share_of_a_payout(self, grid: Grid, registered: RegisterOffer) -> None:
        before = grid.client.balance_of(NODE.address)
        wish = an_open_lease(grid, registered)
        grid.clock.now += 600
        mined = grid.wish(NODE, grid.receipt(wish, 600_000, last=True))
        (settled,), (paid,) = seen(UsageSettled, mined.events), seen(FeePaid, mined.events)
        assert settled.fee == paid.amount == EMBEDDED.fee_on(settled.paid) > 0
        assert grid.client.balance_of(NODE.address) == before + paid.amount


class TestMoney:
    def test_a_permit_deposits_without_an_approval(self, grid: Grid) -> None:
        client = grid.client
        grid.send(FAUCET, calls.transfer(client.token(), LAPTOP.address, 500))
        mined = deposit_with_permit(client, LAPTOP, 300, int(grid.clock.now) + 60, grid.patience())
        assert seen(Deposited, mined.events) == [Deposited(account=LAPTOP.address, amount=300)]
        assert client.permit_nonce(LAPTOP.address) == 1
        assert client.balance_of(LAPTOP.address) == 300

    def test_anybody_delivers_a_permit_and_nobody_a_forged_one(self, grid: Grid) -> None:
        client = grid.client
        grid.send(FAUCET, calls.transfer(client.token(), HOT_KEY.address, 500))
        permit = sign_permit(client, HOT_KEY, 200, int(grid.clock.now) + 60)
        mined = carry_out(client, NODE, RelayDeposit(signed=permit), grid.patience())
        assert seen(Deposited, mined.events)[0].account == HOT_KEY.address
        again = client.call_of(RelayDeposit(signed=permit))
        assert "permit" in refusal_of(grid, NODE, again)

    def test_anybody_delivers_a_signed_withdrawal_once(self, grid: Grid) -> None:
        client, receiver = grid.client, an_address("receiver")
        deadline = int(grid.clock.now) + 60
        (nonce,) = client.next_nonces(BUYER.address, 1)
        signed = sign_withdrawal(client, BUYER, to=receiver, amount=70, nonce=nonce + 500, deadline=deadline)
        wish = RelayWithdrawal(signed=signed)
        mined = carry_out(client, NODE, wish, grid.patience())
        assert seen(Withdrawn, mined.events) == [Withdrawn(account=BUYER.address, to=receiver, amount=70)]
        assert client.token_balance(receiver) == 70
        assert client.nonce_used(BUYER.address, nonce + 500)
        assert refusal_of(grid, NODE, client.call_of(wish)) == "market: nonce used"

    def test_a_withdrawal_that_another_key_signed_is_refused(self, grid: Grid) -> None:
        client, deadline = grid.client, int(grid.clock.now) + 60
        (nonce,) = client.next_nonces(BUYER.address, 1)
        good = sign_withdrawal(
            client, LAPTOP, to=LAPTOP.address, amount=1, nonce=nonce + 900, deadline=deadline
        )
        forged = replace(good, withdrawal=replace(good.withdrawal, account=BUYER.address))
        assert "signature" in refusal_of(grid, NODE, client.call_of(RelayWithdrawal(signed=forged)))

    def test_a_token_that_takes_no_permits_is_said_to(self, grid: Grid) -> None:
        client = PlainTokenClient(grid.client._rpc.url, grid.client.market)
        with pytest.raises(Rejected) as refusal:
            client.token_domain()
        client.close()
        assert refusal.value.code == "no-permit"
        assert grid.client.token_domain().token == grid.client.token()


class PlainTokenClient(MarketClient):
    """A market whose token answers, but does not say how its permits are signed."""

    def token(self) -> Address:
        return self.jury()


class TestNonces:
    def test_the_next_nonces_are_unused_and_run_on(self, grid: Grid, registered: RegisterOffer) -> None:
        client = grid.client
        an_open_lease(grid, registered)
        page, bits = client.nonce_window(BUYER.address)
        assert bits
        found = client.next_nonces(BUYER.address, 40)
        assert len(set(found)) == 40
        assert found == sorted(found)
        assert found[0] >> 5 == page or bits == 2**32 - 1
        assert not any(client.nonce_used(BUYER.address, nonce) for nonce in found)

    def test_those_below_the_first_one_asked_for_are_left_out(self, grid: Grid) -> None:
        account = an_address("nobody yet")
        assert grid.client.next_nonces(account, 2, 40) == [40, 41]
        (nonce,) = grid.client.next_nonces(BUYER.address, 1)
        assert grid.client.next_nonces(BUYER.address, 1, nonce + 3)[0] >= nonce + 3

    def test_cancelled_nonces_are_passed_over(self, grid: Grid) -> None:
        client = grid.client
        before = client.next_nonces(SECOND.address, 3)
        word, place = before[1] >> 8, before[1] & 255
        grid.send(SECOND, calls.cancel_nonces(client.market, word, 1 << place))
        assert client.next_nonces(SECOND.address, 2) == [before[0], before[2]]

    def test_an_account_that_never_bid_begins_at_nought(self, grid: Grid) -> None:
        assert grid.client.next_nonces(an_address("nobody yet"), 3) == [0, 1, 2]


class TestDelegates:
    def test_a_laptop_bids_within_its_allowance(self, grid: Grid, registered: RegisterOffer) -> None:
        client, until = grid.client, int(grid.clock.now) + HOUR
        laptop = Delegation(key=LAPTOP.address, roles=Role.SPEND, allowance=200, until=until)
        grid.send(BUYER, calls.set_delegate(client.market, laptop))
        assert client.delegation_of(BUYER.address, LAPTOP.address) == laptop
        mined = grid.wish(NODE, grid.open(registered, LAPTOP))
        (opened,), (left,) = seen(LeaseOpened, mined.events), seen(DelegateSet, mined.events)
        assert left.allowance == 200 - opened.escrow
        wish = grid.open(registered, LAPTOP)
        found = client.check_fill(NODE.address, wish.offer, wish.signed, wish.rate)
        assert found is SkipReason.DELEGATE

    def test_a_revoked_key_is_a_stranger(self, grid: Grid, registered: RegisterOffer) -> None:
        client = grid.client
        none = Delegation(key=LAPTOP.address, roles=Role(0), allowance=0, until=0)
        grid.send(BUYER, calls.set_delegate(client.market, none))
        assert client.delegation_of(BUYER.address, LAPTOP.address) == none
        wish = grid.open(registered, LAPTOP)
        found = client.check_fill(NODE.address, wish.offer, wish.signed, wish.rate)
        assert found is SkipReason.SIGNATURE

    def test_a_hot_key_registers_for_the_provider(self, grid: Grid) -> None:
        client, wish = grid.client, grid.offer()
        assert refusal_of(grid, HOT_KEY, client.call_of(wish)) == "market: not the provider"
        hot = Delegation(
            key=HOT_KEY.address, roles=Role.OPERATE, allowance=0, until=int(grid.clock.now) + HOUR
        )
        grid.send(PROVIDER, calls.set_delegate(client.market, hot))
        assert seen(OfferRegistered, grid.wish(HOT_KEY, wish).events)

    def test_offers_register_in_one_call(self, grid: Grid) -> None:
        mined = grid.wish(PROVIDER, *[grid.offer() for _ in range(32)])
        assert len(seen(OfferRegistered, mined.events)) == 32


class TestGangs:
    def test_a_gang_opens_whole(self, grid: Grid, registered: RegisterOffer) -> None:
        gang = grid.gang([registered] * 32, want=Quantities(cpu=1_000))
        mined = carry_out(grid.client, NODE, gang, grid.patience())
        opened = [event.id for event in seen(LeaseOpened, mined.events)]
        assert opened == [member.lease for member in gang.members]

    def test_the_dearest_gang_stays_within_its_gas(self, grid: Grid) -> None:
        offers = [grid.offer() for _ in range(32)]
        grid.wish(PROVIDER, *offers)
        gang = grid.gang(offers)
        mined = carry_out(grid.client, NODE, gang, grid.patience())
        assert len(seen(LeaseOpened, mined.events)) == 32
        assert mined.gas_used < grid.client.call_of(gang).gas * 3 // 4

    def test_a_gang_that_does_not_fit_opens_not_at_all(self, grid: Grid, registered: RegisterOffer) -> None:
        gang = grid.gang([registered] * 3, want=Quantities(cpu=30_000), limit_rate=10**9)
        with pytest.raises(Rejected) as refusal:
            carry_out(grid.client, NODE, gang, grid.patience())
        assert (refusal.value.code, refusal.value.facts["reason"]) == ("skipped", "CAPACITY")
        assert grid.client.lease_of(gang.members[0].lease) is None


class TestContinuing:
    def test_a_lease_goes_on_as_another(self, grid: Grid, registered: RegisterOffer) -> None:
        wish = an_open_lease(grid, registered)
        following = grid.next_of(wish, 5_000, duration=900)
        mined = carry_out(grid.client, NODE, following, grid.patience())
        (closed,) = seen(LeaseClosed, mined.events)
        assert (closed.lease, closed.because) == (wish.lease, ClosedBecause.CONTINUED)
        continued = LeaseContinued(lease=following.lease, previous=wish.lease)
        assert seen(LeaseContinued, mined.events) == [continued]
        assert grid.client.lease_of(following.lease) is not None

    def test_another_buyers_bid_does_not_continue_it(self, grid: Grid, registered: RegisterOffer) -> None:
        wish = an_open_lease(grid, registered)
        following = grid.next_of(wish, 5_000)
        alien = replace(following, signed=grid.bid(SECOND, buyer=SECOND.address, continues=wish.lease))
        assert refusal_of(grid, NODE, grid.client.call_of(alien)) == "market: not its next"


class TestClaims:
    def test_an_uncontested_claim_is_paid(self, grid: Grid, registered: RegisterOffer) -> None:
        client, wish = grid.client, an_open_lease(grid, registered)
        terms = grid.terms(wish)
        mined = grid.wish(PROVIDER, OpenClaim(lease=wish.lease, terms=terms, milliseconds=15_000))
        (opened,) = seen(ClaimOpened, mined.events)
        claim = client.claim_of(wish.lease)
        assert claim is not None
        assert (claim.claimed, claim.provider_bond, claim.until) == (
            opened.claimed,
            opened.bond,
            opened.until,
        )
        lease = client.lease_of(wish.lease)
        assert lease is not None
        assert lease.state is ChainState.CLAIMED
        skip = client.check_settlement(terms, grid.receipt(wish, 15_000, last=False).signed)
        assert skip is SkipReason.CLAIMED
        final = FinalizeClaim(lease=wish.lease, terms=terms)
        assert refusal_of(grid, NODE, client.call_of(final)) == "market: not yet"
        grid.clock.now += EMBEDDED.challenge_window
        mined = grid.wish(NODE, final)
        (decided,) = seen(ClaimDecided, mined.events)
        assert (decided.by, decided.paid) == (ClaimDecidedBy.NOBODY_CONTESTED, opened.claimed)
        assert client.claim_of(wish.lease) is None

    def test_the_arbiter_decides_a_contested_claim(self, grid: Grid, registered: RegisterOffer) -> None:
        client = grid.client
        wish, terms = a_claimed_lease(grid, registered)
        mined = grid.wish(BUYER, ContestClaim(lease=wish.lease, terms=terms))
        (contested,) = seen(ClaimContested, mined.events)
        claim = client.claim_of(wish.lease)
        assert claim is not None
        assert (claim.buyer_bond, claim.until) == (contested.bond, contested.until)
        decision = calls.decide_claim(client.market, terms, 0, 1)
        assert refusal_of(grid, BUYER, decision) == "market: not the arbiter"
        mined = grid.send(FAUCET, decision)
        (decided,) = seen(ClaimDecided, mined.events)
        assert (decided.by, decided.paid, decided.to_buyer) == (ClaimDecidedBy.ARBITER, 0, contested.bond)
        assert seen(StakeBurned, mined.events)[0].amount == 1

    def test_the_arbiters_silence_splits_the_claim(self, grid: Grid, registered: RegisterOffer) -> None:
        wish, terms = a_claimed_lease(grid, registered)
        grid.wish(BUYER, ContestClaim(lease=wish.lease, terms=terms))
        grid.clock.now += EMBEDDED.arbitration_window
        mined = grid.wish(NODE, FinalizeClaim(lease=wish.lease, terms=terms))
        (decided,) = seen(ClaimDecided, mined.events)
        assert decided.by is ClaimDecidedBy.SILENCE
        assert seen(LeaseClosed, mined.events)[0].because is ClosedBecause.CLAIMED

    def test_a_stranger_claims_nothing(self, grid: Grid, registered: RegisterOffer) -> None:
        wish = an_open_lease(grid, registered)
        claim = OpenClaim(lease=wish.lease, terms=grid.terms(wish), milliseconds=15_000)
        assert refusal_of(grid, SECOND, grid.client.call_of(claim)) == "market: not the provider"


class TestReplicas:
    SALT = a_digest("salt")

    def test_the_largest_jury_stays_within_its_gas(self, grid: Grid) -> None:
        """15 replicas, none of which anybody committed to."""
        keys = [LocalKey(sha256(b"replica %d" % number).digest()) for number in range(15)]
        offers = [grid.offer(provider=key.address) for key in keys]
        for key, offer in zip(keys, offers, strict=True):
            grid.fund(key, staked=1_000)
            grid.wish(key, offer)
        gang = grid.gang(offers, flags=REPLICAS | 8 << AGREE_SHIFT)
        carry_out(grid.client, NODE, gang, grid.patience())
        grid.clock.now += 600 + 2 * EMBEDDED.receipt_interval + 1
        terms = tuple(grid.gang_terms(gang))
        judge = DecideReplicas(bid_id=gang.bid, bid=gang.signed.bid, members=terms)
        mined = carry_out(grid.client, NODE, judge, grid.patience())
        assert len(seen(LeaseJudged, mined.events)) == 15
        assert mined.gas_used < grid.client.call_of(judge).gas * 3 // 4

    def replicas(self, grid: Grid) -> tuple[OpenGang, list[LeaseTerms]]:
        """Two replicas at two providers, both of which must agree."""
        offers = [grid.offer(), grid.offer(provider=SECOND.address)]
        for key, offer in zip((PROVIDER, SECOND), offers, strict=True):
            grid.wish(key, offer)
        gang = grid.gang(offers, flags=REPLICATED)
        mined = carry_out(grid.client, NODE, gang, grid.patience())
        opened = ReplicasOpened(bid=gang.bid, members=2, agree=2, seed=gang.seed)
        assert seen(ReplicasOpened, mined.events) == [opened]
        return gang, grid.gang_terms(gang)

    def commit(self, grid: Grid, key: LocalKey, lease: LeaseId, terms: LeaseTerms, result: str) -> None:
        bound = commitment(lease, key.address, a_digest(result), self.SALT)
        mined = grid.wish(key, CommitResult(lease=lease, terms=terms, commitment=bound))
        assert seen(ResultCommitted, mined.events)[0].commitment == bound
        assert grid.client.commitment_of(lease) == bound

    def reveal(self, grid: Grid, gang: OpenGang, number: int, terms: LeaseTerms, result: str) -> RevealResult:
        return RevealResult(
            lease=gang.members[number].lease,
            bid=gang.signed.bid,
            terms=terms,
            result=a_digest(result),
            salt=self.SALT,
        )

    def test_equal_results_are_paid(self, grid: Grid) -> None:
        client = grid.client
        gang, terms = self.replicas(grid)
        keys = (PROVIDER, SECOND)
        lease = client.lease_of(gang.members[0].lease)
        assert lease is not None
        assert lease.undecided
        early = self.reveal(grid, gang, 0, terms[0], "result")
        for number, key in enumerate(keys):
            self.commit(grid, key, gang.members[number].lease, terms[number], "result")
        for number, key in enumerate(keys):
            wish = self.reveal(grid, gang, number, terms[number], "result")
            assert seen(ResultRevealed, grid.wish(key, wish).events)
        assert client.result_of(early.lease) == a_digest("result")
        assert client.commits_of(gang.bid) == 2
        judge = DecideReplicas(bid_id=gang.bid, bid=gang.signed.bid, members=tuple(terms))
        mined = grid.wish(NODE, judge)
        verdict = ReplicasDecided(bid=gang.bid, result=a_digest("result"), agreed=2)
        assert seen(ReplicasDecided, mined.events) == [verdict]
        assert [event.guilty for event in seen(LeaseJudged, mined.events)] == [False, False]
        receipts = [
            grid.receipt_of(member.lease, one, 1_000, last=True)
            for member, one in zip(gang.members, terms, strict=True)
        ]
        assert len(seen(LeaseClosed, grid.wish(NODE, *receipts).events)) == 2

    def test_a_result_is_not_shown_before_all_are_bound(self, grid: Grid) -> None:
        gang, terms = self.replicas(grid)
        self.commit(grid, PROVIDER, gang.members[0].lease, terms[0], "result")
        early = grid.client.call_of(self.reveal(grid, gang, 0, terms[0], "result"))
        assert refusal_of(grid, PROVIDER, early) == "jury: too early"
        judge = DecideReplicas(bid_id=gang.bid, bid=gang.signed.bid, members=tuple(terms))
        assert refusal_of(grid, NODE, grid.client.call_of(judge)) == "jury: not yet"

    def test_nothing_is_committed_or_revealed_at_first(self, grid: Grid) -> None:
        lease = LeaseId(a_digest("no such lease"))
        assert grid.client.commitment_of(lease) is None
        assert grid.client.result_of(lease) is None


class TestPause:
    def test_a_pause_stops_deposits_and_no_exit(self, grid: Grid, registered: RegisterOffer) -> None:
        client = grid.client
        wish = an_open_lease(grid, registered)
        grid.send(FAUCET, calls.pause(client.market))
        assert client.paused_until() > grid.clock.now
        assert refusal_of(grid, BUYER, calls.deposit(client.market, 1)) == "market: paused"
        assert refusal_of(grid, PROVIDER, client.call_of(grid.offer())) == "market: paused"
        grid.wish(NODE, grid.receipt(wish, 1_000, last=True))
        grid.send(BUYER, calls.withdraw(client.market, 1))
        grid.send(FAUCET, calls.unpause(client.market))
        assert client.paused_until() <= grid.clock.now
        grid.send(BUYER, calls.deposit(client.market, 1))


class TestAudit:
    def test_events_alone_give_what_every_view_says(self, grid: Grid) -> None:
        grid.send(BUYER, calls.transfer(grid.client.token(), grid.client.market, 7))
        report = audit(grid.client, 0)
        assert report.findings == ()
        assert report.unsolicited == 7
        assert report.held == sum(report.totals().values())
        assert report.held + report.unsolicited == report.token_balance

    @pytest.mark.parametrize(
        ("view", "what"),
        [("stake_of", "free stake"), ("burned", "burned"), ("balance_of", "balance")],
    )
    def test_a_view_that_is_one_unit_off_is_named(self, grid: Grid, view: str, what: str) -> None:
        liar = lying_about(view)(grid.client._rpc.url, grid.client.market)
        report = audit(liar, 0)
        liar.close()
        assert {finding.what for finding in report.findings} == {what}
        assert all(int(one.contract) == int(one.events) + 1 for one in report.findings)


def lying_about(view: str) -> type[MarketClient]:
    """A client whose `view` says one unit more than the contract."""

    def lie(self: MarketClient, *arguments: Address) -> int:
        told: int = getattr(MarketClient, view)(self, *arguments)
        return told + 1

    return type("LyingClient", (MarketClient,), {view: lie})
