"""The books against random markets: facts in any order that a chain allows, twice, and taken back.

Two laws: replaying the journal gives exactly the tables that recording gave, and the money is the fold
of the surviving events, whatever was reorganised in between.
"""

import contextlib
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.books.books import open_books
from ledger.books.compare import compare
from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.facts import (
    AgentLost,
    BidWithdrawn,
    Fact,
    JobPhase,
    JobReported,
    LeaseYields,
    OutputFile,
    PlanFailed,
)
from ledger.market.identity import BidId, LeaseId
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import CANCELLED_BY_BUYER, WAIT_OVER
from ledger.market.reasons import SkipReason
from tests.books_url import POSTGRESQL, fresh_books, grid_kind
from tests.factories import NOW, a_digest, an_address
from tests.fakes.small_market import (
    BUYER,
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
    kind = grid_kind()

    @initialize()
    def begin(self) -> None:
        self.place = ExitStack()
        folder = Path(self.place.enter_context(tempfile.TemporaryDirectory()))
        self.books = open_books(self.place.enter_context(fresh_books(self.kind, folder)))
        self.market = SmallMarket()
        self.market.deploy()
        self.market.register()
        self.market.deposit(10_000_000)
        self.market.stake(1_000)
        self.market.deposit(1_000, PROVIDER)
        self.seal()

    def teardown(self) -> None:
        if hasattr(self, "books"):
            self.books.close()
            self.place.close()

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

    @rule(name=NAMES, by=NAMES)
    def yield_lease(self, name: str, by: str) -> None:
        told = LeaseYields(lease=lease_id(name), by=BidId(a_digest(by)), at=NOW, until=NOW + 60)
        self.try_record(told)

    @rule(amount=st.integers(0, 1 << 70))
    def deposit(self, amount: int) -> None:
        self.market.deposit(amount)

    @rule(name=NAMES, attempt=st.integers(0, 1))
    def open(self, name: str, attempt: int) -> None:
        state = self.market.state()
        lease = lease_id(name, attempt)
        enough = state.stakes.get(PROVIDER, 0) >= 100
        if enough and len(state.leases) < 3 and lease not in state.leases and lease not in state.closed:
            self.market.open(name, attempt)

    @precondition(lambda self: self.active())
    @rule(data=st.data(), milliseconds=MILLISECONDS)
    def settle(self, data: st.DataObject, milliseconds: int) -> None:
        self.market.settle(data.draw(st.sampled_from(self.active())), milliseconds)

    @precondition(lambda self: self.active())
    @rule(
        data=st.data(),
        because=st.sampled_from(ClosedBecause),
        terminated=st.booleans(),
        burned=st.integers(0, 10),
    )
    def close(self, data: st.DataObject, because: ClosedBecause, terminated: bool, burned: int) -> None:
        lease = data.draw(st.sampled_from(self.active()))
        if terminated:
            self.market.terminate(lease, 30)
        self.market.close(lease, because)
        self.market.burn(lease, burned)

    @precondition(lambda self: self.active())
    @rule(data=st.data(), amount=st.integers(1, 20), bond=st.integers(0, 5))
    def claim(self, data: st.DataObject, amount: int, bond: int) -> None:
        lease, state = data.draw(st.sampled_from(self.active())), self.market.state()
        held = state.leases[lease]
        if held.paid + amount <= held.escrow and state.balances.get(PROVIDER, 0) >= bond:
            self.market.claim(lease, amount, bond)

    @precondition(lambda self: self.claimed())
    @rule(data=st.data())
    def contest(self, data: st.DataObject) -> None:
        lease, state = data.draw(st.sampled_from(self.claimed())), self.market.state()
        claim = state.leases[lease].claim
        assert claim is not None
        bond = claim.claimed - state.leases[lease].paid
        if not claim.buyer_bond and state.balances.get(BUYER, 0) >= bond:
            self.market.contest(lease)

    @precondition(lambda self: self.claimed())
    @rule(data=st.data(), slash=st.integers(0, 10))
    def decide(self, data: st.DataObject, slash: int) -> None:
        lease = data.draw(st.sampled_from(self.claimed()))
        held = self.market.state().leases[lease]
        assert held.claim is not None
        amount = data.draw(st.integers(0, held.claim.claimed - held.paid))
        burned = data.draw(st.integers(0, held.claim.provider_bond + held.claim.buyer_bond))
        self.market.decide(lease, amount, burned, slash)

    def active(self) -> list[LeaseId]:
        leases = self.market.state().leases
        return sorted(lease for lease in leases if leases[lease].claim is None)

    def claimed(self) -> list[LeaseId]:
        leases = self.market.state().leases
        return sorted(lease for lease in leases if leases[lease].claim is not None)

    @rule(amount=st.integers(1, 1_000))
    def stake(self, amount: int) -> None:
        self.market.stake(amount)

    @precondition(lambda self: self.market.state().stakes.get(PROVIDER, 0))
    @rule(data=st.data(), unlock_at=st.integers(NOW, NOW + 1_000))
    def unstake(self, data: st.DataObject, unlock_at: int) -> None:
        free = self.market.state().stakes[PROVIDER]
        self.market.unstake(data.draw(st.integers(1, free)), unlock_at)

    @precondition(lambda self: PROVIDER in self.market.state().unstaking)
    @rule()
    def finish_unstake(self) -> None:
        self.market.finish_unstake()

    @rule(
        name=st.sampled_from(["laptop", "runner"]),
        roles=st.sampled_from([Role(0), Role.SPEND, Role.OPERATE]),
        allowance=st.integers(0, 1 << 100),
    )
    def delegate(self, name: str, roles: Role, allowance: int) -> None:
        self.market.delegate(an_address(name), roles, allowance)

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
    def the_totals_are_the_sums_of_the_transfers(self) -> None:
        if not hasattr(self, "books"):
            return
        queries = self.books.queries
        posted: dict[str, int] = defaultdict(int)
        for row in queries.transfers():
            if row.posted:
                posted[row.debit] -= row.amount
                posted[row.credit] += row.amount
        totals = queries.all_totals()
        assert sum(one.posted for one in totals.values()) == 0
        assert {name: one.posted for name, one in totals.items() if one.posted} == {
            name: amount for name, amount in posted.items() if amount
        }

    @invariant()
    def what_is_held_is_pending_at_both_of_its_accounts(self) -> None:
        if not hasattr(self, "books"):
            return
        queries = self.books.queries
        totals = queries.all_totals().values()
        held = sum(queries.holds().values())
        assert sum(one.debits_pending for one in totals) == held
        assert sum(one.credits_pending for one in totals) == held

    @rule()
    def compare_with_the_chain_and_the_replay(self) -> None:
        """`compare` replays the journal beside, so that both laws are one call."""
        self.seal()
        assert compare(self.books, self.market.state()) == []

    @rule()
    def rebuild(self) -> None:
        queries = self.books.queries
        before = self.derived()
        assert self.books.rebuild() == len(list(queries.facts()))
        assert self.derived() == before

    def derived(self) -> tuple[object, ...]:
        queries = self.books.queries
        courses = (queries.jobs(), queries.leases(), queries.offers(), queries.events(limit=1_000))
        return (*courses, queries.stakes(), queries.all_delegations(), queries.market())


BooksMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
TestBooks = BooksMachine.TestCase


class PostgresqlMachine(BooksMachine):
    """The same on the other database, some times."""

    kind = POSTGRESQL


PostgresqlMachine.TestCase.settings = settings(max_examples=3, stateful_step_count=30, deadline=None)
TestPostgresqlBooks = PostgresqlMachine.TestCase
