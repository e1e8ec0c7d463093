from dataclasses import replace
from typing import Any

import pytest

from ledger.market.errors import Broken
from ledger.market.facts import JobPhase
from ledger.market.identity import LeaseId
from ledger.market.receipt import SignedReceipt, UsageReceipt
from provider_agent.lifecycle.instructions import (
    AskContract,
    AskJury,
    Attach,
    Claim,
    Cleanup,
    CollectOutputs,
    Commit,
    CreateContainer,
    Decide,
    Detach,
    FetchDocument,
    Finalize,
    HashOutputs,
    Instruction,
    Observe,
    Prepare,
    Release,
    ReportPhase,
    ReportUsage,
    Resize,
    Reveal,
    Settle,
    StartContainer,
    StopContainer,
)
from provider_agent.lifecycle.lease_state import Ending, LeaseState, Pace, Replica, ReplicaResult, Stage
from provider_agent.lifecycle.stimuli import (
    ClaimStands,
    Cleaned,
    ContainerCreated,
    ContainerObserved,
    Disowned,
    DocumentJudged,
    HandedOver,
    JuryRead,
    LeaseEnded,
    LeaseJudged,
    LeaseSeen,
    LeaseStands,
    LeaseTerminated,
    LeaseUnmined,
    Observed,
    OutputsCollected,
    PhaseReported,
    PreparationFailed,
    Prepared,
    ReceiptReceived,
    Resized,
    ResultHashed,
    ResultTaken,
    Resumed,
    Stimulus,
    Tick,
    UsageSettled,
    UsageTaken,
)
from provider_agent.machine import handle, open_lease
from provider_agent.runtimes.base import Phase
from tests.factories import NOW, a_digest, some_terms

MS = 1_000
T = NOW * MS
LEASE = LeaseId(a_digest("lease"))
PACE = Pace(interval=10 * MS, grace=60 * MS)
WHY = Ending(code="image-not-allowed", cause="The owner does not run this image.")
TERMS = some_terms(rate=3_600_000_000)
"""a base unit for each millisecond"""
SEEN = LeaseSeen(at=T, id=LEASE, terms=TERMS, start=NOW, escrow=600_000)
CREATED = Observed(phase=Phase.CREATED)
RUNNING = Observed(phase=Phase.RUNNING, started_at=T)


def exited(at: int, code: int = 0, **changes: Any) -> Observed:
    container = Observed(phase=Phase.EXITED, started_at=T, finished_at=at, exit_code=code)
    return replace(container, **changes)


def saw(container: Observed | None, at: int = T) -> ContainerObserved:
    return ContainerObserved(at=at, container=container)


def receipt(milliseconds: int, *, last: bool = False, at: int = T) -> ReceiptReceived:
    body = UsageReceipt(lease=LEASE, milliseconds=milliseconds, evidence=a_digest("e"), last=last)
    return ReceiptReceived(at=at, signed=SignedReceipt(receipt=body, signature=bytes(64)))


def after(*stimuli: Stimulus) -> tuple[LeaseState, list[tuple[Instruction, ...]]]:
    """The state after these, and what each asked for."""
    state, first = open_lease(SEEN)
    asked = [first]
    for stimulus in stimuli:
        state, instructions = handle(state, stimulus, PACE)
        asked.append(instructions)
    return state, asked


ACCEPTED = (DocumentJudged(at=T, refusal=None), Prepared(at=T), ContainerCreated(at=T))
UP = (*ACCEPTED, saw(RUNNING))
SUCCEEDED = PhaseReported(at=T + 5_000, phase=JobPhase.SUCCEEDED)
DONE = (*UP, saw(exited(T + 5_000), T + 5_000), OutputsCollected(at=T + 5_000, outputs=(), missing=()))


def test_a_job_that_goes_well() -> None:
    last = receipt(5_000, last=True, at=T + 5_000)
    state, asked = after(*DONE, SUCCEEDED, last, LeaseEnded(at=T + 6_000), Cleaned(at=T + 6_000))
    assert asked == [
        (FetchDocument(),),
        (ReportPhase(phase=JobPhase.PREPARING), Prepare()),
        (CreateContainer(),),
        (StartContainer(),),
        (ReportPhase(phase=JobPhase.RUNNING), Attach()),
        (CollectOutputs(),),
        (ReportPhase(phase=JobPhase.SUCCEEDED),),
        (ReportUsage(milliseconds=5_000, last=True),),
        (),
        (Cleanup(),),
        (),
    ]
    assert state.stage is Stage.GONE


