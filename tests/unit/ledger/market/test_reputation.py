"""Reputation: what each fact does to a score, and the bound that no arrangement of accounts gets past."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Broken
from ledger.market.events import (
    BlockRef,
    ClaimDecided,
    Deposited,
    LeaseClosed,
    LeaseJudged,
    LeaseOpened,
    LeaseTerminated,
    Logged,
    MarketDeployed,
    MarketEvent,
    StakeBurned,
    UsageSettled,
)
from ledger.market.identity import NO_DIGEST, Address, LeaseId
from ledger.market.lease import ClaimDecidedBy, ClosedBecause
from ledger.market.policy import EMBEDDED
from ledger.market.reputation import HALF_FEES, Reputation, Reputations, most_for
from tests.factories import NOW, a_digest, an_address, some_terms

NODE = an_address("node")
ADA, BOB = an_address("ada"), an_address("bob")
DEPLOYED = MarketDeployed(
    token=an_address("token"),
    guardian=an_address("guardian"),
    arbiter=an_address("arbiter"),
    jury=an_address("jury"),
    policy=EMBEDDED,
)
SECONDS = 600
ESCROW = 200_000
CAP = HALF_FEES // 4


class Course:
    """One lease of ten minutes, told event by event."""

    def __init__(
        self, name: str, provider: Address = ADA, buyer: str = "buyer", matcher: Address = NODE
    ) -> None:
        self.lease = LeaseId(a_digest(name))
        self.parties: dict[str, Any] = {
            "lease": self.lease,
            "buyer": an_address(buyer),
            "provider": provider,
        }
        terms = some_terms(provider=provider, buyer=an_address(buyer), matcher=matcher, duration=SECONDS)
        opened = LeaseOpened(
            id=self.lease, terms=terms, start=NOW, escrow=ESCROW, nonce=1, job=a_digest("job")
        )
        self.events: list[MarketEvent] = [opened]

    def settled(self, seconds: int, fee: int) -> "Course":
        return self._with(
            UsageSettled(
                **self.parties,
                milliseconds=seconds * 1_000,
                amount=fee * 100,
                fee=fee,
                paid=fee * 100,
                evidence=NO_DIGEST,
            )
        )

    def terminated(self, seconds: int) -> "Course":
        return self._with(LeaseTerminated(**self.parties, ended_after=seconds))

    def judged(self, *, guilty: bool, seconds: int = 0) -> "Course":
        return self._with(LeaseJudged(lease=self.lease, guilty=guilty, start=0, ended_after=seconds))

    def decided(self, by: ClaimDecidedBy, amount: int, fee: int = 0) -> "Course":
        bonds: dict[str, Any] = {"to_provider": 0, "to_buyer": 0, "burned": 0}
        return self._with(ClaimDecided(**self.parties, amount=amount, fee=fee, paid=amount, by=by, **bonds))

    def closed(self, because: ClosedBecause, paid: int = 0, burned: int = 0) -> "Course":
        closed = LeaseClosed(**self.parties, paid=paid, refunded=ESCROW - paid, because=because)
        self._with(closed)
        if burned:
            provider = self.parties["provider"]
            self._with(StakeBurned(provider=provider, lease=self.lease, amount=burned))
        return self

    def _with(self, event: MarketEvent) -> "Course":
        self.events.append(event)
        return self


def good(name: str, fee: int = 100, provider: Address = ADA, buyer: str = "buyer", **changes: Any) -> Course:
    course = Course(name, provider, buyer, **changes).settled(SECONDS, fee)
    return course.closed(ClosedBecause.LAST_RECEIPT, paid=fee * 100)


def logged(events: Iterable[MarketEvent], number: int = 1) -> list[Logged]:
    block = BlockRef(number=number, hash=a_digest(f"{number}"), parent=bytes(32), at=NOW + number)
    return [
        Logged(event=event, block=block, log_index=index, transaction=bytes(32))
        for index, event in enumerate(events)
    ]


def after(*courses: Course, matchers: Iterable[Address] = (NODE,)) -> Reputations:
    reputations = Reputations(matchers=list(matchers))
    for fact in logged([DEPLOYED]):
        reputations.apply(fact)
    for number, course in enumerate(courses, 2):
        for fact in logged(course.events, number):
            reputations.apply(fact)
    return reputations


def ada(*courses: Course, matchers: Iterable[Address] = (NODE,)) -> Reputation:
    return after(*courses, matchers=matchers).score(ADA, NOW)


def test_a_newcomer_has_nothing() -> None:
    assert ada() == Reputation()
    assert Reputation().to_plain() == {
        "per_mille": 0,
        "completed": 0,
        "no_shows": 0,
        "disputes_lost": 0,
        "uptime_per_mille": 0,
        "volume": "0",
        "counterparties": 0,
    }


def test_fees_of_customers_who_pay_others_too_count_in_full() -> None:
    served = [good(f"a{n}", 20_000, buyer=f"b{n}") for n in range(5)]
    elsewhere = [good(f"o{n}", 20_000, provider=BOB, buyer=f"b{n}") for n in range(5)]
    assert ada(*served, *elsewhere) == Reputation(
        per_mille=500, completed=5, uptime_per_mille=1_000, volume=HALF_FEES, counterparties=5
    )
    assert ada(*served, *elsewhere).per_mille == most_for(HALF_FEES)


def test_fees_of_customers_who_pay_nobody_else_count_a_quarter() -> None:
    assert ada(*(good(f"a{n}", 20_000, buyer=f"b{n}") for n in range(5))).volume == HALF_FEES // 4


def test_a_customers_history_elsewhere_backs_as_much_as_it_paid_there() -> None:
    assert ada(good("here", 1_000), good("there", 400, provider=BOB)).volume == 400 + 600 // 4


def test_one_customer_counts_up_to_the_cap_and_no_further() -> None:
    loyal = [good("a", CAP), good("o", 10 * CAP, provider=BOB)]
    assert ada(*loyal).volume == ada(*loyal, good("more", 9 * CAP)).volume == CAP
    assert ada(*loyal).per_mille == most_for(CAP) == 200


@pytest.mark.parametrize("matcher", [an_address("its own"), ADA, an_address("buyer")])
def test_fees_that_the_parties_may_have_back_count_as_nothing(matcher: Address) -> None:
    found = ada(good("a", 50_000, matcher=matcher))
    assert found == Reputation()


def test_a_named_matcher_that_is_a_party_itself_counts_as_nothing_there() -> None:
    assert ada(good("a", 50_000, matcher=ADA), matchers=(NODE, ADA)) == Reputation()
    assert ada(good("a", 50_000, matcher=BOB), matchers=(NODE, BOB)).volume == CAP // 4


def test_the_fees_of_claims_count_like_those_of_receipts() -> None:
    claimed = Course("a").decided(ClaimDecidedBy.NOBODY_CONTESTED, 40_000, fee=400)
    found = ada(claimed.closed(ClosedBecause.CLAIMED, paid=40_000), good("b", 10, buyer="other"))
    assert (found.volume, found.counterparties, found.disputes_lost) == (100 + 2, 2, 0)


def test_a_lease_that_expires_unpaid_is_a_no_show_and_costs_standing() -> None:
    absent = Course("absent").closed(ClosedBecause.EXPIRED, burned=9)
    before, found = ada(good("a")), ada(good("a"), absent)
    assert (found.no_shows, found.uptime_per_mille) == (1, 500)
    assert found.per_mille <= before.per_mille
    released = ada(good("a"), Course("absent").closed(ClosedBecause.RELEASED))
    assert (released.no_shows, released.uptime_per_mille) == (0, 500)


@pytest.mark.parametrize(("seconds", "no_shows"), [(10, 0), (11, 1)])
def test_what_the_buyer_ended_within_an_interval_is_no_no_show(seconds: int, no_shows: int) -> None:
    ended = Course("a").terminated(seconds).closed(ClosedBecause.EXPIRED)
    assert ada(ended).no_shows == no_shows


def test_a_lease_without_escrow_is_no_no_show() -> None:
    free = Course("a").closed(ClosedBecause.EXPIRED)
    opened = free.events[0]
    assert isinstance(opened, LeaseOpened)
    free.events[0] = replace(opened, escrow=0)
    assert ada(free).no_shows == 0


def test_uptime_is_the_share_of_the_leased_time_that_was_receipted() -> None:
    half = Course("a").settled(SECONDS // 2, 100).closed(ClosedBecause.RELEASED, paid=10_000)
    assert ada(half).uptime_per_mille == 500
    ended = Course("a").settled(SECONDS // 2, 100).terminated(SECONDS // 2)
    assert ada(ended.closed(ClosedBecause.RELEASED, paid=10_000)).uptime_per_mille == 1_000
    early_exit = Course("a").settled(1, 100).closed(ClosedBecause.LAST_RECEIPT, paid=10_000)
    assert ada(early_exit).uptime_per_mille == 1_000
    silent = Course("a").settled(60, 10).closed(ClosedBecause.EXPIRED, paid=1_000)
    assert ada(silent).uptime_per_mille == 100


def test_a_refused_claim_is_a_lost_dispute_and_an_upheld_or_unheard_one_is_not() -> None:
    refused = Course("a").decided(ClaimDecidedBy.ARBITER, 0).closed(ClosedBecause.CLAIMED)
    upheld = Course("a").decided(ClaimDecidedBy.ARBITER, 50).closed(ClosedBecause.CLAIMED, paid=50)
    unheard = Course("a").decided(ClaimDecidedBy.SILENCE, 25).closed(ClosedBecause.CLAIMED, paid=25)
    assert ada(refused).disputes_lost == 1
    assert ada(upheld).disputes_lost == ada(unheard).disputes_lost == 0


def test_a_slashed_claim_is_lost_even_where_it_was_paid_and_lost_once() -> None:
    slashed = Course("a").decided(ClaimDecidedBy.ARBITER, 50)
    assert ada(slashed.closed(ClosedBecause.CLAIMED, paid=50, burned=5)).disputes_lost == 1
    refused = Course("a").decided(ClaimDecidedBy.ARBITER, 0)
    assert ada(refused.closed(ClosedBecause.CLAIMED, burned=5)).disputes_lost == 1


def test_a_guilty_verdict_is_a_lost_dispute_and_an_innocent_one_is_not() -> None:
    guilty = Course("a").judged(guilty=True).closed(ClosedBecause.JUDGED, burned=20)
    assert (ada(guilty).disputes_lost, ada(guilty).uptime_per_mille) == (1, 0)
    innocent = Course("a").judged(guilty=False, seconds=300).settled(300, 9)
    found = ada(innocent.closed(ClosedBecause.LAST_RECEIPT, paid=900))
    assert (found.disputes_lost, found.completed, found.uptime_per_mille) == (0, 1, 1_000)


def test_a_matcher_that_nobody_vouches_for_cannot_make_anybody_guilty_or_absent() -> None:
    theirs = an_address("theirs")
    guilty = Course("a", matcher=theirs).judged(guilty=True).closed(ClosedBecause.JUDGED, burned=20)
    absent = Course("b", matcher=theirs).closed(ClosedBecause.EXPIRED, burned=20)
    assert ada(guilty, absent) == Reputation()
    refused = Course("c", matcher=theirs).decided(ClaimDecidedBy.ARBITER, 0)
    assert ada(refused.closed(ClosedBecause.CLAIMED)).disputes_lost == 1


def test_an_open_lease_says_nothing_of_uptime_yet() -> None:
    assert ada(Course("a").settled(60, 10)) == Reputation(volume=2, counterparties=1)


def test_a_continued_lease_counts_as_delivered_and_not_as_completed() -> None:
    found = ada(Course("a").settled(60, 10).closed(ClosedBecause.CONTINUED, paid=1_000))
    assert (found.completed, found.uptime_per_mille) == (0, 1_000)


def test_a_fact_of_a_lease_that_nobody_opened_is_broken() -> None:
    course = good("a")
    with pytest.raises(Broken):
        after().apply(logged(course.events[1:], 2)[0])
    with pytest.raises(Broken):
        after(course).apply(logged(course.events[1:], 9)[0])


def test_facts_that_come_again_change_nothing() -> None:
    course, other = good("a"), good("b")
    reputations = after(course, other)
    found = reputations.score(ADA, NOW)
    for number, again in ((3, other), (2, course), (3, other)):
        for fact in logged(again.events, number):
            reputations.apply(fact)
    assert reputations.score(ADA, NOW) == found


def test_other_facts_are_of_no_matter() -> None:
    reputations = after()
    reputations.apply(logged([Deposited(account=ADA, amount=5)], 2)[0])
    assert reputations.score(ADA, NOW) == Reputation()


@st.composite
def courses(draw: st.DrawFn) -> list[Course]:
    """Leases among few accounts and matchers, ended in every way."""
    parties = st.sampled_from(["ada", "bob", "cai"])
    made = []
    for number in range(draw(st.integers(0, 12))):
        matcher = draw(st.sampled_from([NODE, NODE, ADA, an_address("theirs")]))
        course = Course(f"{number}", an_address(draw(parties)), draw(parties), matcher)
        for seconds in range(100, draw(st.integers(1, 4)) * 100, 100):
            course.settled(seconds, draw(st.integers(0, 2 * CAP)))
        if draw(st.booleans()):
            course.terminated(draw(st.integers(1, SECONDS)))
        ending = draw(st.sampled_from([*ClosedBecause, None]))
        if ending is ClosedBecause.CLAIMED:
            course.decided(draw(st.sampled_from(list(ClaimDecidedBy))), draw(st.integers(0, 9)), 7)
        if ending is ClosedBecause.JUDGED:
            course.judged(guilty=True)
        if ending is not None:
            course.closed(ending, paid=draw(st.integers(0, 1)), burned=draw(st.integers(0, 1)))
        made.append(course)
    return made


def burned_fees(provider: Address, made: list[Course]) -> int:
    """What the provider's leases paid to the node, which is nobody's here."""
    own = [course for course in made if course.parties["provider"] == provider]
    return sum(
        event.fee
        for course in own
        for event in course.events
        if isinstance(course.events[0], LeaseOpened)
        and course.events[0].terms.matcher == NODE
        and isinstance(event, UsageSettled | ClaimDecided)
    )


@given(made=courses())
def test_nobodys_score_exceeds_what_its_burned_fees_buy_honestly(made: list[Course]) -> None:
    reputations = after(*made)
    for name in ("ada", "bob", "cai"):
        found = reputations.score(an_address(name), NOW)
        burned = burned_fees(an_address(name), made)
        assert found.volume <= burned
        assert 0 <= found.per_mille <= most_for(burned) <= 1_000
        assert 0 <= found.uptime_per_mille <= 1_000


@given(made=courses(), draw=st.randoms(use_true_random=False))
def test_leases_of_one_block_tell_the_same_in_any_order(made: list[Course], draw: Random) -> None:
    shuffled = list(made)
    draw.shuffle(shuffled)
    one, other = after(*made), after(*shuffled)
    for name in ("ada", "bob", "cai"):
        assert one.score(an_address(name), NOW) == other.score(an_address(name), NOW)


@given(made=courses())
def test_a_failure_more_never_raises_a_score(made: list[Course]) -> None:
    absent = Course("absent").closed(ClosedBecause.EXPIRED)
    guilty = Course("guilty").judged(guilty=True).closed(ClosedBecause.JUDGED)
    before = ada(*made).per_mille
    assert ada(*made, absent).per_mille <= before
    assert ada(*made, guilty).per_mille <= before


@given(fees=st.integers(0, CAP), buyers=st.integers(0, 40))
def test_an_honest_provider_gets_all_that_its_fees_can_buy(fees: int, buyers: int) -> None:
    served = [good(f"a{n}", fees, buyer=f"b{n}") for n in range(buyers)]
    elsewhere = [good(f"o{n}", fees, provider=BOB, buyer=f"b{n}") for n in range(buyers)]
    assert ada(*served, *elsewhere).per_mille == most_for(fees * buyers)


@given(fees=st.integers(0, 2 * CAP), sybils=st.integers(0, 40))
def test_buyers_who_trade_with_one_provider_alone_are_worth_a_quarter_at_most(fees: int, sybils: int) -> None:
    found = ada(*(good(f"a{n}", fees, buyer=f"b{n}") for n in range(sybils)))
    assert found.volume <= fees * sybils // 4
