"""What of an epoch's book the chain itself proves, and what rests on the node's word.

Proven: that each offer is registered as it stands there, that each bid is what its buyer signed, and that the
leases of the result are the ones that were opened. Compared and counted: what is in use, and what is staked,
which the node may know later than the chain, or earlier (a planned lease is no lease yet).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ledger.chain.audit import state_at
from ledger.chain.client import MarketClient
from ledger.chain.log_ranges import pieces
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, bid_id
from ledger.market.delegation import Role
from ledger.market.errors import LostRace, Rejected
from ledger.market.events import BidSkipped, LeaseOpened
from ledger.market.identity import BidId, OfferId, text
from ledger.market.resource import Quantities
from ledger.market.state import MarketState
from matcher.bundle.epoch import Bundle, WaitingBid
from matcher.clearing import Match
from node.replaying.anchoring import Anchor

_AFTER = 256
"""blocks after the anchor in which an epoch's leases are looked for"""
WORD = (
    "the providers' reputations",
    "which offers' agents were alive",
    "which orders had arrived, and in which sequence",
    "what a job's document demands beyond the signed bid",
    "what an offer's document says (domain, devices, measured capability)",
)
"""what no chain can show"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Counts, by what was found: of offers' `uses` and providers' `stakes` whether the chain says the same,
    more or less; of `bids` who signed; of the result's `leases` what became of them."""

    offers: int
    uses: Mapping[str, int]
    stakes: Mapping[str, int]
    bids: Mapping[str, int]
    leases: Mapping[str, int]


def evidence(client: MarketClient, bundle: Bundle, anchor: Anchor, first_block: int) -> Evidence:
    """What the chain says of the bundle's book and result. `first_block` is where the market began.

    `Rejected` "other-market", "other-chain", "offer-not-registered", "bid-altered" or "opened-otherwise".
    """
    _check_place(client, bundle)
    state = state_at(client, first_block, bundle.header.ground.block_number)
    _check_offers(bundle, state)
    return Evidence(
        offers=len(bundle.offers),
        uses=_uses(bundle, state),
        stakes=_stakes(bundle, state),
        bids=_bids(client.domain(), bundle, state),
        leases=_leases(client, bundle, anchor),
    )


def _check_place(client: MarketClient, bundle: Bundle) -> None:
    ground, domain = bundle.header.ground, client.domain()
    if (ground.chain_id, ground.market) != (domain.chain_id, domain.market):
        raise Rejected(
            "other-market",
            f"The epoch is of the market {text(ground.market)} on chain {ground.chain_id}.",
            "Name that market's chain with --rpc.",
        )
    if not ground.block_number and not any(ground.block_hash):
        return
    try:
        same = client.block(ground.block_number).hash == ground.block_hash
    except LostRace:
        same = False
    if not same:
        raise Rejected(
            "other-chain",
            f"The chain's block {ground.block_number} is not the one that the node stood at.",
            "Name the node's own chain; a reorganisation may have replaced the block since.",
        )


def _check_offers(bundle: Bundle, state: MarketState) -> None:
    for name, order in bundle.offers.items():
        if name in state.cancelled or state.offers.get(name) != order.offer:
            raise Rejected(
                "offer-not-registered",
                f"The chain has no such offer {text(name)} at block {bundle.header.ground.block_number}.",
                "The node altered it, or made it up.",
                offer=text(name),
            )


def _uses(bundle: Bundle, state: MarketState) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name in bundle.offers:
        use = bundle.uses.get(OfferId(name))
        ours = Quantities() if use is None else use.used
        chain = state.used.get(name, Quantities())
        found[_compared(ours, chain)] += 1
    return dict(found)


def _compared(ours: Quantities, chain: Quantities) -> str:
    if ours == chain:
        return "same"
    return "less on chain (planned leases)" if chain.within(ours) else "more on chain"


def _stakes(bundle: Bundle, state: MarketState) -> dict[str, int]:
    found: Counter[str] = Counter()
    for provider, ours in bundle.stakes.items():
        chain = state.stakes.get(provider, 0)
        found["same" if ours == chain else "more on chain" if ours < chain else "less on chain"] += 1
    return dict(found)


def _bids(domain: Domain, bundle: Bundle, state: MarketState) -> dict[str, int]:
    return dict(Counter(_signer(domain, name, one, state) for name, one in bundle.bids.items()))


def _signer(domain: Domain, name: BidId, waiting: WaitingBid, state: MarketState) -> str:
    bid = waiting.order.bid
    if bid_id(domain, bid) != name or waiting.order.id != name:
        raise _altered(name, "its fields are not what its id stands for")
    if not waiting.signature:
        return "without signature"
    signer = recover(name, waiting.signature)
    if signer == bid.buyer:
        return "signed by the buyer"
    held = state.delegations.get((bid.buyer, signer))
    if held is None or Role.SPEND not in held.roles:
        raise _altered(name, f"{text(signer)} signed it and not its buyer")
    return "signed by a delegate"


def _altered(name: BidId, why: str) -> Rejected:
    return Rejected(
        "bid-altered",
        f"The bid {text(name)} is not what its buyer signed: {why}.",
        "The node altered it, or made it up.",
        bid=text(name),
    )


def _leases(client: MarketClient, bundle: Bundle, anchor: Anchor) -> dict[str, int]:
    """What became of the result: the chain must not have opened anything else for these bids."""
    opened: dict[tuple[BidId, int], LeaseOpened] = {}
    skipped: set[BidId] = set()
    last = min(client.block("latest").number, anchor.block + _AFTER)
    for first, end in pieces(bundle.header.ground.block_number, last):
        for logged in client.logs(first, end):
            if isinstance(logged.event, LeaseOpened):
                opened[logged.event.terms.bid, logged.event.terms.member] = logged.event
            elif isinstance(logged.event, BidSkipped):
                skipped.add(logged.event.bid)
    found: Counter[str] = Counter()
    for match in bundle.clearing.matches:
        for number in range(len(match.members)):
            event = opened.get((match.bid, number))
            found[_became(match, number, event, skipped)] += 1
    return dict(found)


def _became(match: Match, number: int, event: LeaseOpened | None, skipped: set[BidId]) -> str:
    member = match.members[number]
    if event is None:
        return "skipped by the contract" if match.bid in skipped else "not opened"
    if (event.terms.offer, event.terms.rate) == (member.offer, member.rate):
        return "opened as matched"
    if match.bid in skipped:
        return "skipped, and opened by a later epoch"
    raise Rejected(
        "opened-otherwise",
        f"The bid {text(match.bid)} was opened on {text(event.terms.offer)} at {event.terms.rate}, and "
        f"matched with {text(member.offer)} at {member.rate}.",
        "The node opened what it did not publish.",
        bid=text(match.bid),
    )