def test_a_refused_job_is_released_with_its_reason() -> None:
    state, asked = after(DocumentJudged(at=T, refusal=WHY))
    assert asked[-1] == (Cleanup(), ReportPhase(phase=JobPhase.REFUSED), Release())
    assert state.explanation == WHY


def test_a_wrong_image_is_released_too() -> None:
    state, _ = after(DocumentJudged(at=T, refusal=None), PreparationFailed(at=T, why=WHY))
    assert (state.stage, state.final_phase) == (Stage.RELEASING, JobPhase.REFUSED)


def test_an_interrupted_start_is_refunded_and_never_tried_again() -> None:
    state, asked = after(*ACCEPTED, Resumed(at=T), saw(CREATED))
    assert asked[-2:] == [(Observe(),), (Cleanup(), ReportPhase(phase=JobPhase.FAILED), Release())]
    assert state.explanation.code == "interrupted-start"


def test_a_creation_that_was_interrupted_before_it_happened_is_done() -> None:
    _, asked = after(*ACCEPTED[:2], Resumed(at=T), saw(None))
    assert asked[-2:] == [(Observe(),), (CreateContainer(),)]


def test_a_creation_that_was_interrupted_after_it_happened_is_refunded() -> None:
    state, _ = after(*ACCEPTED[:2], Resumed(at=T), saw(CREATED))
    assert (state.stage, state.explanation.code) == (Stage.RELEASING, "interrupted-start")


def test_a_start_that_the_engine_refuses_says_why() -> None:
    state, _ = after(*ACCEPTED, saw(replace(CREATED, error="exec: no such file")))
    assert state.explanation.code == "start-failed"
    assert "no such file" in state.explanation.cause
    assert state.final_phase is JobPhase.FAILED


@pytest.mark.parametrize("begun", [ACCEPTED[:2], ACCEPTED, UP])
def test_a_running_job_is_found_again_after_a_restart(begun: tuple[Stimulus, ...]) -> None:
    state, asked = after(*begun, Resumed(at=T), saw(RUNNING))
    assert state.stage is Stage.RUNNING
    assert Attach() in asked[-1]
    assert StartContainer() not in asked[-1]


def test_a_job_that_ended_while_the_agent_was_away_is_billed_by_the_engines_times() -> None:
    state, asked = after(*UP, Resumed(at=T + 60_000), saw(exited(T + 7_000), T + 60_000))
    assert asked[-1] == (CollectOutputs(),)
    assert state.billable(T + 60_000) == 7_000


def test_a_job_that_had_ended_before_it_was_told_to_end_ended_by_itself() -> None:
    back = T + 700_000
    state, _ = after(*UP, Resumed(at=back), Tick(at=back), saw(exited(T + 7_000), back))
    assert (state.final_phase, state.billable(back)) == (JobPhase.SUCCEEDED, 7_000)
    state, _ = after(*UP, Resumed(at=back), Tick(at=back), saw(exited(back + 1, 137), back + 1))
    assert state.explanation.code == "duration-ended"


def test_usage_is_reported_each_interval() -> None:
    ticks = [Tick(at=T + 5_000), Tick(at=T + 10_000), Tick(at=T + 10_200)]
    _, asked = after(*UP, PhaseReported(at=T, phase=JobPhase.RUNNING), *ticks)
    assert asked[-3:] == [(), (ReportUsage(milliseconds=10_000, last=False),), ()]


def test_a_job_without_receipts_is_stopped() -> None:
    state, asked = after(*UP, Tick(at=T + 25_001))
    assert asked[-1] == (StopContainer(grace=PACE.stop_grace),)
    assert state.explanation.code == "receipts-missing"
    kept, _ = after(*UP, receipt(10_000, at=T + 10_000), Tick(at=T + 25_001))
    assert kept.stage is Stage.RUNNING


def test_a_job_is_stopped_at_the_end_of_its_duration_and_billed_no_longer() -> None:
    receipts = [receipt(s * MS, at=T + s * MS) for s in range(10, 600, 10)]
    state, asked = after(*UP, *receipts, Tick(at=T + 600_000))
    assert asked[-1] == (StopContainer(grace=PACE.stop_grace),)
    assert state.explanation.code == "duration-ended"
    state, _ = handle(state, saw(exited(T + 604_000, 137), T + 604_000), PACE)
    assert state.billable(T + 604_000) == 600_000


