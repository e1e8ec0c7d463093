"""What an account got and gave, line by line from posted transfers alone, so that a statement always foots.

A transfer whose block vanished is left out with its reversal; what is held is no line, since it did not
move. A payout and the fee that came out of it are one line, because they were one event.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlmodel import Session, col

from ledger.books.accounts import Kind, Purpose, balance
from ledger.books.books import Books
from ledger.books.mapping import loads
from ledger.books.money_tables import TRANSFERS, UNIT, in_force, join
from ledger.books.queries import Queries
from ledger.books.tables import BidRecord, DocumentRecord, LeaseRecord
from ledger.market.events import UsageSettled
from ledger.market.identity import Address, BidId, LeaseId
from ledger.market.lease import LeaseTerms

_HALF: Final = 10**9
"""`low` is summed in two parts, since the sum of ten whole ones may exceed 63 bits"""
_Place = tuple[bytes, int]
_POSTED: Final = (Kind.DIRECT.value, Kind.POST.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One event's change of the account: `gross` base units in (negative: out), of which `fee` went to the
    matcher. `milliseconds` are those that a payment of usage was for, `rate` is milli-base-units an hour;
    `balance` is what the account had after it, its holds included."""

    at: int
    purpose: Purpose
    gross: int
    fee: int
    balance: int
    counterparty: str
    transaction: bytes
    lease: LeaseId | None = None
    job: BidId | None = None
    job_name: str | None = None
    provider: Address | None = None
    buyer: Address | None = None
    milliseconds: int | None = None
    rate: int | None = None

    @property
    def change(self) -> int:
        return self.gross - self.fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An account from second `since` to before `until`; amounts in base units. `opening` plus the changes of
    all lines is `closing`. `held` is what open leases and claims hold of it now. With a `job` the lines are
    that job's alone, and `opening` is 0."""

    account: Address
    since: int
    until: int
    opening: int
    closing: int
    held: int
    lines: tuple[StatementLine, ...]
    job: BidId | None = None

    @property
    def received(self) -> int:
        """The gross of all that came in."""
        return sum(line.gross for line in self.lines if line.gross > 0)

    @property
    def spent(self) -> int:
        """The gross of all that went out."""
        return -sum(line.gross for line in self.lines if line.gross < 0)

    @property
    def fees(self) -> int:
        return sum(line.fee for line in self.lines)


