"""The agent's machine against a small world of engine, node and chain that crashes, repeats and forgets.

The world does what the machine asks, one instruction at a time, or loses it; after any interleaving a job
was started at most once, no receipt exceeds its bound, and an ended lease leaves nothing behind.
"""

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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
LEASE = LeaseId(a_digest("lease"))
PACE = Pace(interval=10 * MS, grace=60 * MS)
WHY = Ending(code="refused", cause="Because.")


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = NOW * MS
        self.container: Observed | None = None
        self.created_once = False
        self.starts = 0
        self.start_orders = 0
        self.chain_open = True
        self.paid_out = False
        self.todo: list[Instruction] = []
        self.log: list[Stimulus] = []
        self.state, todo = open_lease(self._seen())
        self._take(todo)

    def _seen(self) -> LeaseSeen:
        return LeaseSeen(at=self.now, id=LEASE, terms=some_terms(), start=NOW, escrow=10**9)

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

    @rule()
    def does_what_is_asked(self) -> None:
        if self.todo:
            self._carry_out(self.todo.pop(0))

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

    @rule()
    def the_container_is_lost(self) -> None:
        if self.container is not None:
            self.container = None
            self.todo = [one for one in self.todo if not isinstance(one, StartContainer)]
            self.feed(ContainerObserved(at=self.now, container=None))

    @rule()
    def the_buyer_terminates(self) -> None:
        if self.chain_open:
            elapsed = max(1, self.now // MS - NOW)
            self.feed(LeaseTerminated(at=self.now, ended_after=elapsed))

    @rule()
    def the_lease_is_closed(self) -> None:
        self.chain_open = False
        self.feed(LeaseEnded(at=self.now))

    @rule()
    def a_block_is_undone(self) -> None:
        self.feed(LeaseUnmined(at=self.now))

    @rule()
    def the_lease_is_mined_again(self) -> None:
        self.feed(self._seen())

    @rule()
    def the_node_disowns_it(self) -> None:
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
            lease=LEASE, milliseconds=milliseconds, evidence=a_digest("evidence"), last=last
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

    def _clean(self) -> None:
        self.container = None
        self.feed(Cleaned(at=self.now))

    def _settle(self, one: Settle) -> None:
        receipt = one.signed.receipt
        if not self.chain_open:
            return
        self.feed(UsageSettled(at=self.now, milliseconds=receipt.milliseconds))
        if receipt.last:
            self.the_lease_is_closed()

    def _ask_contract(self) -> None:
        if self.chain_open:
            self.feed(LeaseStands(at=self.now))

    def _release(self) -> None:
        assert self.container is None or self.container.phase is not Phase.RUNNING
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
        }
        match one:
            case ReportUsage(milliseconds=milliseconds, last=last):
                self._receipt(milliseconds, last=last)
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


World.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
LeftAlone.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestAgentMachine = World.TestCase
TestLeftAlone = LeftAlone.TestCase
