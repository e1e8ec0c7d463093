"""The agent's machine against a small world of engine, node and chain that crashes, repeats and forgets.

The world does what the machine asks, one instruction at a time, or loses it; after any interleaving a job
was started at most once, no receipt and no claim exceeds its bound, a replica committed to one result alone,
no time was billed on two leases, and an ended lease leaves nothing behind.
"""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.market.facts import JobPhase
from ledger.market.identity import Digest, LeaseId
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
    Warn,
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
    Resumed,
    Stimulus,
    Tick,
    UsageSettled,
    UsageTaken,
    Warned,
    Yield,
)
from provider_agent.lifecycle.transitions import OUTBID
from provider_agent.machine import handle, open_lease
from provider_agent.runtimes.base import Phase
from tests.factories import NOW, a_digest, some_terms

MS = 1_000
LEASE, NEXT = LeaseId(a_digest("lease")), LeaseId(a_digest("next lease"))
PACE = Pace(interval=10 * MS, grace=60 * MS)
WHY = Ending(code="refused", cause="Because.")
TERMS = some_terms(rate=3_600_000_000)
"""a base unit for each millisecond"""
CHANCE = st.sampled_from([False] * 9 + [True])
"""what ends a lease comes seldom, so that most live long enough to be paid"""
CASE = Replica(agree=2, members=tuple(replace(TERMS, member=number) for number in range(3)))
OTHERS = (a_digest("result"), a_digest("result"))


