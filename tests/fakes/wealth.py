"""What everybody owns, wherever it lies, so that a test can say who gained and who lost by what was done."""

from collections.abc import Callable

from ledger.market.identity import Address
from ledger.market.lease import Lease
from tests.fakes.in_process_market import NAMES, account, party
from tests.fakes.market_twin import MarketTwin

Wealth = dict[str, int]


def wealth(twin: MarketTwin) -> Wealth:
    """Base units by party: wallet, balance, stake (free, locked, queued), bonds, escrow that is not paid."""
    return {name: _wealth_of(twin, name) for name in NAMES}


def _wealth_of(twin: MarketTwin, name: str) -> int:
    owner, state = party(name), twin.model.state
    free = state.balances.get(owner, 0) + state.stakes.get(owner, 0)
    queued, _ = state.unstaking.get(owner, (0, 0))
    in_leases = sum(_in_lease(owner, lease) for lease in state.leases.values())
    return wallet(twin, name) + free + queued + state.locked(owner) + in_leases


def wallet(twin: MarketTwin, name: str) -> int:
    """What of the token a party holds outside the market."""
    return int(twin.chain.token.balanceOf(account(name)))


def _in_lease(owner: Address, lease: Lease) -> int:
    bonds = (lease.claim.provider_bond, lease.claim.buyer_bond) if lease.claim else (0, 0)
    of_buyer = lease.escrow - lease.paid + bonds[1] if owner == lease.terms.buyer else 0
    return of_buyer + (bonds[0] if owner == lease.terms.provider else 0)


def changes(twin: MarketTwin, act: Callable[[], object]) -> Wealth:
    """What acting changed, by party; nobody stands in it to whom nothing happened."""
    before = wealth(twin)
    act()
    after = wealth(twin)
    return {name: after[name] - before[name] for name in NAMES if after[name] != before[name]}
