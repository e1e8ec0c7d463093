"""What readers ask of accounts: money, stake, delegates, and the rules of the market that they are in."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlmodel import Session, col, select

from ledger.books.mapping import loads
from ledger.books.rows import MarketRow, PostingRow, StakeRow
from ledger.books.tables import (
    BalanceRecord,
    DelegationRecord,
    EpochRecord,
    LeaseRecord,
    MarketRecord,
    PostingRecord,
    StakeRecord,
)
from ledger.market.delegation import Delegation, Role
from ledger.market.identity import Address
from ledger.market.lifecycle import LeaseState
from ledger.market.policy import Policy

Open = Callable[[], AbstractContextManager[Session]]


class AccountQueries:
    """As far as the chain was followed; amounts in base units."""

    def __init__(self, open_session: Open) -> None:
        self._open = open_session

    def balance(self, account: Address) -> int:
        """What an account may withdraw, stake or spend."""
        with self._open() as session:
            record = session.get(BalanceRecord, account)
            return 0 if record is None else record.amount

    def balances(self) -> dict[Address, int]:
        """Every account's balance."""
        with self._open() as session:
            records = session.exec(select(BalanceRecord)).all()
            return {Address(record.account): record.amount for record in records}

    def stake(self, account: Address) -> StakeRow:
        """The account's stake: free, locked by open leases, and asked back."""
        with self._open() as session:
            record = session.get(StakeRecord, account) or StakeRecord(account=account)
            return _stake_row(record, _locks(session, account)[account])

    def stakes(self) -> dict[Address, StakeRow]:
        """The stake of every account that ever had one."""
        with self._open() as session:
            records, locks = session.exec(select(StakeRecord)).all(), _locks(session)
            return {Address(record.account): _stake_row(record, locks[record.account]) for record in records}

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

    def postings(self, account: str | None = None) -> list[PostingRow]:
        """The legs of one account, named as `ledger.books.accounts` does, or of all."""
        query = select(PostingRecord)
        if account is not None:
            query = query.where(PostingRecord.account == account)
        with self._open() as session:
            return [_posting_row(record) for record in session.exec(query).all()]

    def epoch_of(self, account: Address) -> int:
        """The account's epoch; what it signed under an earlier one is void."""
        with self._open() as session:
            return epoch(session, account)


def epoch(session: Session, account: bytes) -> int:
    """The account's epoch, 0 at first."""
    record = session.get(EpochRecord, account)
    return 0 if record is None else record.epoch


def _locks(session: Session, provider: bytes | None = None) -> dict[bytes, int]:
    """What open leases lock of each provider's stake, or of one; 0 for others."""
    query = select(LeaseRecord.provider, LeaseRecord.lock).where(LeaseRecord.state == LeaseState.ACTIVE.value)
    if provider is not None:
        query = query.where(LeaseRecord.provider == provider)
    locks: dict[bytes, int] = defaultdict(int)
    for account, lock in session.exec(query).all():
        locks[account] += lock
    return locks


def _stake_row(record: StakeRecord, locked: int) -> StakeRow:
    return StakeRow(
        free=record.free, locked=locked, unstaking=record.queued, unlock_at=record.unlock_at or None
    )


def _delegation(record: DelegationRecord) -> Delegation:
    return Delegation(
        key=Address(record.key), roles=Role(record.roles), allowance=record.allowance, until=record.until
    )


def _posting_row(record: PostingRecord) -> PostingRow:
    return PostingRow(
        block=record.block_hash,
        log_index=record.log_index,
        leg=record.leg,
        account=record.account,
        amount=record.amount,
    )
