"""One fact in, every derived table moved: one step for recording and for replaying."""

from collections.abc import Iterable

from sqlmodel import Session, delete

from ledger.books import money_rules
from ledger.books.dialect import dialect_of
from ledger.books.projections import chain, jobs, leases
from ledger.books.tables import PROJECTIONS, LeaseRecord
from ledger.market.facts import (
    AgentLost,
    BidAccepted,
    BidWithdrawn,
    ChainObserved,
    ChainRewound,
    Fact,
    GangPlanned,
    JobReported,
    LeasePlanned,
    LeaseYields,
    PlanFailed,
    ReceiptCosigned,
    UsageReported,
)

_REPLAYED_AT_ONCE = 500


def project(session: Session, seq: int, fact: Fact) -> None:
    """Apply the journal's entry `seq` to the projections."""
    match fact:
        case BidAccepted():
            jobs.accept(session, seq, fact)
        case BidWithdrawn():
            jobs.withdraw(session, fact)
        case ChainObserved():
            chain.observe(session, seq, fact)
        case ChainRewound():
            chain.rewind(session, fact)
        case _:
            lease = _lease(session, seq, fact)
            session.flush()
            jobs.restand(session, lease.job)


def start_over(session: Session) -> None:
    """Empty every derived table; the money's rules, which forbid that, are made again after it."""
    connection = session.connection()
    dialect = dialect_of(connection)
    for statement in money_rules.lifted(dialect):
        connection.exec_driver_sql(statement)
    for table in PROJECTIONS:
        session.execute(delete(table))
    for statement in money_rules.rules(dialect):
        connection.exec_driver_sql(statement)


def project_all(session: Session, facts: Iterable[tuple[int, Fact]]) -> int:
    """Apply many entries in order, in bounded memory; how many they were."""
    count = 0
    for count, (seq, fact) in enumerate(facts, start=1):
        project(session, seq, fact)
        session.flush()
        if count % _REPLAYED_AT_ONCE == 0:
            session.expunge_all()
    return count


def _lease(
    session: Session,
    seq: int,
    fact: LeasePlanned
    | GangPlanned
    | PlanFailed
    | UsageReported
    | ReceiptCosigned
    | JobReported
    | AgentLost
    | LeaseYields,
) -> LeaseRecord:
    match fact:
        case LeasePlanned():
            return leases.plan(session, seq, fact)
        case GangPlanned():
            return leases.plan_gang(session, seq, fact)
        case PlanFailed():
            return leases.skip(session, fact)
        case UsageReported():
            return leases.report_usage(session, seq, fact)
        case ReceiptCosigned():
            return leases.cosign(session, fact)
        case JobReported():
            return leases.report_job(session, fact)
        case AgentLost():
            return leases.lose_agent(session, fact)
        case LeaseYields():
            return leases.yields(session, fact)
