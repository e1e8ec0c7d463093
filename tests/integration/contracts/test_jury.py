"""Replicas are judged by equal results: who lies loses its lock, who copies or keeps silent gains nothing."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.identity import NO_DIGEST
from ledger.market.policy import EMBEDDED
from tests.fakes.market_bench import (
    DURATION,
    ESCROW,
    LOCK,
    PURSE,
    ZERO,
    Log,
    MarketBench,
    Reverted,
    Words,
    account,
    changed,
    names,
    only,
)

A, B = b"a" * 32, b"b" * 32
PATIENCE = 2 * EMBEDDED.receipt_interval
PROVIDERS = ("replica 0", "replica 1", "replica 2")
UNDECIDED, ACTIVE = 129, 1


class Trial:
    """Three replicas of one bid, two of which must agree; nobody has committed yet."""

    def __init__(self, bench: MarketBench, agree: int = 2, providers: tuple[str, ...] = PROVIDERS) -> None:
        self.bench = bench
        self.providers = providers
        self.bid, self.terms = bench.gang(providers, agree)

    def commit(self, *results: bytes) -> None:
        """The first providers commit to these results."""
        for terms, result, name in zip(self.terms, results, self.providers, strict=False):
            self.bench.commit(terms, result, name)

    def reveal(self, *results: bytes) -> None:
        for terms, result, name in zip(self.terms, results, self.providers, strict=False):
            self.bench.reveal(self.bid, terms, result, name)

    def reported(self, *results: bytes) -> None:
        self.commit(*results)
        self.reveal(*results)

    def decide(self) -> list[Log]:
        return self.bench.call("jury", "decide", self.bid, self.terms, sender="stranger")

    def states(self) -> list[int]:
        return [self.bench.state_of(terms)[4] for terms in self.terms]

    def stakes(self) -> list[int]:
        return [self.bench.free_stake(name) for name in self.providers]


@pytest.fixture(scope="module")
def market() -> MarketBench:
    return MarketBench()


@pytest.fixture
def trial(market: MarketBench) -> Trial:
    return Trial(market)


def refused(call: Callable[..., object], *arguments: object, **named: str) -> str:
    """Why a call was refused."""
    with pytest.raises(Reverted) as refusal:
        call(*arguments, **named)
    return refusal.value.reason


def test_the_jury_is_bound_to_the_market_that_named_it(market: MarketBench) -> None:
    assert market.view("jury", "market") == market.addresses["market"].lower()
    assert market.view("market", "jury") == market.addresses["jury"].lower()
    assert refused(market.call, "jury", "bind", sender="stranger") == "jury: bound before"


def test_a_second_market_cannot_have_the_same_jury(market: MarketBench) -> None:
    assert refused(market.deploy, "ComputeMarket", market.constructor()) == "jury: bound before"


def test_replicas_open_undecided(trial: Trial) -> None:
    assert trial.states() == [UNDECIDED] * 3
    assert trial.stakes() == [PURSE - LOCK] * 3


def test_equal_results_free_every_replica_and_burn_nothing(trial: Trial) -> None:
    trial.reported(A, A, A)
    logs = trial.decide()
    assert names(logs) == ["ReplicasDecided", "LeaseJudged", "LeaseJudged", "LeaseJudged"]
    assert only(logs, "ReplicasDecided") == {"bid": trial.terms[0][1], "result": A, "agreed": 3}
    assert trial.states() == [ACTIVE] * 3
    assert trial.bench.view("market", "burned") == 0


def test_a_liar_loses_its_whole_lock_and_its_lease(trial: Trial) -> None:
    trial.reported(A, B, A)
    logs = trial.decide()
    assert only(logs, "ReplicasDecided")["agreed"] == 2
    assert [log.fields["guilty"] for log in logs if log.name == "LeaseJudged"] == [False, True, False]
    closed = only(logs, "LeaseClosed")
    assert (closed["paid"], closed["refunded"], closed["reason"]) == (0, ESCROW, 6)
    assert only(logs, "StakeBurned")["amount"] == LOCK
    assert trial.states() == [ACTIVE, 0, ACTIVE]
    assert trial.stakes()[1] == PURSE - LOCK
    assert trial.bench.view("market", "burned") == LOCK


def test_without_a_quorum_nobody_is_guilty(trial: Trial) -> None:
    trial.reported(A, B, b"c" * 32)
    logs = trial.decide()
    assert only(logs, "ReplicasDecided") == {"bid": trial.terms[0][1], "result": NO_DIGEST, "agreed": 0}
    assert trial.states() == [ACTIVE] * 3


def test_a_quorum_of_all_is_broken_by_one(market: MarketBench) -> None:
    trial = Trial(market, agree=3)
    trial.reported(A, A, B)
    assert only(trial.decide(), "ReplicasDecided")["agreed"] == 0
    assert trial.states() == [ACTIVE] * 3


def test_who_kept_silent_is_not_guilty(trial: Trial) -> None:
    trial.commit(A, A)
    trial.bench.advance(DURATION + PATIENCE + 1)
    trial.reveal(A, A)
    trial.bench.advance(PATIENCE)
    logs = trial.decide()
    assert only(logs, "ReplicasDecided")["agreed"] == 2
    assert [log.fields["guilty"] for log in logs if log.name == "LeaseJudged"] == [False] * 3


def test_who_committed_and_did_not_reveal_is_not_guilty(trial: Trial) -> None:
    trial.commit(A, A, B)
    trial.reveal(A, A)
    trial.bench.advance(DURATION + 2 * PATIENCE + 1)
    assert [log.fields["guilty"] for log in trial.decide() if log.name == "LeaseJudged"] == [False] * 3


def test_a_provider_whose_replica_was_ended_early_still_has_the_grace_to_be_paid(trial: Trial) -> None:
    """Else a buyer could end one replica early and have half of its honest provider's lock burned."""
    bench, early = trial.bench, trial.terms[0]
    bench.advance(EMBEDDED.receipt_interval + 1)
    bench.call("market", "terminate", early, sender="buyer")
    bench.advance(DURATION + 2 * PATIENCE)
    trial.decide()
    assert refused(bench.call, "market", "close", early, sender="buyer") == "market: not yet"
    bench.call("market", "claim", early, 1_000, sender="replica 0")
    bench.advance(EMBEDDED.challenge_window)
    bench.call("market", "finalize", early, sender="stranger")
    assert trial.stakes()[0] == PURSE


