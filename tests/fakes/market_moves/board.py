"""What the moves of the market's state machine are made on: both sides, and what is known of them."""

import contextlib
from collections.abc import Callable
from typing import Any

import boa
from hypothesis import event
from hypothesis.stateful import RuleBasedStateMachine

from ledger.market.bid import Bid
from ledger.market.errors import Rejected
from ledger.market.events import MarketEvent
from ledger.market.identity import NOBODY
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.offer import Offer
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, ANY_VENDOR, Traits
from tests.fakes.in_process_market import NAMES, Order, a_bid, an_offer, party
from tests.fakes.market_moves.drawn import LATEST, Drawn
from tests.fakes.market_twin import Claim, MarketTwin, a_funded_market
from tests.fakes.recording import Recording
from tests.fakes.storage_views import read_storage
from tests.fakes.twin.invariants import Invariants


class MarketBoard(RuleBasedStateMachine):
    """A funded market and its model; `recording` notes all that is deployed and called."""

    def __init__(self) -> None:
        super().__init__()
        self.recording = Recording(chain_id=boa.env.evm.patch.chain_id)
        self.twin = MarketTwin(a_funded_market(self.recording))
        read_storage(self.twin.chain)
        self.watch = Invariants(self.twin)
        self.offers: list[Offer] = []
        self.claims: list[Claim] = []
        self.donated = 0

    def _do(self, sender: str, call: Callable[[], list[MarketEvent]]) -> list[MarketEvent]:
        """Make a call, and look at what it did to everybody."""
        before = self.watch.wealth()
        events: list[MarketEvent] = []
        with contextlib.suppress(Rejected):
            events = call()
        for fact in events:
            event(f"{type(fact).__name__} {getattr(fact, 'reason', '')}")
        self.watch.see(sender, before, events)
        return events

    def _offer(self, **changes: Any) -> Offer:
        fields = {
            "capacity": Quantities(cpu=9_000, memory=8_192),
            "ask": Quantities(cpu=40_000_000, memory=1_000_000),
            **changes,
        }
        return an_offer(**fields)

    def _register(self, offer: Offer, sender: str) -> None:
        self._do(sender, lambda: self.twin.register(offer, sender))
        if self.twin.chain.offer_id(offer) in self.twin.model.state.offers and offer not in self.offers:
            self.offers.append(offer)

    def _name_of(self, raw: bytes) -> str:
        return next(name for name in NAMES if party(name) == raw)

    def _bid(self, drawn: Drawn, **changes: Any) -> Bid:
        owner = party(drawn["name"])
        fields: dict[str, Any] = {
            "buyer": owner,
            "want": Quantities(cpu=drawn["cpu"], memory=64),
            "traits": Traits(vendors=ANY_VENDOR, regions=ANY_REGION),
            "limit_rate": drawn["limit"],
            "duration": 60 + drawn["cpu"] % 500,
            "start_by": self.twin.at - 1 if drawn["late"] else LATEST,
            "valid_until": LATEST,
            "epoch": self.twin.model.state.epochs.get(owner, 0),
            "nonce": drawn["nonce"],
            "matcher": party("matcher") if drawn["chosen"] else NOBODY,
            **changes,
        }
        bid = a_bid(**fields)
        self.watch.knows(bid)
        return bid

    def _order(self, offer: Offer, index: int, drawn: Drawn, **changes: Any) -> Order:
        bid = self._bid(drawn, **changes)
        rate = rate_of(offer.ask, bid.want) + drawn["over"]
        signer = drawn["signed_by"] or drawn["name"]
        return Order(bid=bid, rate=rate, signed_by=signer, offer_index=index)

    def _terms(self, index: int) -> LeaseTerms:
        """Two times in three of an open lease, where there is one."""
        opened = [lease.terms for lease in self.twin.model.state.leases.values()]
        terms = opened if opened and index % 3 else self.watch.terms
        return terms[index // 3 % len(terms)]

    def _claim(self, drawn: tuple[int, int, bool, bool]) -> Claim:
        index, milliseconds, last, honest = drawn
        terms = self._terms(index)
        signer = "signer" if honest else "stranger"
        return Claim(terms=terms, milliseconds=milliseconds, last=last, signed_by=signer)

    def _plausible(self, claim: Claim) -> int:
        """A number of milliseconds that the clock allows."""
        lease = self.twin.model.state.leases.get(self.twin.chain.lease_id(claim.terms))
        return lease.billable(claim.milliseconds, self.twin.at) if lease else claim.milliseconds
