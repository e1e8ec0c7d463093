#!/usr/bin/env python3
"""What trading with oneself buys: a thousand sybils, cliques and matchers of their own, beside honest trade.

One market of made-up events is folded by `ledger.market.reputation`, as a node would. The table shows, for
each provider, the fees that its leases paid, those of them that somebody else got for good (burned), its
score, and the most that an honest newcomer could have for the same burned fees. Needs nothing installed.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ledger.market.events import (
    BlockRef,
    LeaseClosed,
    LeaseOpened,
    Logged,
    MarketEvent,
    UsageSettled,
)
from ledger.market.identity import NO_DIGEST, Address, BidId, LeaseId, OfferId
from ledger.market.lease import ClosedBecause, LeaseTerms
from ledger.market.money import RATE_DIVISOR, pay_for
from ledger.market.policy import PUBLIC
from ledger.market.reputation import PER_MILLE, Reputations, most_for
from ledger.market.resource import Quantities
from scripts.figures import Figure, at_most, command_line, write

SYBILS = 1_000
CLIQUE = 10
HOUR = 3_600
NODE = "node"
"""the matcher whose fees the reader of the events knows to be real"""
_ORDINARY, _SMALL, _DUST = 200_000, 20_000, 99
"""base units that a lease pays; the fee on dust rounds to nothing"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One lease of an hour that ran in full, paid `price` base units and closed with its last receipt."""

    provider: str
    buyer: str
    matcher: str
    price: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One provider's row. Fees in base units; `score` and `bound` per mille."""

    name: str
    honest: bool
    fees: int
    burned: int
    volume: int
    score: int
    bound: int


def honest_trades() -> Iterator[Trade]:
    """Ten providers and forty buyers; each buyer goes to three providers, twice each, as their work comes."""
    for buyer in range(40):
        for step in range(6):
            provider = (buyer + step % 3 * 3) % 10
            yield Trade(provider=f"honest {provider}", buyer=f"buyer {buyer}", matcher=NODE, price=_ORDINARY)


def sybils_at_the_node() -> Iterator[Trade]:
    for buyer in range(SYBILS):
        yield Trade(provider="1,000 sybil buyers", buyer=f"a{buyer}", matcher=NODE, price=_SMALL)


def one_sybil_at_the_node() -> Iterator[Trade]:
    for _ in range(SYBILS):
        yield Trade(provider="one sybil buyer, 1,000 leases", buyer="b", matcher=NODE, price=_SMALL)


def sybils_with_a_matcher() -> Iterator[Trade]:
    for buyer in range(SYBILS):
        name = "1,000 sybil buyers and a sybil matcher"
        yield Trade(provider=name, buyer=f"c{buyer}", matcher="sybil matcher", price=10**9)


def provider_as_matcher() -> Iterator[Trade]:
    for buyer in range(SYBILS):
        name = "1,000 sybil buyers, provider matches"
        yield Trade(provider=name, buyer=f"d{buyer}", matcher=name, price=10**9)


def dust_at_the_node() -> Iterator[Trade]:
    for buyer in range(SYBILS):
        yield Trade(provider="1,000 sybil buyers of dust", buyer=f"e{buyer}", matcher=NODE, price=_DUST)


