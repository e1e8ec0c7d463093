"""The books against random markets: facts in any order that a chain allows, twice, and taken back.

Two laws: replaying the journal gives exactly the tables that recording gave, and the money is the fold
of the surviving events, whatever was reorganised in between.
"""

import contextlib
import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.books.books import open_books
from ledger.books.compare import compare
from ledger.market.errors import Rejected
from ledger.market.facts import (
    AgentLost,
    BidWithdrawn,
    Fact,
    JobPhase,
    JobReported,
    OutputFile,
    PlanFailed,
)
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import CANCELLED_BY_BUYER, WAIT_OVER
from ledger.market.reasons import SkipReason
from tests.factories import NOW
from tests.fakes.small_market import (
    PROVIDER,
    SmallMarket,
    accepted,
    cosigned,
    job_id,
    lease_id,
    planned,
    used_for,
)

NAMES = st.sampled_from(["a", "b", "c"])
MILLISECONDS = st.integers(0, 700_000)


class BooksMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.books = open_books(str(Path(self.folder.name) / "books.db"))
        self.market = SmallMarket()
        self.market.register()
        self.market.deposit(10_000_000)
        self.seal()

    def teardown(self) -> None:
        if hasattr(self, "books"):
            self.books.close()
            self.folder.cleanup()

    def record(self, fact: Fact) -> None:
        with self.books.transaction() as unit:
            unit.record(fact)

    def try_record(self, fact: Fact) -> None:
        """A fact about a lease or a job that may not exist: refused whole, or recorded."""
        with contextlib.suppress(Rejected):
            self.record(fact)

    @rule(name=NAMES)
    def accept(self, name: str) -> None:
        self.record(accepted(name, attempts=2))

    @rule(name=NAMES, attempt=st.integers(0, 1), later=st.integers(0, 3))
    def plan(self, name: str, attempt: int, later: int) -> None:
        self.record(planned(name, attempt, NOW + later))

    @rule(name=NAMES, reason=st.sampled_from([SkipReason.CAPACITY, SkipReason.NONCE_USED]))
    def fail_plan(self, name: str, reason: SkipReason) -> None:
        self.try_record(PlanFailed(job=job_id(name), lease=lease_id(name), reason=reason, at=NOW))

    @rule(name=NAMES, code=st.sampled_from([CANCELLED_BY_BUYER, WAIT_OVER]))
    def withdraw(self, name: str, code: str) -> None:
        self.try_record(BidWithdrawn(job=job_id(name), code=code, cause="", at=NOW))

    @rule(name=NAMES, milliseconds=MILLISECONDS, last=st.booleans())
    def report_usage(self, name: str, milliseconds: int, last: bool) -> None:
        self.try_record(used_for(name, milliseconds, last=last))
        self.try_record(cosigned(name, milliseconds, last=last))

    @rule(name=NAMES, phase=st.sampled_from(JobPhase))
    def report_job(self, name: str, phase: JobPhase) -> None:
        file = OutputFile(path="out", sha256="ab" * 32, size=1)
        self.try_record(
            JobReported(
                lease=lease_id(name),
                phase=phase,
                exit_code=0,
                code="",
                cause="",
                outputs=(file,) if phase.final else (),
                at=NOW,
            )
        )

    @rule(name=NAMES)
    def lose_agent(self, name: str) -> None:
        self.try_record(AgentLost(lease=lease_id(name), provider=PROVIDER, at=NOW))

    @rule(amount=st.integers(0, 1 << 70))
    def deposit(self, amount: int) -> None:
        self.market.deposit(amount)

    @rule(name=NAMES, attempt=st.integers(0, 1))
    def open(self, name: str, attempt: int) -> None:
        state = self.market.state()
        lease = lease_id(name, attempt)
        if len(state.leases) < 3 and lease not in state.leases and lease not in state.closed:
            self.market.open(name, attempt)

    @precondition(lambda self: self.market.state().leases)
    @rule(data=st.data(), milliseconds=MILLISECONDS)
    def settle(self, data: st.DataObject, milliseconds: int) -> None:
        lease = data.draw(st.sampled_from(sorted(self.market.state().leases)))
        self.market.settle(lease, milliseconds)

    @precondition(lambda self: self.market.state().leases)
    @rule(data=st.data(), because=st.sampled_from(ClosedBecause), terminated=st.booleans())
    def close(self, data: st.DataObject, because: ClosedBecause, terminated: bool) -> None:
        lease = data.draw(st.sampled_from(sorted(self.market.state().leases)))
        if terminated:
            self.market.terminate(lease, 30)
        self.market.close(lease, because)

    @rule()
    def seal(self) -> None:
        self.record(self.market.seal())

    @precondition(lambda self: len(self.market.blocks) > 1)
    @rule(data=st.data())
    def reorganise(self, data: st.DataObject) -> None:
        self.record(self.market.rewind(data.draw(st.integers(1, len(self.market.blocks) - 1))))

    @rule(data=st.data())
    def hear_the_newest_block_again(self, data: st.DataObject) -> None:
        before = len(list(self.books.queries.facts()))
        self.record(self.market.blocks[-1])
        assert len(list(self.books.queries.facts())) == before

    @invariant()
    def postings_sum_to_zero(self) -> None:
        if not hasattr(self, "books"):
            return
        sums: dict[tuple[bytes, int], int] = defaultdict(int)
        for row in self.books.queries.postings():
            sums[row.block, row.log_index] += row.amount
        assert not any(sums.values())

    @rule()
    def compare_with_the_chain_and_the_replay(self) -> None:
        """`compare` replays the journal beside, so that both laws are one call."""
        self.seal()
        assert compare(self.books, self.market.state()) == []

    @rule()
    def rebuild(self) -> None:
        queries = self.books.queries
        before = (queries.jobs(), queries.leases(), queries.offers(), queries.events(limit=1_000))
        assert self.books.rebuild() == len(list(queries.facts()))
        assert (queries.jobs(), queries.leases(), queries.offers(), queries.events(limit=1_000)) == before


BooksMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
TestBooks = BooksMachine.TestCase
