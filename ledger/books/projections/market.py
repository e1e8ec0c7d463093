"""What the market fixed at its deployment, and whether its guardian paused it: one row."""

from sqlmodel import Session

from ledger.books.mapping import dumps, loads
from ledger.books.projections.offers import surviving
from ledger.books.tables import MarketRecord
from ledger.market.events import (
    GuardianRenounced,
    LeaseClosed,
    LeaseOpened,
    MarketDeployed,
    MarketEvent,
    Paused,
    Unpaused,
)
from ledger.market.identity import NOBODY
from ledger.market.policy import Policy

SUBJECT = "market:0x"
"""under which its events are listed"""
MarketRule = MarketDeployed | Paused | Unpaused | GuardianRenounced


def observe(session: Session, event: MarketRule) -> None:
    """A rule of the market was fixed or changed."""
    if isinstance(event, MarketDeployed):
        session.add(
            MarketRecord(
                token=event.token,
                guardian=event.guardian,
                arbiter=event.arbiter,
                jury=event.jury,
                policy=dumps(event.policy),
            )
        )
        return
    record = session.get(MarketRecord, 1)
    if record is None:
        return
    match event:
        case Paused(until=until):
            record.paused_until = until
        case Unpaused():
            record.paused_until = 0
        case GuardianRenounced():
            record.guardian = NOBODY


def refold(session: Session) -> None:
    """Rebuild the row from surviving events, after some of them vanished."""
    record = session.get(MarketRecord, 1)
    if record is not None:
        session.delete(record)
        session.flush()
    for event in surviving(session, SUBJECT):
        if isinstance(event, MarketRule):
            observe(session, event)


def policy_of(session: Session, event: MarketEvent) -> Policy | None:
    """The market's rules, for an event whose money depends on them; None where they were never seen."""
    if not isinstance(event, LeaseOpened | LeaseClosed):
        return None
    return known_policy(session)


def known_policy(session: Session) -> Policy | None:
    """The market's rules; None for books that do not begin at its deployment."""
    record = session.get(MarketRecord, 1)
    return None if record is None else loads(Policy, record.policy)