def test_one_reveal_alone_is_no_quorum(trial: Trial) -> None:
    trial.commit(A)
    trial.bench.advance(DURATION + PATIENCE + 1)
    trial.reveal(A)
    trial.bench.advance(PATIENCE)
    assert only(trial.decide(), "ReplicasDecided")["agreed"] == 0


def test_a_copied_commitment_cannot_be_revealed(trial: Trial) -> None:
    copied = trial.bench.commitment(trial.terms[0], A)
    trial.commit(A)
    trial.bench.call("jury", "commit", trial.terms[1], copied, sender="replica 1")
    trial.bench.commit(trial.terms[2], A, "replica 2")
    trial.reveal(A)
    for result in (A, B):
        assert (
            refused(trial.bench.reveal, trial.bid, trial.terms[1], result, "replica 1")
            == "jury: not the commitment"
        )


def test_nobody_reveals_before_all_have_committed(trial: Trial) -> None:
    trial.commit(A, A)
    assert refused(trial.reveal, A) == "jury: too early"
    trial.bench.commit(trial.terms[2], B, "replica 2")
    trial.reveal(A, A, B)


def test_the_time_to_commit_and_to_reveal_ends(trial: Trial) -> None:
    trial.bench.advance(DURATION + PATIENCE)
    trial.commit(A, A)
    assert refused(trial.reveal, A) == "jury: too early"
    trial.bench.advance(1)
    assert refused(trial.bench.commit, trial.terms[2], A, "replica 2") == "jury: too late"
    trial.reveal(A)
    trial.bench.advance(PATIENCE - 1)
    trial.bench.reveal(trial.bid, trial.terms[1], A, "replica 1")
    assert trial.bench.view("jury", "commitsOf", trial.terms[0][1]) == 2


def test_a_reveal_after_its_time_is_refused(trial: Trial) -> None:
    trial.commit(A, A, A)
    trial.bench.advance(DURATION + 2 * PATIENCE)
    trial.reveal(A)
    trial.bench.advance(1)
    assert refused(trial.bench.reveal, trial.bid, trial.terms[1], A, "replica 1") == "jury: too late"


def test_a_buyer_who_terminates_brings_the_windows_forward(trial: Trial) -> None:
    trial.bench.advance(100)
    for terms in trial.terms:
        trial.bench.call("market", "terminate", terms, sender="buyer")
    trial.bench.advance(PATIENCE)
    trial.commit(A, A)
    trial.bench.advance(1)
    assert refused(trial.bench.commit, trial.terms[2], A, "replica 2") == "jury: too late"
    trial.reveal(A, A)
    trial.bench.advance(PATIENCE)
    assert only(trial.decide(), "ReplicasDecided")["agreed"] == 2


@pytest.mark.parametrize("sender", ["stranger", "buyer", "matcher", "replica 1"])
def test_nobody_else_commits_or_reveals(trial: Trial, sender: str) -> None:
    assert refused(trial.bench.commit, trial.terms[0], A, sender) == "jury: not the provider"
    trial.commit(A, A, A)
    assert refused(trial.bench.reveal, trial.bid, trial.terms[0], A, sender) == "jury: not the provider"