def statement(books: Books, account: Address, since: int, until: int, job: BidId | None = None) -> Statement:
    """One committed moment's statement of an account, or of what one `job` cost or brought it."""
    with books.reading() as session:
        reader = _Reader(session, account)
        opening = reader.balance_before(since) if job is None else 0
        lines = reader.lines(since, until, opening, job)
        return Statement(
            account=account,
            since=since,
            until=until,
            opening=opening,
            closing=lines[-1].balance if lines else opening,
            held=reader.held(),
            lines=tuple(lines),
            job=job,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    """One surviving posted transfer, as the account sees it."""

    place: _Place
    at: int
    purpose: Purpose
    change: int
    other: str
    lease: bytes | None
    transaction: bytes


class _Reader:
    def __init__(self, session: Session, account: Address) -> None:
        self._session = session
        self._queries = Queries(lambda: nullcontext(session))
        self._name = balance(account)
        self._leases: dict[bytes, LeaseRecord | None] = {}
        self._names: dict[bytes, str | None] = {}
        self._settled: dict[bytes, dict[_Place, int]] = {}

    def balance_before(self, moment: int) -> int:
        """The sum of all posted before this second, exact beyond 63 bits."""
        sign = case((TRANSFERS.c.credit == self._name, 1), else_=-1)
        upper = TRANSFERS.c.low // _HALF
        lower = TRANSFERS.c.low - upper * _HALF
        sums = [func.sum(sign * part) for part in (TRANSFERS.c.high, upper, lower)]
        row = self._session.connection().execute(
            select(*sums).where(*self._surviving(), TRANSFERS.c.at < moment)
        )
        high, above, below = (int(part or 0) for part in row.one())
        return high * UNIT + above * _HALF + below

    def held(self) -> int:
        """What is pending from the account, which the database sums."""
        return self._queries.totals(self._name).debits_pending

    def lines(self, since: int, until: int, opening: int, job: BidId | None) -> list[StatementLine]:
        """In the order in which they were posted."""
        wanted = [*self._surviving(), TRANSFERS.c.at >= since, TRANSFERS.c.at < until]
        if job is not None:
            wanted.append(TRANSFERS.c.lease.in_(self._leases_of(job)))
        query = select(TRANSFERS).where(*wanted).order_by(TRANSFERS.c.block_number, TRANSFERS.c.id)
        found: list[StatementLine] = []
        for _, group in groupby(self._moved(query), key=_same_line):
            found.append(self._line(list(group), found[-1].balance if found else opening))
        return found

    def _surviving(self) -> list[ColumnElement[bool]]:
        return [
            or_(TRANSFERS.c.debit == self._name, TRANSFERS.c.credit == self._name),
            TRANSFERS.c.kind.in_(_POSTED),
            in_force(),
        ]

    def _moved(self, query: Select[Any]) -> Iterable[_Moved]:
        for row in self._session.connection().execute(query).mappings():
            amount = join(row["high"], row["low"])
            came = row["credit"] == self._name
            yield _Moved(
                place=(row["block_hash"], row["log_index"]),
                at=row["at"],
                purpose=Purpose(row["purpose"]),
                change=amount if came else -amount,
                other=row["debit"] if came else row["credit"],
                lease=row["lease"],
                transaction=row["transaction_hash"],
            )

    def _line(self, moved: Sequence[_Moved], before: int) -> StatementLine:
        first = moved[0]
        fee = -sum(one.change for one in moved if one.purpose is Purpose.FEE)
        gross = sum(one.change for one in moved) + fee
        return StatementLine(
            at=first.at,
            purpose=first.purpose,
            gross=gross,
            fee=fee,
            balance=before + gross - fee,
            counterparty=first.other,
            transaction=first.transaction,
            **self._of_lease(first),
        )

    def _of_lease(self, moved: _Moved) -> dict[str, Any]:
        record = self._lease(moved.lease)
        if record is None:
            return {} if moved.lease is None else {"lease": LeaseId(moved.lease)}
        terms = loads(LeaseTerms, record.terms)
        return {
            "lease": LeaseId(record.id),
            "job": None if record.job is None else BidId(record.job),
            "job_name": self._job_name(record.bid),
            "provider": terms.provider,
            "buyer": terms.buyer,
            "milliseconds": self._milliseconds(moved),
            "rate": terms.rate,
        }

    def _lease(self, name: bytes | None) -> LeaseRecord | None:
        if name is None:
            return None
        if name not in self._leases:
            self._leases[name] = self._session.get(LeaseRecord, name)
        return self._leases[name]

    def _leases_of(self, job: BidId) -> Collection[bytes]:
        query = select(col(LeaseRecord.id)).where(col(LeaseRecord.job) == job)
        return list(self._session.connection().execute(query).scalars())

    def _job_name(self, bid: bytes) -> str | None:
        if bid not in self._names:
            record = self._session.get(BidRecord, bid)
            kept = None if record is None else self._session.get(DocumentRecord, record.document)
            self._names[bid] = None if kept is None else json.loads(kept.body).get("name")
        return self._names[bid]

    def _milliseconds(self, moved: _Moved) -> int | None:
        """What a receipt settled beyond the one before it."""
        if moved.purpose is not Purpose.USAGE or moved.lease is None:
            return None
        if moved.lease not in self._settled:
            self._settled[moved.lease] = self._settlements(LeaseId(moved.lease))
        return self._settled[moved.lease].get(moved.place)

    def _settlements(self, lease: LeaseId) -> dict[_Place, int]:
        found: dict[_Place, int] = {}
        before = 0
        for row in self._queries.settlements(lease):
            assert isinstance(row.event, UsageSettled)
            found[row.block.hash, row.log_index] = row.event.milliseconds - before
            before = row.event.milliseconds
        return found


def _same_line(one: _Moved) -> tuple[object, ...]:
    """A payout and its fee are of one event; every other move is a line of its own."""
    with_fee = one.purpose in (Purpose.USAGE, Purpose.FEE)
    return (*one.place, "usage") if with_fee else (*one.place, one.purpose, one.change)
