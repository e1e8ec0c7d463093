"""Why nobody has to trust the node's database: the chain's events alone give every balance and lease.

Reads the market's events from its first block, folds them into a `MarketState`, and compares it with
the token and with the contract's views, all at one block.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.chain.client import ChainLease, MarketClient
from ledger.market.errors import Broken
from ledger.market.events import BlockRef, Deposited
from ledger.market.identity import text
from ledger.market.state import MarketState

RANGE_BLOCKS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Where events and contract disagree: what, of whom, and both values."""

    what: str
    subject: str
    events: str
    contract: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The market at `block`; amounts in base units. `held` is Σ balances + open escrow by the events,
    `token_balance` what the token says, `unsolicited` what arrived without a deposit."""

    block: BlockRef
    state: MarketState
    events: int
    held: int
    token_balance: int
    unsolicited: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether everything agrees."""
        return not self.findings


def audit(
    client: MarketClient, first_block: int, progress: Callable[[int, int], None] | None = None
) -> AuditReport:
    """Rebuild the market from its events since `first_block` and compare.

    `progress` is told the blocks read and their total. `Broken` where the events contradict themselves.
    """
    block = client.block("latest")
    state, events, deposited, arrived = MarketState(), 0, 0, 0
    for first in range(first_block, block.number + 1, RANGE_BLOCKS):
        last = min(first + RANGE_BLOCKS - 1, block.number)
        for logged in client.logs(first, last):
            state.apply(logged.event)
            events += 1
            deposited += logged.event.amount if isinstance(logged.event, Deposited) else 0
        arrived += sum(transfer.amount for transfer in client.transfers_in(first, last))
        if progress is not None:
            progress(last - first_block + 1, block.number - first_block + 1)
    pinned = client.pinned(block.number)
    token_balance = pinned.token_balance(client.market)
    findings = [*_money(state, token_balance, arrived - deposited), *_views(state, pinned)]
    if client.block(block.number).hash != block.hash:
        raise Broken("reorganised", "The chain was reorganised meanwhile.", "Run the audit again.")
    return AuditReport(
        block=block,
        state=state,
        events=events,
        held=state.held(),
        token_balance=token_balance,
        unsolicited=arrived - deposited,
        findings=tuple(findings),
    )


def _money(state: MarketState, token_balance: int, unsolicited: int) -> list[Finding]:
    if state.held() + unsolicited == token_balance:
        return []
    expected = f"{state.held()} held + {unsolicited} unsolicited"
    return [Finding(what="token balance", subject="market", events=expected, contract=str(token_balance))]


def _views(state: MarketState, pinned: MarketClient) -> list[Finding]:
    found: list[Finding] = []

    def compare(what: str, subject: bytes, ours: object, theirs: object) -> None:
        if ours != theirs:
            found.append(Finding(what=what, subject=text(subject), events=str(ours), contract=str(theirs)))

    for account, balance in state.balances.items():
        compare("balance", account, balance, pinned.balance_of(account))
    for account, epoch in state.epochs.items():
        compare("epoch", account, epoch, pinned.epoch_of(account))
    for lease_id, lease in state.leases.items():
        stored = ChainLease(
            escrow=lease.escrow, paid=lease.paid, start=lease.start, ended_after=lease.ended_after
        )
        compare("open lease", lease_id, stored, pinned.lease_of(lease_id))
    for lease_id in state.closed:
        compare("closed lease", lease_id, None, pinned.lease_of(lease_id))
    for offer_id, used in state.used.items():
        compare("used capacity", offer_id, used, pinned.used_of(offer_id))
    return found