def test_a_job_that_began_late_stops_before_anybody_may_close_its_lease() -> None:
    late = T + 100_000
    started = Observed(phase=Phase.RUNNING, started_at=late)
    state, _ = after(*ACCEPTED, saw(started, late))
    assert state.stop_at(PACE) == T + 600_000 + PACE.grace - PACE.margin < late + 600_000


def test_a_short_grace_leaves_a_stopping_job_less_time_so_that_its_last_receipt_still_counts() -> None:
    hasty = Pace(interval=2 * MS, grace=4 * MS)
    running, _ = after(*UP)
    state, asked = handle(running, LeaseTerminated(at=T + 2_000, ended_after=1), hasty)
    (stopping,) = asked
    assert isinstance(stopping, StopContainer)
    assert T + 2_000 + stopping.grace * MS < state.closable_at(hasty.grace) - hasty.margin // 2
    _, asked = handle(running, LeaseTerminated(at=T + 9_000, ended_after=1), hasty)
    assert asked == (StopContainer(grace=0),)


def test_the_buyers_termination_stops_the_job_and_bounds_its_bill() -> None:
    state, asked = after(*UP, LeaseTerminated(at=T + 4_000, ended_after=3))
    assert asked[-1] == (StopContainer(grace=PACE.stop_grace),)
    state, _ = handle(state, saw(exited(T + 4_500, 143), T + 4_500), PACE)
    assert state.billable(T + 5_000) == 3_000
    assert (state.final_phase, state.explanation.code) == (JobPhase.FAILED, "terminated")


def test_a_termination_before_the_start_refunds() -> None:
    state, asked = after(*ACCEPTED[:2], LeaseTerminated(at=T, ended_after=1))
    assert Release() in asked[-1]
    assert state.stage is Stage.RELEASING


def test_a_closed_lease_stops_and_cleans_at_once() -> None:
    state, asked = after(*UP, LeaseEnded(at=T + 1_000))
    assert asked[-1] == (ReportPhase(phase=JobPhase.FAILED), Cleanup())
    assert state.stage is Stage.CLEANING


def test_outputs_are_still_brought_when_the_lease_closes_meanwhile_but_not_for_ever() -> None:
    state, asked = after(*DONE[:-1], LeaseEnded(at=T + 6_000), Tick(at=T + 8_000))
    assert asked[-1] == (CollectOutputs(),)
    state, instructions = handle(state, Tick(at=T + 6_001 + PACE.closed_patience), PACE)
    assert (state.stage, instructions[-1]) == (Stage.CLEANING, Cleanup())


def test_memory_that_ran_out_is_named_unless_the_job_succeeded_all_the_same() -> None:
    state, _ = after(*UP, saw(exited(T + 1, 137, oom_killed=True)))
    assert (state.final_phase, state.explanation.code) == (JobPhase.FAILED, "out-of-memory")
    state, _ = after(*UP, saw(exited(T + 1, 0, oom_killed=True)))
    assert state.final_phase is JobPhase.SUCCEEDED


def test_missing_outputs_are_listed_and_do_not_change_the_result() -> None:
    state, _ = after(*DONE[:-1], OutputsCollected(at=T, outputs=(), missing=("a.csv",)))
    assert state.final_phase is JobPhase.SUCCEEDED
    assert "a.csv" in state.explanation.cause


def test_a_lost_container_is_billed_by_its_last_receipt() -> None:
    state, _ = after(*UP, receipt(10_000, at=T + 10_000), saw(None, T + 15_000))
    assert (state.billable(T + 15_000), state.explanation.code) == (10_000, "container-lost")


@pytest.mark.parametrize("milliseconds", [600_001, 10**9])
def test_a_receipt_beyond_its_bound_is_none(milliseconds: int) -> None:
    state, _ = after(*UP, receipt(milliseconds, at=T + 10**9))
    assert state.receipt is None


def test_a_smaller_or_a_foreign_receipt_does_not_replace_the_best() -> None:
    state, _ = after(*UP, receipt(9_000, at=T + 9_000), receipt(8_000, at=T + 9_500))
    assert state.receipt is not None
    assert state.receipt.receipt.milliseconds == 9_000
    other = replace(state.receipt.receipt, lease=LeaseId(a_digest("other")), milliseconds=9_500)
    foreign = ReceiptReceived(at=T + 9_600, signed=SignedReceipt(receipt=other, signature=bytes(64)))
    assert handle(state, foreign, PACE)[0] == state


