"""Transfers of the chain's money events: each posted once, and mirrored when its block vanishes.

Nothing is ever taken out: a reorganisation appends reversals, newest first, so that every account passes
through the very states it had, and a block that comes back is posted anew. The totals are the database's.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, func, insert, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlmodel import Session

from ledger.books.accounts import Kind, Move, moves_of
from ledger.books.money_tables import BELOW_ZERO, HOLDS, TRANSFERS, in_force, join, split
from ledger.books.projections.market import policy_of
from ledger.market.errors import Broken
from ledger.market.events import Logged

_MIRROR = {
    Kind.DIRECT: (Kind.DIRECT,),
    Kind.PENDING: (Kind.VOID,),
    Kind.POST: (Kind.DIRECT, Kind.RESTORE),
    Kind.VOID: (Kind.RESTORE,),
}
"""what reverses each kind; a direct one goes the other way"""


def post(session: Session, logged: Logged) -> None:
    """Post an event's moves; `Broken` where they would take more from an account or a hold than it has."""

    def held(name: str) -> int:
        return _held(session, name)

    for leg, move in enumerate(moves_of(logged.event, policy_of(session, logged.event), held)):
        high, low = split(move.amount)
        cells = {
            "kind": move.kind.value,
            "purpose": move.purpose.value,
            "debit": move.debit,
            "credit": move.credit,
            "high": high,
            "low": low,
            "hold": move.hold,
            "lease": move.lease,
        }
        try:
            _append(session, cells | _place(logged, leg))
        except (IntegrityError, DataError) as error:
            raise _impossible(move, error) from error


def unpost(session: Session, block_hash: bytes) -> None:
    """Reverse what the events of a vanished block posted, unless that was done. Newer blocks come first."""
    query = select(TRANSFERS).where(TRANSFERS.c.block_hash == block_hash, in_force())
    newest_first = query.order_by(TRANSFERS.c.id.desc())
    for row in session.connection().execute(newest_first).mappings().all():
        for kind in _MIRROR[Kind(row["kind"])]:
            _append(session, _reversal(row, kind))


def _reversal(row: RowMapping, kind: Kind) -> dict[str, Any]:
    cells = {str(name): value for name, value in row.items()} | {"kind": kind.value, "reverses": row["id"]}
    if kind is Kind.DIRECT:
        cells |= {"debit": row["credit"], "credit": row["debit"], "hold": None}
    return cells


def _place(logged: Logged, leg: int) -> dict[str, Any]:
    return {
        "block_hash": logged.block.hash,
        "block_number": logged.block.number,
        "at": logged.block.at,
        "log_index": logged.log_index,
        "leg": leg,
        "transaction_hash": logged.transaction,
    }


def _append(session: Session, cells: Mapping[str, Any]) -> None:
    connection = session.connection()
    newest = connection.execute(select(func.max(TRANSFERS.c.id))).scalar() or 0
    connection.execute(insert(TRANSFERS).values({**cells, "id": newest + 1}))


def _held(session: Session, name: str) -> int:
    query = select(HOLDS.c.high, HOLDS.c.low).where(HOLDS.c.name == name)
    row = session.connection().execute(query).one_or_none()
    return 0 if row is None else join(row.high, row.low)


def _impossible(move: Move, error: DBAPIError) -> Broken:
    short = BELOW_ZERO in str(error.orig)
    return Broken(
        "negative-balance" if short else "impossible-transfer",
        f"The events move {move.amount} from {move.debit} to {move.credit} as {move.kind}: {error.orig}.",
        "Follow the chain again from the market's first block.",
    )