def clique_at_the_node() -> Iterator[Trade]:
    for buyer in range(SYBILS // CLIQUE):
        for provider in range(CLIQUE):
            name = f"clique of 10 providers, number {provider}"
            yield Trade(provider=name, buyer=f"f{buyer}", matcher=NODE, price=_SMALL)


def clique_with_a_matcher() -> Iterator[Trade]:
    for buyer in range(SYBILS):
        for provider in range(CLIQUE):
            name = f"clique and a sybil matcher, number {provider}"
            yield Trade(provider=name, buyer=f"g{buyer}", matcher="sybil matcher", price=10**9)


ATTACKS: tuple[Callable[[], Iterator[Trade]], ...] = (
    sybils_at_the_node,
    one_sybil_at_the_node,
    dust_at_the_node,
    clique_at_the_node,
    sybils_with_a_matcher,
    provider_as_matcher,
    clique_with_a_matcher,
)


def account(name: str) -> Address:
    return Address(sha256(name.encode()).digest()[:20])


def events_of(trade: Trade, number: int) -> Iterator[MarketEvent]:
    """The lease's whole life; `number` makes its id."""
    provider, buyer = account(trade.provider), account(trade.buyer)
    rate = trade.price * RATE_DIVISOR // (HOUR * PER_MILLE)
    paid = pay_for(rate, HOUR * PER_MILLE, HOUR)
    lease = LeaseId(sha256(number.to_bytes(8)).digest())
    terms = LeaseTerms(
        offer=OfferId(bytes(32)),
        bid=BidId(bytes(lease)),
        member=0,
        provider=provider,
        buyer=buyer,
        signer=buyer,
        matcher=account(trade.matcher),
        want=Quantities(cpu=1_000),
        rate=rate,
        duration=HOUR,
    )
    yield LeaseOpened(id=lease, terms=terms, start=0, escrow=paid, nonce=number, job=NO_DIGEST)
    yield UsageSettled(
        lease=lease,
        buyer=buyer,
        provider=provider,
        milliseconds=HOUR * PER_MILLE,
        amount=paid,
        fee=PUBLIC.fee_on(paid),
        paid=paid,
        evidence=NO_DIGEST,
    )
    yield LeaseClosed(
        lease=lease,
        buyer=buyer,
        provider=provider,
        paid=paid,
        refunded=0,
        because=ClosedBecause.LAST_RECEIPT,
    )


def fold(trades: list[Trade]) -> Reputations:
    """The reputations after these trades, one a block, as the node sees them."""
    reputations = Reputations(matchers=[account(NODE)])
    for number, trade in enumerate(trades):
        block = BlockRef(number=number, hash=bytes(32), parent=bytes(32), at=number)
        for index, event in enumerate(events_of(trade, number)):
            reputations.apply(Logged(event=event, block=block, log_index=index, transaction=bytes(32)))
    return reputations


def simulate() -> list[Standing]:
    """Everybody's standing after the honest trade and all attacks in one market."""
    honest = list(honest_trades())
    attacks = [trade for attack in ATTACKS for trade in attack()]
    trades = [*honest, *attacks]
    reputations = fold(trades)
    names = dict.fromkeys(trade.provider for trade in trades)
    honest_names = {trade.provider for trade in honest}
    found = [_standing(name, name in honest_names, trades, reputations) for name in names]
    newcomer = _standing("an honest newcomer", True, [], reputations)
    return [newcomer, *found]


def _standing(name: str, honest: bool, trades: list[Trade], reputations: Reputations) -> Standing:
    own = [trade for trade in trades if trade.provider == name]
    burned = sum(PUBLIC.fee_on(trade.price) for trade in own if trade.matcher == NODE)
    score = reputations.score(account(name), 0)
    return Standing(
        name=name,
        honest=honest,
        fees=sum(PUBLIC.fee_on(trade.price) for trade in own),
        burned=burned,
        volume=score.volume,
        score=score.per_mille,
        bound=most_for(burned),
    )


def figures_of(standings: list[Standing]) -> list[Figure]:
    """Each attacker's score above the newcomer's against what its burned fees would buy honestly, and the
    attackers' whole volume against all that they burned."""
    newcomer = standings[0].score
    attackers = [standing for standing in standings if not standing.honest]
    figures = [
        at_most(f"{one.name}: score above a newcomer's", one.score - newcomer, "per mille", one.bound)
        for one in attackers
    ]
    volume, burned = sum(one.volume for one in attackers), sum(one.burned for one in attackers)
    return [*figures, at_most("all attackers: volume against fees burned", volume, "base units", burned)]


def main() -> int:
    """Show the table, write the figures; 0 where every bound holds."""
    arguments = command_line(__doc__).parse_args()
    standings = simulate()
    figures = figures_of(standings)
    print(f"{'provider':44} {'fees':>14} {'burned':>9} {'volume':>9} {'score':>6} {'bound':>6}")
    for one in standings:
        print(f"{one.name:44} {one.fees:14,} {one.burned:9,} {one.volume:9,} {one.score:6} {one.bound:6}")
    failed = [figure.name for figure in figures if not figure.holds]
    print(f"{len(figures) - len(failed)} of {len(figures)} bounds hold" + "".join(f"\n✗ {n}" for n in failed))
    if arguments.json:
        write(arguments.json, figures, table=[asdict(standing) for standing in standings])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