def test_a_last_receipt_that_nobody_settles_is_settled_by_the_agent() -> None:
    last = receipt(5_000, last=True, at=T + 5_000)
    _, asked = after(*DONE, SUCCEEDED, last, Tick(at=T + 20_000), Tick(at=T + 36_000))
    assert asked[-2:] == [(), (Settle(signed=last.signed),)]


def test_without_a_last_receipt_the_best_one_is_settled_before_anything_is_claimed() -> None:
    best = receipt(4_000, at=T + 4_000)
    stimuli: list[Stimulus] = [*DONE[:4], best, *DONE[4:], SUCCEEDED, Disowned(at=T + 6_000, why=WHY)]
    state, asked = after(*stimuli, Tick(at=T + 8_000))
    assert asked[-1] == (Settle(signed=best.signed),)
    claimed, instructions = handle(state, UsageSettled(at=T + 9_000, milliseconds=4_000), PACE)
    assert (claimed.stage, instructions) == (
        Stage.CLAIMING,
        (Claim(milliseconds=5_000, free=5_000, bond=0),),
    )
    _, instructions = handle(state, UsageSettled(at=T + 9_000, milliseconds=5_000), PACE)
    assert instructions == (Release(),)


def test_the_node_that_gives_a_lease_up_stops_its_job() -> None:
    state, asked = after(*UP, Disowned(at=T + 6_000, why=WHY))
    assert asked[-1] == (StopContainer(grace=PACE.stop_grace),)
    assert state.explanation == WHY


def test_a_lease_that_a_reorganisation_undoes_stops_unless_it_comes_back() -> None:
    undone = (*UP, LeaseUnmined(at=T + 1_000))
    state, _ = after(*undone, Tick(at=T + 2_000))
    assert state.stage is Stage.RUNNING
    back, _ = handle(state, replace(SEEN, at=T + 3_000, start=NOW + 2), PACE)
    assert (back.unmined_at, back.start) == (None, NOW + 2)
    patient = replace(state, receipt_at=T + 31_000)
    gone, asked = handle(patient, Tick(at=T + 31_001), PACE)
    assert (gone.explanation.code, asked) == ("lease-vanished", (StopContainer(grace=PACE.stop_grace),))


def test_nothing_is_begun_for_a_lease_that_is_undone() -> None:
    state, asked = after(ACCEPTED[0], LeaseUnmined(at=T), ACCEPTED[1])
    assert (state.stage, asked[-1]) == (Stage.PREPARING, ())


def test_a_lease_that_opens_again_never_runs_again() -> None:
    last = receipt(5_000, last=True, at=T + 5_000)
    ended = (*DONE, SUCCEEDED, last, LeaseEnded(at=T), Cleaned(at=T))
    _, asked = after(*ended, SEEN, LeaseStands(at=T))
    assert asked[-2:] == [(AskContract(),), (Settle(signed=last.signed),)]


def test_a_job_that_cannot_be_prepared_in_time_is_released() -> None:
    state, asked = after(ACCEPTED[0], Tick(at=T + 600_000), Tick(at=T + 602_001))
    assert asked[-2] == (Prepare(),)
    assert state.explanation.code == "not-started-in-time"


def test_a_fact_of_another_lease_is_a_defect() -> None:
    with pytest.raises(Broken):
        after(replace(SEEN, id=LeaseId(a_digest("other"))))


def test_a_lease_of_the_past_is_not_reported_on() -> None:
    state, asked = after(LeaseEnded(at=T))
    assert (state.stage, asked[-1]) == (Stage.GONE, (Cleanup(),))


# A claim: the signer fell silent.
SILENT = (*UP, receipt(10_000, at=T + 10_000), Tick(at=T + 35_001), saw(exited(T + 36_000), T + 36_000))


def silent(*stimuli: Stimulus) -> tuple[LeaseState, list[tuple[Instruction, ...]]]:
    """A job that was stopped for want of receipts, its outputs and reports delivered."""
    delivered = OutputsCollected(at=T + 36_000, outputs=(), missing=())
    told = PhaseReported(at=T + 36_000, phase=JobPhase.FAILED)
    return after(*SILENT, delivered, told, *stimuli)


