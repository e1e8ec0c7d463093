"""The books against the chain, figure by figure: an audit names the table, the row and both amounts.

The chain's side is a `MarketState` folded from events that were read anew, so a row that was changed, lost
or never written shows, whoever changed it. Beyond the chain's own figures, every derived row is checked
against a replay of the journal (`ledger.books.replica`), which names the one posting behind a wrong sum.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext

from sqlmodel import Session

from ledger.books import accounts
from ledger.books.books import Books
from ledger.books.cells import Cells, differing
from ledger.books.kept import Hash, changed_documents, moved_cursor
from ledger.books.logged import unlike_the_chain
from ledger.books.queries import Queries
from ledger.books.replica import deviations
from ledger.books.rows import Difference, LeaseRow
from ledger.market.delegation import Delegation
from ledger.market.errors import MarketError
from ledger.market.events import Logged
from ledger.market.identity import Address, text
from ledger.market.lease import UsageClaim
from ledger.market.lifecycle import LeaseState
from ledger.market.state import MarketState

Check = Callable[[Session], list[Difference]]


def compare(
    books: Books,
    state: MarketState,
    logged: Sequence[Logged] | None = None,
    keccak: Hash | None = None,
) -> list[Difference]:
    """Every figure in which the books differ from the chain; empty where they agree to the base unit.

    `state` and `logged` are the chain's up to the books' cursor; without `logged` neither events nor the
    cursor are looked at one by one, without `keccak` documents are not checked against their names.
    """
    checks: list[Check] = [
        deviations,
        lambda session: _against_chain(Queries(lambda: nullcontext(session)), state),
    ]
    if logged is not None:
        checks += [
            lambda session: list(unlike_the_chain(session, logged)),
            lambda session: list(moved_cursor(session)),
        ]
    if keccak is not None:
        checks.append(lambda session: list(changed_documents(session, keccak)))
    with books.reading() as session:
        return list(dict.fromkeys(_checked(session, checks)))


def _checked(session: Session, checks: Sequence[Check]) -> list[Difference]:
    """What all checks found; one that fails on what it reads counts where no other found anything."""
    found: list[Difference] = []
    failed: list[MarketError] = []
    for check in checks:
        try:
            found += check(session)
        except MarketError as error:
            failed.append(error)
    if failed and not found:
        raise failed[0]
    return found


def _against_chain(queries: Queries, state: MarketState) -> list[Difference]:
    return [
        *_accounts(queries, state),
        *_holds(queries, state),
        *_unlocks(queries, state),
        *_delegations(queries, state),
        *_market(queries, state),
        *_leases(queries, state),
        *_offers(queries, state),
    ]


def _accounts(queries: Queries, state: MarketState) -> Iterator[Difference]:
    """What each account may use, by its transfers; wallets are outside the market."""
    ours = {
        name: totals.available
        for name, totals in queries.all_totals().items()
        if not name.startswith("wallet:")
    }
    chain = {accounts.balance(account): amount for account, amount in state.balances.items()}
    chain |= {accounts.stake(account): amount for account, amount in state.stakes.items()}
    chain |= {accounts.unstaking(account): amount for account, (amount, _) in state.unstaking.items()}
    chain |= {accounts.FEES: sum(state.unpaid_fees.values()), accounts.BURNED: state.burned}
    return _amounts("accounts", "available", ours, chain)


def _holds(queries: Queries, state: MarketState) -> Iterator[Difference]:
    chain: dict[str, int] = {}
    for lease, one in state.leases.items():
        chain[accounts.escrow(lease)] = one.escrow - one.paid
        chain[accounts.lock(lease)] = state.lock_for(one.escrow)
        if one.claim is not None:
            chain[accounts.bond(lease, "provider")] = one.claim.provider_bond
            chain[accounts.bond(lease, "buyer")] = one.claim.buyer_bond
    return _amounts("holds", "left", queries.holds(), chain)


def _unlocks(queries: Queries, state: MarketState) -> Iterator[Difference]:
    ours = {text(account): row.unlock_at or 0 for account, row in queries.stakes().items()}
    chain = {text(account): moment for account, (_, moment) in state.unstaking.items()}
    return _amounts("unlocks", "at", ours, chain)


def _delegations(queries: Queries, state: MarketState) -> Iterator[Difference]:
    ours, chain = _by_key(queries.all_delegations()), _by_key(state.delegations)
    for row in sorted(ours.keys() | chain.keys()):
        yield from differing("delegations", row, ours.get(row), chain.get(row))


def _by_key(delegations: Mapping[tuple[Address, Address], Delegation]) -> dict[str, Cells]:
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
        yield from differing("market", "1", ours, chain)


def _leases(queries: Queries, state: MarketState) -> Iterator[Difference]:
    chain: dict[str, Cells] = {}
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
        yield from differing("leases", name, ours.get(name), chain.get(name))


def _fee_on(state: MarketState, paid: int) -> int:
    return state.policy.fee_on(paid) if state.policy else 0


def _claim(claim: UsageClaim | None) -> Cells:
    return {
        "claimed": None if claim is None else claim.claimed,
        "provider_bond": 0 if claim is None else claim.provider_bond,
        "buyer_bond": 0 if claim is None else claim.buyer_bond,
        "claim_until": None if claim is None else claim.until,
    }


def _figures(row: LeaseRow) -> Cells:
    return {
        "state": "closed" if row.state is LeaseState.CLOSED else "active",
        "escrow": row.escrow,
        "paid": row.paid,
        "refunded": row.refunded,
        "fee": row.fee,
        "lock": row.lock,
        "undecided": row.undecided,
    } | _claim(row.claim)


def _offers(queries: Queries, state: MarketState) -> Iterator[Difference]:
    ours = {text(row.id): row.used.pack() for row in queries.offers()}
    chain = {text(offer): state.used[offer].pack() for offer in state.offers}
    return _amounts("offers", "used", ours, chain)


def _amounts(
    table: str, field: str, ours: Mapping[str, int], chain: Mapping[str, int]
) -> Iterator[Difference]:
    """An absent row counts as nothing: both sides drop accounts that hold nothing."""
    for row in sorted(ours.keys() | chain.keys()):
        mine, theirs = ours.get(row, 0), chain.get(row, 0)
        if mine != theirs:
            yield Difference(table=table, row=row, field=field, ours=str(mine), chain=str(theirs))
