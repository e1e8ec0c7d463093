"""The money's tables: transfers that are never changed, and the totals that the database derives from them.

An amount has up to 88 bits (`ledger.market.model.MAX_AMOUNT`), a database integer 63, and text cannot be
added by a trigger. So an amount is two whole numbers, `high` x 10^18 + `low`: the sum of two `low` still
fits in 63 bits and its carry is exact on every database, a total may grow to 2^122, and a person reads
ordinary amounts in `low` alone. `ledger.books.money_rules` holds what the database enforces.
"""

from typing import Final

from sqlalchemy import CheckConstraint, ColumnElement, Index, Table, UniqueConstraint, and_, exists
from sqlmodel import Field, SQLModel

from ledger.books.columns import hex_field, whole_field

UNIT: Final = 10**18
"""base units that one `high` counts"""
TOTALS: Final = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")
"""what an account's row sums, each in two columns"""
BELOW_ZERO: Final = "no_account_below_zero"


def split(amount: int) -> tuple[int, int]:
    """An amount as it is stored: `high`, `low`."""
    return divmod(amount, UNIT)


def join(high: int, low: int) -> int:
    """The amount that is stored so, in base units."""
    return high * UNIT + low


def _amounts(*names: str) -> str:
    return " AND ".join(f"{name}high >= 0 AND {name}low >= 0 AND {name}low < {UNIT}" for name in names)


_SPENT_LOW: Final = "(debits_posted_low + debits_pending_low)"
_SPENT_HIGH: Final = f"(debits_posted_high + debits_pending_high + {_SPENT_LOW} / {UNIT})"
_COVERED: Final = (
    f"unbounded OR credits_posted_high > {_SPENT_HIGH} OR (credits_posted_high = {_SPENT_HIGH} "
    f"AND credits_posted_low >= {_SPENT_LOW} - {_SPENT_LOW} / {UNIT} * {UNIT})"
)


class AccountRecord(SQLModel, table=True):
    """One account of `ledger.books.accounts` and its totals, which follow from its transfers; `unbounded` is
    one outside the market, whose money is not ours to count. `last_transfer` moved it last."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint(_COVERED, name=BELOW_ZERO),
        CheckConstraint(_amounts(*(f"{total}_" for total in TOTALS)), name="account_totals"),
    )
    name: str = Field(primary_key=True)
    unbounded: bool = False
    debits_pending_high: int = whole_field(default=0)
    debits_pending_low: int = whole_field(default=0)
    debits_posted_high: int = whole_field(default=0)
    debits_posted_low: int = whole_field(default=0)
    credits_pending_high: int = whole_field(default=0)
    credits_pending_low: int = whole_field(default=0)
    credits_posted_high: int = whole_field(default=0)
    credits_posted_low: int = whole_field(default=0)
    last_transfer: int = whole_field(default=0)


class HoldRecord(SQLModel, table=True):
    """What is left of a pending transfer: `high`, `low` base units that are neither posted nor void yet."""

    __tablename__ = "holds"
    __table_args__ = (CheckConstraint(_amounts(""), name="hold_below_zero"),)
    name: str = Field(primary_key=True)
    debit: str = Field(foreign_key="accounts.name")
    credit: str = Field(foreign_key="accounts.name")
    high: int = whole_field()
    low: int = whole_field()
    last_transfer: int = whole_field()


class TransferRecord(SQLModel, table=True):
    """One amount from the account `debit` to the account `credit`; its `kind` says whether it is posted
    (`direct`, `post`) and what it does to its `hold`. (block, log, leg) is the event's move; `reverses` is
    the transfer whose block vanished."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint(f"{_amounts('')} AND high + low > 0", name="transfer_amount"),
        CheckConstraint("debit <> credit", name="transfer_between_two"),
        CheckConstraint("kind IN ('direct', 'pending', 'post', 'void', 'restore')", name="transfer_kind"),
        CheckConstraint("(kind = 'direct') = (hold IS NULL)", name="transfer_hold"),
        UniqueConstraint("reverses", "kind", name="transfer_reversed_once"),
        Index("transfers_of_event", "block_hash", "log_index", "leg"),
    )
    id: int = whole_field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: str
    purpose: str
    debit: str = Field(foreign_key="accounts.name", index=True)
    credit: str = Field(foreign_key="accounts.name", index=True)
    high: int = whole_field()
    low: int = whole_field()
    hold: str | None = Field(default=None, index=True)
    reverses: int | None = whole_field(default=None)
    lease: bytes | None = hex_field(default=None, index=True)
    block_hash: bytes = hex_field()
    block_number: int = whole_field()
    at: int = whole_field()
    log_index: int = whole_field()
    leg: int = whole_field()
    transaction_hash: bytes = hex_field()


class UnlockRecord(SQLModel, table=True):
    """When an account may have the stake that it asked back, in seconds; no row where that is none."""

    __tablename__ = "unlocks"
    account: bytes = hex_field(primary_key=True)
    at: int = whole_field()


MONEY: Final[tuple[type[SQLModel], ...]] = (TransferRecord, HoldRecord, AccountRecord, UnlockRecord)
"""in an order in which they can be emptied"""
_TABLES: Final = SQLModel.metadata.tables
ACCOUNTS: Final[Table] = _TABLES["accounts"]
HOLDS: Final[Table] = _TABLES["holds"]
TRANSFERS: Final[Table] = _TABLES["transfers"]


def in_force() -> ColumnElement[bool]:
    """What is true of a transfer that neither reverses another nor was reversed."""
    later = TRANSFERS.alias()
    return and_(TRANSFERS.c.reverses.is_(None), ~exists().where(later.c.reverses == TRANSFERS.c.id))