def test_a_silent_signer_is_waited_for_then_its_best_receipt_is_settled_and_the_rest_claimed() -> None:
    late = T + 36_000 + PACE.last_receipt_patience
    state, asked = silent(Tick(at=late), UsageSettled(at=late + 1_000, milliseconds=10_000))
    best = receipt(10_000, at=T + 10_000).signed
    assert asked[-2] == (Settle(signed=best),)
    (claim,) = asked[-1]
    # The job ran 26 s beyond what is paid; two intervals are 20 s, and one needs no bond.
    assert isinstance(claim, Claim)
    assert (claim.milliseconds, claim.free) == (30_000, 20_000)
    assert (state.stage, claim.bond) == (Stage.CLAIMING, 10_000)


def test_a_claim_is_never_for_more_than_ran() -> None:
    short = (*UP, receipt(10_000, at=T + 10_000), saw(exited(T + 13_000), T + 13_000))
    state, _ = after(*short, OutputsCollected(at=T + 13_000, outputs=(), missing=()), SUCCEEDED)
    settled = UsageSettled(at=T + 13_000, milliseconds=10_000)
    state, _ = handle(state, settled, PACE)
    _, asked = handle(replace(state, disowned=True), Tick(at=T + 16_000), PACE)
    assert asked == (Claim(milliseconds=13_000, free=13_000, bond=0),)


def test_nothing_is_claimed_where_nothing_ran_beyond_the_receipt() -> None:
    state, _ = after(*UP, receipt(5_000, at=T + 5_000), saw(None, T + 9_000))
    state, _ = handle(state, OutputsCollected(at=T + 9_000, outputs=(), missing=()), PACE)
    state, _ = handle(state, PhaseReported(at=T + 9_000, phase=JobPhase.FAILED), PACE)
    state, _ = handle(state, UsageSettled(at=T + 9_000, milliseconds=5_000), PACE)
    _, asked = handle(replace(state, disowned=True), Tick(at=T + 12_000), PACE)
    assert asked == (Release(),)


def claimed(*stimuli: Stimulus) -> tuple[LeaseState, list[tuple[Instruction, ...]]]:
    late = T + 36_000 + PACE.last_receipt_patience
    settled = UsageSettled(at=late, milliseconds=10_000)
    stands = ClaimStands(at=late + 2_000, until=NOW + 800, contested=False)
    return silent(Tick(at=late), settled, stands, *stimuli)


def test_a_claim_is_finalised_when_its_window_is_over_and_not_before() -> None:
    before, after_it = T + 800_000, T + 800_000 + PACE.slack
    _, asked = claimed(Tick(at=before), Resumed(at=after_it))
    assert asked[-2:] == [(), (Finalize(),)]


def test_a_contested_claim_waits_for_the_arbiter_and_is_finalised_after_its_silence() -> None:
    contested = ClaimStands(at=T + 700_000, until=NOW + 1_100, contested=True)
    state, asked = claimed(contested, Tick(at=T + 810_000), Tick(at=T + 1_106_000))
    assert asked[-2:] == [(), (Finalize(),)]
    state, instructions = handle(state, LeaseEnded(at=T + 1_107_000), PACE)
    assert (state.stage, state.contested, instructions) == (Stage.CLEANING, True, (Cleanup(),))


def test_a_claim_that_the_chain_does_not_take_is_asked_for_again_and_then_released() -> None:
    late = T + 36_000 + PACE.last_receipt_patience
    settled = UsageSettled(at=late, milliseconds=10_000)
    _, asked = silent(Tick(at=late), settled, Tick(at=late + 3_000), Tick(at=late + PACE.claim_patience + 1))
    assert isinstance(asked[-2][0], Claim)
    assert asked[-1] == (Release(),)


def test_a_node_that_comes_back_while_a_claim_stands_still_gets_the_outputs() -> None:
    late = T + 36_000 + PACE.last_receipt_patience
    state, asked = after(
        *SILENT, Tick(at=late), UsageSettled(at=late, milliseconds=10_000), Tick(at=late + 2_000)
    )
    assert asked[-1][0] == CollectOutputs()
    state, asked_now = handle(state, OutputsCollected(at=late + 3_000, outputs=(), missing=("a",)), PACE)
    assert asked_now == (ReportPhase(phase=JobPhase.FAILED),)
    assert (state.stage, state.missing) == (Stage.CLAIMING, ("a",))
    state, asked_now = handle(state, LeaseEnded(at=late + 4_000), PACE)
    assert (state.stage, asked_now) == (Stage.REPORTING, (ReportPhase(phase=JobPhase.FAILED),))


def test_a_claim_that_this_agent_forgot_is_still_finalised() -> None:
    state, _ = after(ClaimStands(at=T, until=NOW + 60, contested=False))
    state, asked = handle(state, Tick(at=T + 70_000), PACE)
    assert Finalize() in asked