class World(RuleBasedStateMachine):
    replica: Replica | None = None

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW * MS
        self.container: Observed | None = None
        self.created_once = False
        self.starts = 0
        self.start_orders = 0
        self.chain_open = True
        self.undecided = self.replica is not None
        self.committed: ReplicaResult | None = None
        self.revealed = False
        self.others = 0
        self.claim_until: int | None = None
        self.paid = 0
        self.billed_before: int | None = None
        self.yields_until: int | None = None
        self.todo: list[Instruction] = []
        self.log: list[Stimulus] = []
        self.state, todo = open_lease(self._seen())
        self._take(todo)

    def _seen(self) -> LeaseSeen:
        return LeaseSeen(at=self.now, id=LEASE, terms=TERMS, start=NOW, escrow=600_000, replica=self.replica)

    def _take(self, instructions: tuple[Instruction, ...]) -> None:
        self.start_orders += sum(isinstance(one, StartContainer) for one in instructions)
        for one in instructions:
            # The agent neither queues the same thing twice nor looks while it acts.
            busy = isinstance(one, Observe) and any(not isinstance(x, Attach) for x in self.todo)
            if one not in self.todo and not busy:
                self.todo.append(one)

    def feed(self, stimulus: Stimulus) -> None:
        self.log.append(stimulus)
        self.state, instructions = handle(self.state, stimulus, PACE)
        self._take(instructions)

    @initialize(steps=st.sampled_from([0, 2, 8, 8, 8]))
    def begins(self, steps: int) -> None:
        """Most worlds begin with a running job: what follows it is where money is."""
        for _ in range(steps):
            self.does_what_is_asked()

    @rule()
    def does_what_is_asked(self) -> None:
        if self.todo:
            self._carry_out(self.todo.pop(0))

    @rule()
    def does_all_that_is_asked(self) -> None:
        for _ in range(20):
            self.does_what_is_asked()

    @rule()
    def loses_what_is_asked(self) -> None:
        # A start that got no answer may have happened or not; everything else is asked for again.
        if self.todo and not isinstance(self.todo[0], StartContainer):
            self.todo.pop(0)

    @rule(begun=st.booleans())
    def is_killed(self, begun: bool) -> None:
        if begun and self.todo and isinstance(self.todo[0], StartContainer | CreateContainer):
            self._act_on_engine(self.todo[0])
        self.todo.clear()
        self.feed(Resumed(at=self.now))

    @rule(step=st.sampled_from([50, 700, 3_000, 12_000, 40_000, 300_000]))
    def time_passes(self, step: int) -> None:
        self.now += step
        self.feed(Tick(at=self.now))

    @rule(data=st.data())
    def something_comes_twice(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.log)) if self.log else None
        # An observation of the past is not a repetition but a lie; the agent never keeps one.
        if old is not None and not isinstance(old, ContainerCreated | ContainerObserved | Resumed):
            self.feed(old)

    @rule(code=st.sampled_from([0, 1, 137]), oom=st.booleans())
    def the_job_exits(self, code: int, oom: bool) -> None:
        if self.container and self.container.phase is Phase.RUNNING:
            self._exit(code, oom)
            self.feed(ContainerObserved(at=self.now, container=self.container))

    @rule(chance=CHANCE)
    def the_container_is_lost(self, chance: bool = True) -> None:
        if not chance:
            return
        if self.container is not None:
            self.container = None
            self.todo = [one for one in self.todo if not isinstance(one, StartContainer)]
            self.feed(ContainerObserved(at=self.now, container=None))

    @rule()
    def the_buyer_terminates(self) -> None:
        if self.chain_open:
            elapsed = max(1, self.now // MS - NOW)
            self.feed(LeaseTerminated(at=self.now, ended_after=elapsed))

    @rule(chance=CHANCE)
    def the_lease_is_closed(self, chance: bool = True) -> None:
        if not chance:
            return
        self.chain_open = False
        self.feed(LeaseEnded(at=self.now))

    @precondition(lambda self: not self.undecided)
    @rule(chance=CHANCE)
    def the_signer_closes_the_lease(self, chance: bool = True) -> None:
        if not chance:
            return
        self.chain_open = False
        self.feed(LeaseEnded(at=self.now, agreed=True))

    @precondition(lambda self: self.claim_until is not None and self.chain_open)
    @rule()
    def the_buyer_contests(self) -> None:
        self.claim_until = self.now // MS + 300
        self.feed(ClaimStands(at=self.now, until=self.claim_until, contested=True))

    @rule(notice=st.sampled_from([1, 10, 60]))
    def a_higher_bid_takes_its_place(self, notice: int) -> None:
        self.feed(Yield(at=self.now, notice=notice))
        if self.yields_until is None and self.state.yields_until:
            self.yields_until = self.now + notice * MS

    @rule(chance=CHANCE)
    def a_block_is_undone(self, chance: bool = True) -> None:
        if not chance:
            return
        self.feed(LeaseUnmined(at=self.now))

    @rule()
    def the_lease_is_mined_again(self) -> None:
        self.feed(self._seen())

    @rule(chance=CHANCE)
    def the_node_disowns_it(self, chance: bool = True) -> None:
        if not chance:
            return
        self.feed(Disowned(at=self.now, why=WHY))

    @rule(milliseconds=st.integers(0, 10**7), last=st.booleans())
    def any_receipt_arrives(self, milliseconds: int, last: bool) -> None:
        self._receipt(milliseconds, last=last)

    @precondition(lambda self: self.state.stage is Stage.SEEN)
    @rule()
    def the_document_is_refused(self) -> None:
        self.feed(DocumentJudged(at=self.now, refusal=WHY))

    @precondition(lambda self: self.state.stage is Stage.PREPARING)
    @rule()
    def the_image_is_wrong(self) -> None:
        self.feed(PreparationFailed(at=self.now, why=WHY))

    def _exit(self, code: int, oom: bool) -> None:
        assert self.container is not None
        self.container = Observed(
            phase=Phase.EXITED,
            started_at=self.container.started_at,
            finished_at=self.now,
            exit_code=code,
            oom_killed=oom,
        )

    def _receipt(self, milliseconds: int, *, last: bool) -> None:
        receipt = UsageReceipt(
            lease=self.state.id, milliseconds=milliseconds, evidence=a_digest("evidence"), last=last
        )
        self.feed(ReceiptReceived(at=self.now, signed=SignedReceipt(receipt=receipt, signature=bytes(64))))

    def _act_on_engine(self, one: Instruction) -> None:
        if isinstance(one, CreateContainer) and self.container is None:
            self.container = Observed(phase=Phase.CREATED)
        elif isinstance(one, StartContainer) and self.container is not None:
            assert self.container.phase is Phase.CREATED
            self.starts += 1
            self.container = Observed(phase=Phase.RUNNING, started_at=self.now)

    def _create(self) -> None:
        if self.container is None:
            self._act_on_engine(CreateContainer())
            self.feed(ContainerCreated(at=self.now))
        else:
            self.feed(ContainerObserved(at=self.now, container=self.container))

    def _start(self) -> None:
        self._act_on_engine(StartContainer())
        self.feed(ContainerObserved(at=self.now, container=self.container))

    def _stop(self) -> None:
        if self.container is not None and self.container.phase is Phase.RUNNING:
            self._exit(137, False)
        self.feed(ContainerObserved(at=self.now, container=self.container))

    def _warn(self) -> None:
        assert self.state.yields_at is not None
        self.feed(Warned(at=self.now))

    def _clean(self) -> None:
        self.container = None
        self.feed(Cleaned(at=self.now))

    def _settle(self, one: Settle) -> None:
        receipt = one.signed.receipt
        if not self.chain_open or self.undecided or self.claim_until is not None:
            return
        self.paid = max(self.paid, receipt.milliseconds)
        self.feed(UsageSettled(at=self.now, milliseconds=receipt.milliseconds))
        if receipt.last:
            self.the_lease_is_closed()

    def _ask_contract(self) -> None:
        if self.chain_open:
            self.feed(LeaseStands(at=self.now))

    def _release(self) -> None:
        assert self.container is None or self.container.phase is not Phase.RUNNING
        if not self.undecided and self.claim_until is None:
            self.the_lease_is_closed()

    def _claim(self, one: Claim) -> None:
        if not self.chain_open or self.claim_until is not None:
            return
        assert not self.undecided
        assert self.container is None or self.container.phase is not Phase.RUNNING
        assert self.paid < one.milliseconds <= self.paid + 2 * PACE.interval
        self.claim_until = self.now // MS + 60
        self.feed(ClaimStands(at=self.now, until=self.claim_until, contested=False))

    def _finalize(self) -> None:
        if self.chain_open and self.claim_until is not None and self.now >= self.claim_until * MS:
            self.the_lease_is_closed()

    def _hash(self) -> None:
        # Every look draws another salt, and a crash may bring another one still.
        salt = a_digest(f"salt {self.now} {len(self.log)}")
        self.feed(ResultHashed(at=self.now, result=a_digest("result"), salt=salt))

    def _commit(self) -> None:
        assert self.state.replica is not None
        assert self.state.replica.result is not None
        assert self.committed in (None, self.state.replica.result)
        if self.undecided:
            self.committed = self.state.replica.result

    def _reveal(self) -> None:
        assert self.committed is not None
        assert self.state.replica is not None
        assert self.state.replica.result == self.committed
        self.revealed = self.undecided

    def _ask_jury(self) -> None:
        results: tuple[Digest, ...] = OTHERS[: self.others]
        if self.revealed and self.committed is not None:
            results = (*results, self.committed.hash)
        read = JuryRead(
            at=self.now,
            committed=self.committed is not None,
            revealed=self.revealed,
            commits=self.others + (self.committed is not None),
            results=results,
        )
        self.feed(read)

    def _decide(self) -> None:
        if self.undecided:
            self._judge(guilty=False)

    def _judge(self, *, guilty: bool) -> None:
        self.undecided = False
        self.feed(LeaseJudged(at=self.now, guilty=guilty, ended_after=max(1, self.now // MS - NOW)))
        if guilty:
            self.the_lease_is_closed()

    def _carry_out(self, one: Instruction) -> None:
        plain: dict[type[Instruction], Callable[[], None]] = {
            FetchDocument: lambda: self.feed(DocumentJudged(at=self.now, refusal=None)),
            Prepare: lambda: self.feed(Prepared(at=self.now)),
            CreateContainer: self._create,
            StartContainer: self._start,
            Observe: lambda: self.feed(ContainerObserved(at=self.now, container=self.container)),
            StopContainer: self._stop,
            CollectOutputs: lambda: self.feed(OutputsCollected(at=self.now, outputs=(), missing=())),
            Release: self._release,
            AskContract: self._ask_contract,
            Cleanup: self._clean,
            Attach: lambda: None,
            Detach: lambda: None,
            Finalize: self._finalize,
            HashOutputs: self._hash,
            Commit: self._commit,
            Reveal: self._reveal,
            AskJury: self._ask_jury,
            Decide: self._decide,
            Resize: lambda: self.feed(Resized(at=self.now)),
            Warn: self._warn,
        }
        match one:
            case ReportUsage(milliseconds=milliseconds, last=last):
                if self.undecided:
                    self.feed(UsageTaken(at=self.now, last=last))
                else:
                    self._receipt(milliseconds, last=last)
            case Claim():
                self._claim(one)
            case ReportPhase(phase=phase):
                self.feed(PhaseReported(at=self.now, phase=phase))
            case Settle():
                self._settle(one)
            case _:
                plain[type(one)]()

    @invariant()
    def the_job_is_started_at_most_once(self) -> None:
        assert self.start_orders <= 1
        assert self.starts <= 1

    @invariant()
    def its_notice_is_never_cut_short_nor_drawn_out(self) -> None:
        state: LeaseState = self.state
        assert state.yields_until == (self.yields_until or 0)
        if state.ending == OUTBID and state.stage is Stage.STOPPING:
            assert state.since >= state.yields_until

    @invariant()
    def no_receipt_is_beyond_its_bound(self) -> None:
        state: LeaseState = self.state
        assert state.billable(self.now) <= state.lease.seconds() * MS
        if state.receipt is not None:
            assert state.receipt.receipt.milliseconds <= state.terms.duration * MS

    @invariant()
    def what_never_ran_is_never_billed(self) -> None:
        if self.state.started_at is None:
            assert self.state.billable(self.now) == 0

    def teardown(self) -> None:
        """Whatever happened: once the lease has ended and time passes, nothing is left."""
        self.the_lease_is_closed()
        for _ in range(60):
            while self.todo:
                self._carry_out(self.todo.pop(0))
            self.time_passes(12_000)
        assert self.state.stage is Stage.GONE
        assert self.container is None
        if self.starts == 0:
            assert self.state.told is not JobPhase.SUCCEEDED


class LeftAlone(World):
    """The same world, but nobody closes the lease for the agent: it always finds its own way out."""

    def teardown(self) -> None:
        self.feed(self._seen())
        for _ in range(160):
            while self.todo:
                self._carry_out(self.todo.pop(0))
            self.time_passes(12_000)
        assert not self.chain_open or self.state.stage is Stage.GONE
        assert self.container is None


class OfReplicas(World):
    """The lease is one of three replicas: it is judged before it is paid, whatever happens."""

    replica = CASE

    @precondition(lambda self: self.others < len(OTHERS))
    @rule()
    def another_replica_gets_on(self) -> None:
        self.others += 1

    @precondition(lambda self: self.undecided)
    @rule(guilty=st.booleans())
    def the_jury_judges(self, guilty: bool) -> None:
        self._judge(guilty=guilty and self.revealed)

    @invariant()
    def nothing_is_settled_before_the_verdict(self) -> None:
        if self.undecided:
            assert self.state.stage not in (Stage.SETTLING, Stage.CLAIMING)

    def teardown(self) -> None:
        self.feed(self._seen())
        for _ in range(200):
            while self.todo:
                self._carry_out(self.todo.pop(0))
            self.time_passes(12_000)
        assert not self.chain_open or self.state.stage is Stage.GONE
        assert self.container is None


class Continued(World):
    """The lease is continued at any moment: the job is never begun anew, no millisecond is billed twice."""

    @precondition(lambda self: self.billed_before is None and self.chain_open and self.claim_until is None)
    @rule(ahead=st.integers(0, 15_000))
    def the_lease_is_continued(self, ahead: int) -> None:
        before = self.state
        signed = before.receipt.receipt.milliseconds if before.receipt else 0
        # The signer may have agreed to more than the agent reported, up to what the contract allows.
        paid = before.lease.billable(max(signed, before.billable(self.now)) + ahead, self.now // MS)
        if before.started_at is not None:
            self.feed(UsageSettled(at=self.now, milliseconds=paid))
        self.billed_before = 0 if before.started_at is None else before.started_at + paid
        seen = replace(self._seen(), id=NEXT, start=self.now // MS, continues=LEASE)
        before = self.state
        self.feed(HandedOver(at=self.now))
        assert self.state.stage is Stage.GONE
        # What is under way for the old lease is answered to the old lease, which ignores it.
        self.todo.clear()
        self.log.clear()
        self.state, todo = open_lease(seen, before)
        self.paid, self.yields_until = 0, None
        self._take(todo)

    def _seen(self) -> LeaseSeen:
        if self.billed_before is not None:
            return LeaseSeen(
                at=self.now, id=self.state.id, terms=TERMS, start=self.state.start, escrow=600_000
            )
        return super()._seen()

    def _clean(self) -> None:
        if self.state.stage is Stage.CLEANING or self.billed_before is None:
            super()._clean()

    @invariant()
    def no_millisecond_is_billed_twice(self) -> None:
        if self.billed_before is not None and self.state.started_at is not None:
            assert self.state.started_at >= self.billed_before


World.TestCase.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
LeftAlone.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestAgentMachine = World.TestCase
TestLeftAlone = LeftAlone.TestCase
OfReplicas.TestCase.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
TestOfReplicas = OfReplicas.TestCase
Continued.TestCase.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
TestContinued = Continued.TestCase
