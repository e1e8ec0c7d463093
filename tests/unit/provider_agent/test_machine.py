from dataclasses import replace
from typing import Any

import pytest

from ledger.market.errors import Broken
from ledger.market.facts import JobPhase
from ledger.market.identity import LeaseId
from ledger.market.receipt import SignedReceipt, UsageReceipt
from provider_agent.lifecycle.instructions import (
    AskContract,
    Attach,
    Cleanup,
    CollectOutputs,
    CreateContainer,
    FetchDocument,
    Instruction,
    Observe,
    Prepare,
    Release,
    ReportPhase,
    ReportUsage,
    Settle,
    StartContainer,
    StopContainer,
)
from provider_agent.lifecycle.lease_state import Ending, LeaseState, Pace, Stage
from provider_agent.lifecycle.stimuli import (
    Cleaned,
    ContainerCreated,
    ContainerObserved,
    Disowned,
    DocumentJudged,
    LeaseEnded,
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
    Resumed,
    Stimulus,
    Tick,
    UsageSettled,
)
from provider_agent.machine import handle, open_lease
from provider_agent.runtimes.base import Phase
from tests.factories import NOW, a_digest, some_terms

MS = 1_000
T = NOW * MS
LEASE = LeaseId(a_digest("lease"))
PACE = Pace(interval=10 * MS, grace=60 * MS)
WHY = Ending(code="image-not-allowed", cause="The owner does not run this image.")
SEEN = LeaseSeen(at=T, id=LEASE, terms=some_terms(), start=NOW, escrow=10**6)
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


def test_without_a_last_receipt_the_best_one_is_settled_before_the_release() -> None:
    best = receipt(4_000, at=T + 4_000)
    stimuli: list[Stimulus] = [*DONE[:4], best, *DONE[4:], SUCCEEDED, Disowned(at=T + 6_000, why=WHY)]
    state, asked = after(*stimuli, Tick(at=T + 8_000))
    assert asked[-1] == (Settle(signed=best.signed),)
    state, instructions = handle(state, UsageSettled(at=T + 9_000, milliseconds=4_000), PACE)
    assert (state.stage, instructions) == (Stage.RELEASING, (Release(),))


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