# A last receipt that nobody asked for: the signer ends the job.
def test_a_signer_that_signs_a_last_receipt_ends_the_job_and_still_gets_its_outputs() -> None:
    state, asked = after(*UP, receipt(4_000, last=True, at=T + 5_000), LeaseEnded(at=T + 5_500, agreed=True))
    assert asked[-2:] == [(StopContainer(grace=PACE.stop_grace),), ()]
    state, asked_now = handle(state, saw(exited(T + 6_000, 143), T + 6_000), PACE)
    assert (state.explanation.code, asked_now) == ("lease-finished", (CollectOutputs(),))


def test_a_lease_closed_by_its_last_receipt_stops_the_job_before_its_outputs_are_taken() -> None:
    state, asked = after(*UP, LeaseEnded(at=T + 5_500, agreed=True))
    assert asked[-1] == (StopContainer(grace=PACE.stop_grace),)
    assert state.closed_at == T + 5_500


# A lease that continues another one.
NEXT = LeaseId(a_digest("next"))


def next_of(before: LeaseState, start: int) -> tuple[LeaseState, tuple[Instruction, ...]]:
    seen = replace(SEEN, id=NEXT, start=start, at=start * MS, continues=before.id)
    return open_lease(seen, before)


def test_a_running_container_goes_on_under_the_next_lease() -> None:
    before, _ = after(*UP, receipt(20_000, at=T + 20_000), UsageSettled(at=T + 20_000, milliseconds=20_000))
    state, asked = next_of(before, NOW + 21)
    assert asked == (FetchDocument(), Attach(), ReportPhase(phase=JobPhase.RUNNING))
    assert (state.stage, state.container, state.settled) == (Stage.RUNNING, LEASE, 0)
    assert state.billable(T + 25_000) == 4_000
    gone, asked = handle(before, HandedOver(at=T + 21_000), PACE)
    assert (gone.stage, asked) == (Stage.GONE, (Detach(),))


def test_no_time_is_billed_twice_where_the_old_receipt_reaches_beyond_the_new_start() -> None:
    before, _ = after(*UP, UsageSettled(at=T + 22_500, milliseconds=22_500))
    state, _ = next_of(before, NOW + 21)
    assert state.billable(T + 25_000) == 2_500


def test_the_next_leases_duration_moves_the_deadline() -> None:
    before, _ = after(*UP)
    state, _ = next_of(before, NOW + 500)
    assert state.stop_at(PACE) == T + 500_000 + 600_000
    assert before.stop_at(PACE) == T + 600_000


def test_a_third_lease_still_names_the_first_ones_container() -> None:
    second, _ = next_of(after(*UP)[0], NOW + 20)
    seen = replace(SEEN, id=LeaseId(a_digest("third")), start=NOW + 40, at=T + 40_000, continues=NEXT)
    third, _ = open_lease(seen, second)
    assert third.container == LEASE


def test_the_next_lease_is_read_and_resized_over_restarts_until_it_is_done() -> None:
    state, _ = next_of(after(*UP)[0], NOW + 20)
    state, asked = handle(state, Tick(at=T + 21_000), PACE)
    assert FetchDocument() in asked
    state, asked = handle(state, DocumentJudged(at=T + 21_000, refusal=None), PACE)
    assert asked == (Resize(),)
    state, _ = handle(state, Resumed(at=T + 30_000), PACE)
    _, asked = handle(state, Tick(at=T + 30_000), PACE)
    assert Resize() in asked
    state, asked = handle(state, Resized(at=T + 31_000), PACE)
    assert (asked, state.unsized) == ((), False)


def test_what_cannot_be_resized_is_told_and_the_job_runs_on() -> None:
    state, _ = next_of(after(*UP)[0], NOW + 20)
    judged = DocumentJudged(at=T + 21_000, refusal=None, remark=WHY)
    state, asked = handle(state, judged, PACE)
    assert asked == (Resize(), ReportPhase(phase=JobPhase.RUNNING))
    state, _ = handle(state, Resized(at=T + 22_000), PACE)
    assert (state.stage, state.remark) == (Stage.RUNNING, WHY)


def test_a_next_lease_that_is_refused_stops_the_job() -> None:
    state, _ = next_of(after(*UP)[0], NOW + 20)
    state, asked = handle(state, DocumentJudged(at=T + 21_000, refusal=WHY), PACE)
    assert (asked, state.explanation) == ((StopContainer(grace=PACE.stop_grace),), WHY)


