"""The books against the chain, figure by figure: an audit names the table, the row and both amounts.

The chain's side is a `MarketState` folded from events that were read anew, so a row that was changed, lost
or never written shows, whoever changed it. Beyond the chain's own figures, every derived row is checked
against a replay of the journal (`ledger.books.replica`), which names the one posting behind a wrong sum.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import nullcontext

from ledger.books import accounts
from ledger.books.books import Books
from ledger.books.queries import Queries
from ledger.books.replica import deviations
from ledger.books.rows import ABSENT, Difference, LeaseRow
from ledger.market.delegation import Delegation
from ledger.market.errors import Broken
from ledger.market.identity import Address, text
from ledger.market.lease import UsageClaim
from ledger.market.lifecycle import LeaseState
from ledger.market.state import MarketState


def compare(books: Books, state: MarketState) -> list[Difference]:
    """Every figure in which the books differ from the chain; empty where they agree to the base unit."""
    with books.reading() as session:
        tampered = deviations(session)
        try:
            against_chain = _against_chain(Queries(lambda: nullcontext(session)), state)
        except Broken:
            if not tampered:
                raise
            against_chain = []
    return list(dict.fromkeys([*against_chain, *tampered]))


def _against_chain(queries: Queries, state: MarketState) -> list[Difference]:
    return [
        *_balances(queries, state),
        *_stakes(queries, state),
        *_delegations(queries, state),
        *_market(queries, state),
        *_leases(queries, state),
        *_offers(queries, state),
        *_sums(queries, state),
    ]


def _balances(queries: Queries, state: MarketState) -> Iterator[Difference]:
    ours = {text(account): amount for account, amount in queries.balances().items()}
    chain = {text(account): amount for account, amount in state.balances.items()}
    return _amounts("balances", "amount", ours, chain)


def _stakes(queries: Queries, state: MarketState) -> Iterator[Difference]:
    ours = {text(account): row for account, row in queries.stakes().items()}
    free = {text(account): amount for account, amount in state.stakes.items()}
    queued = {text(account): amount for account, (amount, _) in state.unstaking.items()}
    unlock = {text(account): moment for account, (_, moment) in state.unstaking.items()}
    yield from _amounts("stakes", "free", {name: row.free for name, row in ours.items()}, free)
    yield from _amounts("stakes", "queued", {name: row.unstaking for name, row in ours.items()}, queued)
    moments = {name: row.unlock_at or 0 for name, row in ours.items()}
    yield from _amounts("stakes", "unlock_at", moments, unlock)


def _delegations(queries: Queries, state: MarketState) -> Iterator[Difference]:
    ours, chain = _by_key(queries.all_delegations()), _by_key(state.delegations)
    for row in sorted(ours.keys() | chain.keys()):
        yield from _fields("delegations", row, ours.get(row), chain.get(row))


def _by_key(delegations: Mapping[tuple[Address, Address], Delegation]) -> dict[str, dict[str, object]]:
    return {
        f"{text(account)}/{text(key)}": {
            "roles": int(one.roles),
            "allowance": one.allowance,
            "until": one.until,
        }
        for (account, key), one in delegations.items()
    }


def _market(queries: Queries, state: MarketState) -> Iterator[Difference]:
    """The rules; whether it is paused is seen in the replay alone, since a pause ends by itself."""
    row = queries.market()
    ours = None if row is None else {"guardian": text(row.guardian), "policy": row.policy}
    chain = None if state.policy is None else {"guardian": text(state.guardian), "policy": state.policy}
    if ours is not None or chain is not None:
        yield from _fields("market", "1", ours, chain)


def _leases(queries: Queries, state: MarketState) -> Iterator[Difference]:
    chain: dict[str, dict[str, object]] = {}
    for lease, one in state.leases.items():
        lock = state.lock_for(one.escrow)
        chain[text(lease)] = {
            "state": "active",
            "escrow": one.escrow,
            "paid": one.paid,
            "refunded": None,
            "fee": _fee_on(state, one.paid),
            "lock": lock,
            "undecided": one.undecided,
        } | _claim(one.claim)
    for lease, event in state.closed.items():
        escrow = event.paid + event.refunded
        chain[text(lease)] = {
            "state": "closed",
            "escrow": escrow,
            "paid": event.paid,
            "refunded": event.refunded,
            "fee": _fee_on(state, event.paid),
            "lock": state.lock_for(escrow),
            "undecided": False,
        } | _claim(None)
    ours = {text(row.id): _figures(row) for row in queries.leases() if row.start is not None}
    for name in sorted(ours.keys() | chain.keys()):
        yield from _fields("leases", name, ours.get(name), chain.get(name))


def _fee_on(state: MarketState, paid: int) -> int:
    return state.policy.fee_on(paid) if state.policy else 0


def _claim(claim: UsageClaim | None) -> dict[str, object]:
    return {
        "claimed": None if claim is None else claim.claimed,
        "provider_bond": 0 if claim is None else claim.provider_bond,
        "buyer_bond": 0 if claim is None else claim.buyer_bond,
        "claim_until": None if claim is None else claim.until,
    }


def _figures(row: LeaseRow) -> dict[str, object]:
    return {
        "state": "closed" if row.state is LeaseState.CLOSED else "active",
        "escrow": row.escrow,
        "paid": row.paid,
        "refunded": row.refunded,
        "fee": row.fee,
        "lock": row.lock,
        "undecided": row.undecided,
    } | _claim(row.claim)


def _fields(
    table: str, row: str, ours: dict[str, object] | None, chain: dict[str, object] | None
) -> Iterator[Difference]:
    if ours is None or chain is None:
        yield Difference(table=table, row=row, field="row", ours=_shown(ours), chain=_shown(chain))
        return
    for name, value in ours.items():
        if value != chain[name]:
            yield Difference(table=table, row=row, field=name, ours=str(value), chain=str(chain[name]))


def _shown(figures: dict[str, object] | None) -> str:
    if figures is None:
        return ABSENT
    return " ".join(f"{name}={value}" for name, value in figures.items())


def _offers(queries: Queries, state: MarketState) -> Iterator[Difference]:
    ours = {text(row.id): row.used.pack() for row in queries.offers()}
    chain = {text(offer): state.used[offer].pack() for offer in state.offers}
    return _amounts("offers", "used", ours, chain)


def _sums(queries: Queries, state: MarketState) -> Iterator[Difference]:
    """Each account's sum of postings against the chain; wallets are outside the market."""
    ours: dict[str, int] = defaultdict(int)
    for row in queries.postings():
        if not row.account.startswith("wallet:"):
            ours[row.account] += row.amount
    chain = {accounts.balance(account): amount for account, amount in state.balances.items()}
    chain |= {accounts.stake(account): amount for account, amount in state.stakes.items()}
    chain |= {accounts.unstaking(account): amount for account, (amount, _) in state.unstaking.items()}
    for lease, one in state.leases.items():
        chain[accounts.escrow(lease)] = one.escrow - one.paid
        chain[accounts.lock(lease)] = state.lock_for(one.escrow)
        if one.claim is not None:
            chain[accounts.bond(lease)] = one.claim.provider_bond + one.claim.buyer_bond
    chain |= {accounts.FEES: sum(state.unpaid_fees.values()), accounts.BURNED: state.burned}
    return _amounts("postings", "sum", ours, chain)


def _amounts(
    table: str, field: str, ours: Mapping[str, int], chain: Mapping[str, int]
) -> Iterator[Difference]:
    """An absent row counts as nothing: both sides drop accounts that hold nothing."""
    for row in sorted(ours.keys() | chain.keys()):
        mine, theirs = ours.get(row, 0), chain.get(row, 0)
        if mine != theirs:
            yield Difference(table=table, row=row, field=field, ours=str(mine), chain=str(theirs))