def test_an_operating_delegate_commits_and_reveals(trial: Trial) -> None:
    until = trial.bench.at + 50
    delegate = (account("hot"), 2, 0, until)
    trial.bench.call("market", "setDelegate", *delegate, sender="replica 0")
    trial.bench.commit(trial.terms[0], A, "hot")
    trial.bench.commit(trial.terms[1], A, "replica 1")
    trial.bench.commit(trial.terms[2], A, "replica 2")
    trial.bench.advance(50)
    trial.bench.reveal(trial.bid, trial.terms[0], A, "hot")


@pytest.mark.parametrize(
    ("roles", "until", "after"),
    [(1, 2**40 - 1, 0), (2, 50, 51)],
    ids=["may only spend", "its time is over"],
)
def test_another_delegate_does_not(trial: Trial, roles: int, until: int, after: int) -> None:
    if until == 50:
        until += trial.bench.at
    trial.bench.call("market", "setDelegate", account("hot"), roles, 0, until, sender="replica 0")
    trial.bench.advance(after)
    assert refused(trial.bench.commit, trial.terms[0], A, "hot") == "jury: not the provider"


def test_a_result_is_committed_and_revealed_once(trial: Trial) -> None:
    trial.commit(A, A, A)
    assert refused(trial.bench.commit, trial.terms[0], B, "replica 0") == "jury: committed before"
    trial.reveal(A)
    assert refused(trial.reveal, A) == "jury: revealed before"


def test_nothing_is_no_commitment_and_no_result(trial: Trial) -> None:
    bench = trial.bench
    assert (
        refused(bench.call, "jury", "commit", trial.terms[0], ZERO, sender="replica 0")
        == "jury: no commitment"
    )
    trial.commit(ZERO, A, A)
    assert refused(trial.reveal, ZERO) == "jury: no result"


def test_a_reveal_needs_the_bid_of_its_lease(trial: Trial) -> None:
    trial.commit(A, A, A)
    other: Words = [*trial.bid[:10], 2, *trial.bid[11:]]
    assert refused(trial.bench.reveal, other, trial.terms[0], A, "replica 0") == "jury: another bid"


def test_a_lease_of_nobody_or_without_replicas_is_not_judged(market: MarketBench) -> None:
    bid, terms = market.gang(("replica 0", "replica 1"))
    assert refused(market.commit, terms[0], A, "replica 0") == "jury: nothing to judge"
    unknown = changed(terms[0], member=7)
    assert refused(market.commit, unknown, A, "replica 0") == "jury: nothing to judge"
    assert refused(market.call, "jury", "decide", bid, terms, sender="stranger") == "jury: nothing to judge"


@pytest.mark.parametrize(
    "pick",
    [
        lambda terms: terms[:2],
        lambda terms: [terms[1], terms[0], terms[2]],
        lambda terms: [terms[0], terms[0], terms[0]],
        lambda terms: [*terms, terms[0]],
        lambda terms: [],
        lambda terms: [terms[0], terms[1], changed(terms[2], bid=ZERO)],
    ],
    ids=["too few", "wrong order", "one thrice", "too many", "none", "of another bid"],
)
def test_all_members_are_judged_in_their_order(
    trial: Trial, pick: Callable[[list[Words]], list[Words]]
) -> None:
    trial.reported(A, A, A)
    picked = pick(trial.terms)
    why = refused(trial.bench.call, "jury", "decide", trial.bid, picked, sender="stranger")
    assert why == "jury: not its members"


def test_nobody_decides_while_somebody_may_still_reveal(trial: Trial) -> None:
    trial.commit(A, A, A)
    trial.reveal(A, A)
    trial.bench.advance(DURATION + 2 * PATIENCE)
    assert refused(trial.decide) == "jury: not yet"
    trial.bench.advance(1)
    trial.decide()


def test_nobody_decides_while_somebody_may_still_commit(trial: Trial) -> None:
    trial.bench.advance(DURATION + PATIENCE)
    assert refused(trial.decide) == "jury: not yet"
    trial.bench.advance(1)
    assert only(trial.decide(), "ReplicasDecided")["agreed"] == 0


def test_one_commitment_keeps_the_time_to_reveal_open(trial: Trial) -> None:
    trial.commit(A)
    trial.bench.advance(DURATION + PATIENCE + 1)
    assert refused(trial.decide) == "jury: not yet"
    trial.bench.advance(PATIENCE)
    trial.decide()


def test_replicas_are_decided_once(trial: Trial) -> None:
    trial.reported(A, B, A)
    trial.decide()
    assert refused(trial.decide) == "jury: nothing to judge"


def test_nothing_is_committed_or_revealed_after_the_judgement(trial: Trial) -> None:
    trial.bench.advance(DURATION + PATIENCE + 1)
    trial.decide()
    assert refused(trial.commit, A) == "jury: nothing to judge"
    assert refused(trial.reveal, A) == "jury: nothing to judge"