def test_a_job_that_ended_as_its_lease_was_continued_is_finished_under_the_next() -> None:
    before, _ = after(*UP, saw(exited(T + 20_500), T + 20_600))
    state, _ = next_of(before, NOW + 21)
    assert (state.stage, state.billable(T + 22_000)) == (Stage.COLLECTING, 0)


@pytest.mark.parametrize("known", [True, False])
def test_a_lease_that_continues_nothing_is_released(known: bool) -> None:
    ended, _ = after(LeaseEnded(at=T))
    seen = replace(SEEN, id=NEXT, continues=LEASE)
    state, asked = open_lease(seen, ended if known else None)
    assert asked == (ReportPhase(phase=JobPhase.REFUSED), Release())
    assert state.explanation.code == "nothing-to-continue"


def test_a_job_that_had_not_begun_begins_under_the_next_lease() -> None:
    state, asked = next_of(after(*ACCEPTED[:1])[0], NOW + 5)
    assert (state.stage, asked, state.container) == (Stage.SEEN, (FetchDocument(),), LEASE)


# A replica: committed, revealed, judged.
CASE = Replica(agree=2, members=tuple(replace(TERMS, member=number) for number in range(3)))
RESULT, OTHER_RESULT = a_digest("result"), a_digest("other result")
HASHED = ResultHashed(at=T + 6_000, result=RESULT, salt=a_digest("salt"))


def replica(*stimuli: Stimulus) -> tuple[LeaseState, list[tuple[Instruction, ...]]]:
    state, first = open_lease(replace(SEEN, replica=CASE))
    asked = [first]
    for stimulus in stimuli:
        state, instructions = handle(state, stimulus, PACE)
        asked.append(instructions)
    return state, asked


def jury(at: int, commits: int, *results: Any, committed: bool = True, revealed: bool = False) -> JuryRead:
    return JuryRead(at=at, committed=committed, revealed=revealed, commits=commits, results=tuple(results))


def test_a_replica_runs_without_receipts() -> None:
    state, asked = replica(*UP, Tick(at=T + 10_000), Tick(at=T + 60_000))
    assert state.stage is Stage.RUNNING
    assert ReportUsage(milliseconds=60_000, last=False) in asked[-1]


def test_a_replica_commits_to_its_result_before_any_node_has_its_outputs() -> None:
    state, asked = replica(*UP, saw(exited(T + 5_000), T + 5_000), HASHED)
    metered = ReportUsage(milliseconds=5_000, last=True)
    assert asked[-2:] == [(HashOutputs(), metered, CollectOutputs()), (Commit(),)]
    again, asked_now = handle(state, replace(HASHED, salt=a_digest("another salt")), PACE)
    assert (again, asked_now) == (state, ())


READY = (*DONE[:-1], HASHED, DONE[-1], SUCCEEDED)


def test_a_replica_reveals_once_all_have_committed_and_is_paid_once_judged() -> None:
    state, asked = replica(*READY, jury(T + 7_000, 2), jury(T + 9_000, 3))
    assert asked[-3:] == [(), (), (Reveal(),)]
    assert state.stage is Stage.JUDGING
    state, asked_now = handle(state, jury(T + 10_000, 3, RESULT, revealed=True), PACE)
    assert asked_now == ()
    state, asked_now = handle(state, LeaseJudged(at=T + 12_000, guilty=False, ended_after=12), PACE)
    assert (state.stage, asked_now) == (Stage.SETTLING, (ReportUsage(milliseconds=5_000, last=True),))


def test_a_verdict_that_comes_before_the_jury_was_asked_again_is_paid_all_the_same() -> None:
    taken = ResultTaken(at=T + 11_000, revealed=True)
    judged = LeaseJudged(at=T + 11_500, guilty=False, ended_after=11)
    state, asked = replica(*READY, jury(T + 9_000, 3), taken, judged)
    assert (state.stage, asked[-1]) == (Stage.SETTLING, (ReportUsage(milliseconds=5_000, last=True),))


def test_a_replica_that_is_judged_after_its_duration_waits_for_its_receipt_and_claims_nothing_yet() -> None:
    taken = ResultTaken(at=T + 11_000, revealed=True)
    judged = LeaseJudged(at=T + 700_000, guilty=False, ended_after=700)
    state, asked = replica(*READY, taken, judged, Tick(at=T + 703_000))
    assert (state.stage, asked[-1]) == (Stage.SETTLING, (ReportUsage(milliseconds=5_000, last=True),))
    state, _ = handle(state, Tick(at=T + 751_000), PACE)
    assert state.stage is Stage.CLAIMING


