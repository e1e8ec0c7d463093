"""What readers ask of accounts: money, stake, delegates, and the rules of the market that they are in."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import RowMapping
from sqlmodel import Session, col, or_, select

from ledger.books import accounts
from ledger.books.mapping import loads
from ledger.books.money_tables import (
    ACCOUNTS,
    TOTALS,
    AccountRecord,
    HoldRecord,
    TransferRecord,
    UnlockRecord,
    join,
)
from ledger.books.rows import AccountTotals, MarketRow, StakeRow, TransferRow
from ledger.books.tables import DelegationRecord, EpochRecord, MarketRecord
from ledger.market.delegation import Delegation, Role
from ledger.market.identity import Address, LeaseId, from_text
from ledger.market.policy import Policy

NOTHING = AccountTotals(debits_pending=0, debits_posted=0, credits_pending=0, credits_posted=0)
_TOTALS = tuple(ACCOUNTS.c[f"{total}_{half}"] for total in TOTALS for half in ("high", "low"))
Open = Callable[[], AbstractContextManager[Session]]


class AccountQueries:
    """As far as the chain was followed; amounts in base units."""

    def __init__(self, open_session: Open) -> None:
        self._open = open_session

    def balance(self, account: Address) -> int:
        """What an account may withdraw, stake or spend."""
        return self.totals(accounts.balance(account)).available

    def balances(self) -> dict[Address, int]:
        """Every account's balance."""
        with self._open() as session:
            return {owner: totals.available for owner, totals in _owned(session, "balance").items()}

    def totals(self, name: str) -> AccountTotals:
        """The sums of an account named as `ledger.books.accounts` does; zeros for one without transfers."""
        with self._open() as session:
            return _totals_of(session, name)

    def all_totals(self) -> dict[str, AccountTotals]:
        """The sums of every account that ever moved, by its name."""
        with self._open() as session:
            rows = session.connection().execute(select(AccountRecord.name, *_TOTALS)).all()
            return {row.name: _totals(row._mapping) for row in rows}

    def holds(self) -> dict[str, int]:
        """What is left of each hold, in base units."""
        with self._open() as session:
            rows = session.exec(select(HoldRecord.name, HoldRecord.high, HoldRecord.low)).all()
            return {name: join(high, low) for name, high, low in rows}

    def stake(self, account: Address) -> StakeRow:
        """The account's stake: free, locked by open leases, and asked back."""
        with self._open() as session:
            record = session.get(UnlockRecord, account)
            return _stake_row(
                _totals_of(session, accounts.stake(account)),
                _totals_of(session, accounts.unstaking(account)),
                None if record is None else record.at,
            )

    def stakes(self) -> dict[Address, StakeRow]:
        """The stake of every account that ever had one."""
        with self._open() as session:
            staked, queued = _owned(session, "stake"), _owned(session, "unstaking")
            unlocks = dict(session.exec(select(UnlockRecord.account, UnlockRecord.at)).all())
        return {
            owner: _stake_row(staked.get(owner, NOTHING), queued.get(owner, NOTHING), unlocks.get(owner))
            for owner in staked.keys() | queued.keys()
        }

    def delegation(self, account: Address, key: Address) -> Delegation | None:
        """What a key may do for an account; None where it may do nothing."""
        with self._open() as session:
            record = session.get(DelegationRecord, (account, key))
            return None if record is None else _delegation(record)

    def delegations(self, account: Address) -> list[Delegation]:
        """Every key that may do something for the account."""
        query = select(DelegationRecord).where(DelegationRecord.account == account)
        with self._open() as session:
            records = session.exec(query.order_by(col(DelegationRecord.key))).all()
            return [_delegation(record) for record in records]

    def all_delegations(self) -> dict[tuple[Address, Address], Delegation]:
        """By account and key."""
        with self._open() as session:
            records = session.exec(select(DelegationRecord)).all()
            return {(Address(one.account), Address(one.key)): _delegation(one) for one in records}

    def market(self) -> MarketRow | None:
        """What the market fixed for good; None where its deployment was not followed."""
        with self._open() as session:
            record = session.get(MarketRecord, 1)
            if record is None:
                return None
            return MarketRow(
                token=Address(record.token),
                guardian=Address(record.guardian),
                arbiter=Address(record.arbiter),
                jury=Address(record.jury),
                policy=loads(Policy, record.policy),
                paused_until=record.paused_until,
            )

    def transfers(self, account: str | None = None, lease: LeaseId | None = None) -> list[TransferRow]:
        """The transfers from or to one account, of one lease, or all, in their order."""
        query = select(TransferRecord).order_by(col(TransferRecord.id))
        if account is not None:
            query = query.where(or_(TransferRecord.debit == account, TransferRecord.credit == account))
        if lease is not None:
            query = query.where(TransferRecord.lease == lease)
        with self._open() as session:
            return [_transfer_row(record) for record in session.exec(query).all()]

    def epoch_of(self, account: Address) -> int:
        """The account's epoch; what it signed under an earlier one is void."""
        with self._open() as session:
            return epoch(session, account)


def epoch(session: Session, account: bytes) -> int:
    """The account's epoch, 0 at first."""
    record = session.get(EpochRecord, account)
    return 0 if record is None else record.epoch


def _totals_of(session: Session, name: str) -> AccountTotals:
    query = select(*_TOTALS).where(AccountRecord.name == name)
    row = session.connection().execute(query).one_or_none()
    return NOTHING if row is None else _totals(row._mapping)


def _owned(session: Session, kind: str) -> dict[Address, AccountTotals]:
    """The accounts of this kind, by their owner."""
    query = select(AccountRecord.name, *_TOTALS).where(col(AccountRecord.name).startswith(f"{kind}:"))
    return {
        Address(from_text(row.name.partition(":")[2], 20)): _totals(row._mapping)
        for row in session.connection().execute(query)
    }


def _totals(row: RowMapping) -> AccountTotals:
    return AccountTotals(**{name: join(row[f"{name}_high"], row[f"{name}_low"]) for name in TOTALS})


def _stake_row(staked: AccountTotals, queued: AccountTotals, unlock_at: int | None) -> StakeRow:
    return StakeRow(
        free=staked.available,
        locked=staked.debits_pending,
        unstaking=queued.available,
        unlock_at=unlock_at,
    )


def _delegation(record: DelegationRecord) -> Delegation:
    return Delegation(
        key=Address(record.key), roles=Role(record.roles), allowance=record.allowance, until=record.until
    )


def _transfer_row(record: TransferRecord) -> TransferRow:
    return TransferRow(
        id=record.id,
        kind=accounts.Kind(record.kind),
        purpose=accounts.Purpose(record.purpose),
        debit=record.debit,
        credit=record.credit,
        amount=join(record.high, record.low),
        hold=record.hold,
        reverses=record.reverses,
        lease=None if record.lease is None else LeaseId(record.lease),
        block=record.block_hash,
        block_number=record.block_number,
        at=record.at,
        log_index=record.log_index,
        leg=record.leg,
        transaction=record.transaction_hash,
    )
