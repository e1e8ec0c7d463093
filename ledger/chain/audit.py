"""Why nobody has to trust the node's database: the chain's events alone give every balance and lease.

Reads what market and jury logged from the market's first block on, folds it into a `MarketState`, and
compares that with the token and with every view of both contracts, all at one block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ledger.chain.client import ChainLease, ChainState, MarketClient
from ledger.chain.log_ranges import pieces
from ledger.market.delegation import revoked
from ledger.market.errors import Broken
from ledger.market.events import BlockRef, DelegateSet, Deposited, Logged
from ledger.market.identity import NO_DIGEST, Address, text
from ledger.market.lease import Lease
from ledger.market.state import MarketState

_MARKET = "market"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Where events and contract disagree: what, of whom, and both values."""

    what: str
    subject: str
    events: str
    contract: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The market at `block`; amounts in base units. `held` is all that the contract must hold by the
    events, `token_balance` what the token says, `unsolicited` what arrived without a deposit."""

    block: BlockRef
    state: MarketState
    events: int
    held: int
    token_balance: int
    unsolicited: int
    findings: tuple[Finding, ...]
    logged: tuple[Logged, ...] = field(default=(), repr=False)
    """every event up to `block`, in order"""

    @property
    def sound(self) -> bool:
        """Whether everything agrees."""
        return not self.findings

    def totals(self) -> dict[str, int]:
        """What `held` is the sum of, by name."""
        state = self.state
        return {
            "balances": sum(state.balances.values()),
            "open escrow": state.escrowed(),
            "free stake": sum(state.stakes.values()),
            "locked stake": sum(state.lock_for(lease.escrow) for lease in state.leases.values()),
            "unstaking": sum(amount for amount, _ in state.unstaking.values()),
            "bonds": state.bonds(),
            "burned": state.burned,
        }


def audit(
    client: MarketClient, first_block: int, progress: Callable[[int, int], None] | None = None
) -> AuditReport:
    """Rebuild the market from its events since `first_block` and compare.

    `progress` is told the blocks read and their total. `Broken` where the events contradict themselves.
    """
    block = client.block("latest")
    reading = _Reading()
    for first, last in pieces(first_block, block.number):
        for logged in client.logs(first, last):
            reading.take(logged)
        reading.arrived += sum(transfer.amount for transfer in client.transfers_in(first, last))
        if progress is not None:
            progress(last - first_block + 1, block.number - first_block + 1)
    pinned = client.pinned(block.number)
    token_balance = pinned.token_balance(client.market)
    findings = [*reading.money(token_balance), *_views(reading, pinned)]
    if client.block(block.number).hash != block.hash:
        raise Broken("reorganised", "The chain was reorganised meanwhile.", "Run the audit again.")
    return AuditReport(
        block=block,
        state=reading.state,
        events=len(reading.logged),
        held=reading.state.held(),
        token_balance=token_balance,
        unsolicited=reading.unsolicited,
        findings=tuple(findings),
        logged=tuple(reading.logged),
    )


def state_at(client: MarketClient, first_block: int, last_block: int) -> MarketState:
    """The market as its events up to `last_block` tell it; `first_block` is where it began."""
    state = MarketState()
    for first, last in pieces(first_block, last_block):
        for logged in client.logs(first, last):
            state.apply(logged.event, logged.block.at)
    return state


@dataclass(slots=True)
class _Reading:
    """The market as far as its events were read; `keys` are all that ever were delegates."""

    state: MarketState = field(default_factory=MarketState)
    logged: list[Logged] = field(default_factory=list)
    deposited: int = 0
    arrived: int = 0
    keys: set[tuple[Address, Address]] = field(default_factory=set)

    @property
    def unsolicited(self) -> int:
        return self.arrived - self.deposited

    def take(self, logged: Logged) -> None:
        self.logged.append(logged)
        self.state.apply(logged.event, logged.block.at)
        match logged.event:
            case Deposited(amount=amount):
                self.deposited += amount
            case DelegateSet(account=account, key=key):
                self.keys.add((account, key))
            case _:
                return

    def money(self, token_balance: int) -> list[Finding]:
        """Conservation: what the token says is what the events say, and what nobody deposited."""
        held = self.state.held()
        if held + self.unsolicited == token_balance:
            return []
        expected = f"{held} held + {self.unsolicited} unsolicited"
        return [Finding(what="token balance", subject=_MARKET, events=expected, contract=str(token_balance))]


_Figure = tuple[str, bytes, object, object]
"""what, of whom, by the events, by the contract"""


def _views(reading: _Reading, pinned: MarketClient) -> list[Finding]:
    state = reading.state
    figures = (
        _rules(state, pinned),
        _accounts(state, pinned),
        _keys(reading, pinned),
        _leases(state, pinned),
        _offers(state, pinned),
        _results(state, pinned),
    )
    return [
        Finding(what=what, subject=text(subject), events=str(ours), contract=str(theirs))
        for group in figures
        for what, subject, ours, theirs in group
        if ours != theirs
    ]


def _rules(state: MarketState, pinned: MarketClient) -> Iterator[_Figure]:
    yield "policy", pinned.market, state.policy, pinned.policy()
    yield "guardian", pinned.market, text(state.guardian), text(pinned.roles().guardian)
    yield "paused until", pinned.market, state.paused_until, pinned.paused_until()
    yield "burned", pinned.market, state.burned, pinned.burned()


def _accounts(state: MarketState, pinned: MarketClient) -> Iterator[_Figure]:
    for account in sorted(state.balances.keys() | state.stakes.keys()):
        yield "balance", account, state.balances.get(account, 0), pinned.balance_of(account)
        yield "free stake", account, state.stakes.get(account, 0), pinned.stake_of(account)
        yield "unstaking", account, state.unstaking.get(account, (0, 0)), pinned.unstaking_of(account)


def _keys(reading: _Reading, pinned: MarketClient) -> Iterator[_Figure]:
    state = reading.state
    for account, epoch in state.epochs.items():
        yield "epoch", account, epoch, pinned.epoch_of(account)
    for account, nonces in state.nonces.items():
        unused = [nonce for nonce in sorted(nonces) if not pinned.nonce_used(account, nonce)]
        yield "nonces that are not used", account, [], unused
    for account, key in sorted(reading.keys):
        ours = state.delegations.get((account, key), revoked(key))
        yield "delegate", account, ours, pinned.delegation_of(account, key)


def _leases(state: MarketState, pinned: MarketClient) -> Iterator[_Figure]:
    for lease_id, lease in state.leases.items():
        yield "open lease", lease_id, _stored(lease), pinned.lease_of(lease_id)
        yield "claim", lease_id, lease.claim, pinned.claim_of(lease_id)
    for lease_id in state.closed:
        yield "closed lease", lease_id, None, pinned.lease_of(lease_id)


def _stored(lease: Lease) -> ChainLease:
    """A lease of the fold as the contract stores it."""
    if lease.claim is None:
        standing = ChainState.ACTIVE
    else:
        standing = ChainState.DISPUTED if lease.claim.buyer_bond else ChainState.CLAIMED
    return ChainLease(
        escrow=lease.escrow,
        paid=lease.paid,
        start=lease.start,
        ended_after=lease.ended_after,
        state=standing,
        undecided=lease.undecided,
    )


def _offers(state: MarketState, pinned: MarketClient) -> Iterator[_Figure]:
    for offer_id, used in state.used.items():
        yield "used capacity", offer_id, used, pinned.used_of(offer_id)
    for offer_id in state.offers:
        yield "open offer", offer_id, offer_id not in state.cancelled, pinned.offer_is_open(offer_id)


def _results(state: MarketState, pinned: MarketClient) -> Iterator[_Figure]:
    for lease_id, commitment in state.commitments.items():
        yield "commitment", lease_id, text(commitment), text(pinned.commitment_of(lease_id) or NO_DIGEST)
    for lease_id, result in state.results.items():
        yield "result", lease_id, text(result), text(pinned.result_of(lease_id) or NO_DIGEST)
    for bid, commits in state.commits.items():
        yield "commitments of a bid", bid, commits, pinned.commits_of(bid)