def test_nobody_but_the_jury_judges(trial: Trial) -> None:
    for sender in ("buyer", "replica 0", "arbiter", "guardian"):
        why = refused(trial.bench.call, "market", "judge", trial.terms[0], True, sender=sender)
        assert why == "market: not the jury"


def test_an_undecided_replica_is_neither_paid_nor_closed(trial: Trial) -> None:
    bench, terms = trial.bench, trial.terms[0]
    (skipped,) = bench.call("market", "settle", bench.receipt(terms, 5_000), sender="stranger")
    assert (skipped.name, skipped.fields["reason"]) == ("ReceiptSkipped", 49)
    bench.advance(DURATION + EMBEDDED.grace)
    for function, arguments, sender in (
        ("close", (), "stranger"),
        ("release", (), "replica 0"),
        ("claim", (5_000,), "replica 0"),
    ):
        why = refused(bench.call, "market", function, terms, *arguments, sender=sender)
        assert why == "market: undecided"


def test_a_replica_that_agreed_is_paid_after_the_judgement(trial: Trial) -> None:
    bench = trial.bench
    bench.advance(60)
    trial.reported(A, A, A)
    trial.decide()
    settled, *_ = bench.call(
        "market", "settle", bench.receipt(trial.terms[0], 60_000, last=True), sender="stranger"
    )
    assert settled.name == "UsageSettled"
    assert settled.fields["amount"] > 0
    assert trial.stakes()[0] == PURSE


def test_a_silent_replica_expires_as_a_no_show_after_the_grace(trial: Trial) -> None:
    bench = trial.bench
    trial.commit(A, A)
    bench.advance(DURATION + PATIENCE + 1)
    trial.reveal(A, A)
    bench.advance(PATIENCE)
    (_, *judged) = trial.decide()
    assert [log.fields["endOffset"] for log in judged] == [DURATION + 2 * PATIENCE + 1] * 3
    bench.advance(EMBEDDED.grace - 1)
    close = ("market", "close", trial.terms[2])
    assert refused(bench.call, *close, sender="stranger") == "market: not yet"
    bench.advance(1)
    assert only(bench.call(*close, sender="stranger"), "StakeBurned")["amount"] == EMBEDDED.no_show_of(LOCK)


def test_fifteen_replicas_are_judged_in_one_call(market: MarketBench) -> None:
    trial = Trial(market, agree=8, providers=tuple(f"replica {n}" for n in range(15)))
    trial.reported(*[A] * 8, *[B] * 7)
    logs = trial.decide()
    assert only(logs, "ReplicasDecided")["agreed"] == 8
    assert trial.states() == [ACTIVE] * 8 + [0] * 7


FIVE = tuple(f"replica {n}" for n in range(5))
REPORTS = st.lists(st.sampled_from([None, A, B, b"c" * 32]), min_size=5, max_size=5)


@settings(max_examples=20, deadline=None)
@given(reports=REPORTS, agree=st.integers(3, 5))
def test_exactly_those_who_revealed_against_a_quorum_are_guilty(
    market: MarketBench, reports: list[bytes | None], agree: int
) -> None:
    trial = Trial(market, agree, FIVE)
    told = [
        (terms, result, name)
        for terms, result, name in zip(trial.terms, reports, FIVE, strict=True)
        if result is not None
    ]
    for terms, result, name in told:
        market.commit(terms, result, name)
    market.advance(DURATION + PATIENCE + 1)
    for terms, result, name in told:
        market.reveal(trial.bid, terms, result, name)
    market.advance(PATIENCE)
    counts = {result: reports.count(result) for result in reports if result is not None}
    quorum = next((result for result, count in counts.items() if count >= agree), None)
    guilty = [quorum is not None and result not in (None, quorum) for result in reports]
    logs = trial.decide()
    assert [log.fields["guilty"] for log in logs if log.name == "LeaseJudged"] == guilty
    decided = only(logs, "ReplicasDecided")
    assert (decided["result"], decided["agreed"]) == (quorum or ZERO, counts.get(quorum, 0) if quorum else 0)
    assert trial.stakes() == [PURSE - LOCK] * 5
    assert market.view("market", "burned") == LOCK * sum(guilty)
    assert trial.states() == [0 if one else ACTIVE for one in guilty]


def test_what_was_revealed_can_be_read_for_good(trial: Trial) -> None:
    trial.reported(A, B, A)
    trial.decide()
    leases = [trial.bench.lease_id(terms) for terms in trial.terms]
    assert [trial.bench.view("jury", "resultOf", lease) for lease in leases] == [A, B, A]
    assert trial.bench.view("jury", "commitmentOf", leases[1]) == trial.bench.commitment(trial.terms[1], B)