def test_a_commitment_that_was_lost_is_sent_again_after_a_kill() -> None:
    state, _ = replica(*READY, Resumed(at=T + 8_000))
    _, asked = handle(state, jury(T + 8_000, 0, committed=False), PACE)
    assert asked == (Commit(),)
    assert state.replica is not None
    assert state.replica.result == ReplicaResult(hash=RESULT, salt=HASHED.salt)


def test_a_job_that_was_hashed_by_nobody_is_hashed_after_a_kill() -> None:
    _, asked = replica(*UP, saw(exited(T + 5_000), T + 5_000), Resumed(at=T + 8_000))
    metered = ReportUsage(milliseconds=5_000, last=True)
    assert asked[-1][:3] == (HashOutputs(), metered, AskJury())


def test_the_node_is_told_how_long_a_replica_ran_until_it_says_so() -> None:
    state, asked = replica(*READY, Tick(at=T + 8_000))
    assert ReportUsage(milliseconds=5_000, last=True) in asked[-1]
    state, _ = handle(state, UsageTaken(at=T + 8_100, last=True), PACE)
    _, again = handle(state, Tick(at=T + 11_000), PACE)
    assert again == (AskJury(),)


COMMIT_UNTIL = T + 600_000 + PACE.jury_window


def test_others_that_do_not_commit_are_not_waited_for_beyond_their_time() -> None:
    _, asked = replica(*READY, jury(COMMIT_UNTIL, 2), jury(COMMIT_UNTIL + 1, 2))
    assert asked[-2:] == [(), (Reveal(),)]


def test_a_result_too_late_is_not_committed() -> None:
    _, asked = replica(*READY, jury(COMMIT_UNTIL + 1, 0, committed=False))
    assert asked[-1] == ()


def test_a_jury_that_nobody_calls_is_called_by_the_agent() -> None:
    everybody = jury(T + 10_000, 3, RESULT, RESULT, RESULT, revealed=True)
    _, asked = replica(*READY, everybody, replace(everybody, at=T + 15_001))
    assert asked[-2:] == [(), (Decide(),)]
    late = jury(COMMIT_UNTIL + PACE.jury_window + PACE.slack + 1, 2, RESULT, revealed=True)
    _, asked = replica(*READY, late)
    assert asked[-1] == (Decide(),)


def test_a_convicted_replica_is_cleaned_up() -> None:
    state, _ = replica(
        *READY, LeaseJudged(at=T + 9_000, guilty=True, ended_after=0), LeaseEnded(at=T + 9_000)
    )
    assert (state.stage, state.explanation.code) == (Stage.CLEANING, "convicted")


def test_a_silent_replica_is_released_unpaid_and_claims_nothing() -> None:
    state, asked = replica(*READY, LeaseJudged(at=T + 9_000, guilty=False, ended_after=9))
    assert (state.stage, asked[-1]) == (Stage.RELEASING, (Release(),))


def test_a_refused_replica_is_released_only_when_it_is_judged() -> None:
    state, asked = replica(DocumentJudged(at=T, refusal=WHY), Tick(at=T + 3_000))
    assert Release() not in asked[-2] + asked[-1]
    assert AskJury() in asked[-1]
    _, asked_now = handle(state, LeaseJudged(at=T + 9_000, guilty=False, ended_after=9), PACE)
    assert asked_now == (Release(),)


def test_a_replica_that_was_cut_off_does_not_stand_against_a_quorum() -> None:
    cut = (*UP, LeaseTerminated(at=T + 4_000, ended_after=4), saw(exited(T + 4_500, 143), T + 4_500), HASHED)
    state, asked = replica(*cut, jury(T + 7_000, 3))
    assert asked[-1] == ()
    _, shown = handle(state, jury(T + 8_000, 3, RESULT, OTHER_RESULT), PACE)
    _, hidden = handle(state, jury(T + 8_000, 3, RESULT, RESULT), PACE)
    assert (shown, hidden) == ((Reveal(),), ())


def test_a_replica_stops_in_time_to_commit() -> None:
    late = Observed(phase=Phase.RUNNING, started_at=T + 100_000)
    state, _ = replica(*ACCEPTED, saw(late, T + 100_000))
    assert state.stop_at(PACE) < COMMIT_UNTIL
