"""Moves that open leases, one by one, in gangs and in succession."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import boa
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS
from ledger.market.events import LeaseOpened, MarketEvent
from ledger.market.identity import Digest
from ledger.market.money import rate_of
from tests.fakes.in_process_market import words_of
from tests.fakes.market_moves.board import MarketBoard
from tests.fakes.market_moves.drawn import Drawn, drawn_bids, matchers, mostly, pick, receipts, seldom
from tests.fakes.market_twin import GangOrder


class MatchingMoves(MarketBoard):
    """Moves that open leases, one by one, in gangs and in succession."""

    @rule(index=pick, drawn=drawn_bids, sender=matchers)
    def match(self, index: int, drawn: Drawn, sender: str) -> None:
        offer = self.offers[index % len(self.offers)]
        order = self._order(offer, 0, drawn)
        self._do(sender, lambda: self.twin.match(offer, order, sender))

    @rule(index=pick, drawn=drawn_bids, seconds=st.integers(1, 100))
    def match_again_after_a_fork(self, index: int, drawn: Drawn, seconds: int) -> None:
        """18: a match that a reorganisation moved to another block opens the lease of the same id."""
        offer = self.offers[index % len(self.offers)]
        order = self._order(offer, 0, drawn)
        words = words_of(offer), self.twin.chain.fill_words(order)
        first: list[MarketEvent] = []
        with self.twin.chain.fork(), contextlib.suppress(boa.BoaError):
            first = self.twin.chain.call("matchBid", *words, sender="matcher")
        self.twin.chain.advance(seconds)
        again = self._do("matcher", lambda: self.twin.match(offer, order))
        ids = [[fact.id for fact in facts if isinstance(fact, LeaseOpened)] for facts in (first, again)]
        assert ids[0] == ids[1] or not ids[0] or not ids[1]

    @rule(drawn=st.lists(st.tuples(pick, drawn_bids), max_size=4), sender=matchers)
    def match_many(self, drawn: list[tuple[int, Drawn]], sender: str) -> None:
        offers = self.offers[-8:]
        orders = [self._order(offers[i % len(offers)], i % len(offers), fields) for i, fields in drawn]
        if self._do(sender, lambda: self.twin.match_many(offers, orders, sender)):
            self.watch.cheap("matchBids", len(offers) + len(orders))

    @rule(
        drawn=drawn_bids,
        seats=st.lists(st.sampled_from((0, 0, 1, 1, 2, 2, 3, 9)), min_size=1, max_size=4),
        flags=st.sampled_from((0, 0, DISTINCT, DISTINCT, 4, 1 << AGREE_SHIFT)),
        short=seldom,
    )
    def match_gang(self, drawn: Drawn, seats: list[int], flags: int, short: bool) -> None:
        self._gang(drawn, seats, flags, len(seats) + short)

    @rule(
        drawn=drawn_bids,
        seats=st.sampled_from(([0, 1, 2], [0, 1, 2], [1, 2], [0, 1, 0])),
        agree=st.sampled_from((2, 2, 2, 3, 1)),
    )
    def match_replicas(self, drawn: Drawn, seats: list[int], agree: int) -> None:
        self._gang(drawn, seats, REPLICAS | agree << AGREE_SHIFT, len(seats))

    def _gang(self, drawn: Drawn, seats: Sequence[int], flags: int, members: int) -> None:
        offers = self.offers[:4]
        bid = self._bid(drawn, members=members, flags=flags)
        rate = rate_of(offers[0].ask, bid.want) + drawn["over"]
        signer = drawn["signed_by"] or drawn["name"]
        order = GangOrder(bid=bid, members=tuple((seat, rate) for seat in seats), signed_by=signer)
        if self._do("matcher", lambda: self.twin.match_gang(offers, order)):
            self.watch.cheap("matchGang", len(offers) + len(seats))

    @rule(drawn=drawn_bids, receipt=receipts, other=seldom, last=mostly)
    def continue_lease(
        self, drawn: Drawn, receipt: tuple[int, int, bool, bool], other: bool, last: bool
    ) -> None:
        claim = replace(self._claim(receipt), last=last)
        claim = replace(claim, milliseconds=self._plausible(claim))
        offer = next(o for o in self.offers if self.twin.chain.offer_id(o) == claim.terms.offer)
        previous = claim.terms if not other else self.watch.terms[0]
        changes: dict[str, Any] = {
            "buyer": claim.terms.buyer,
            "continues": Digest(self.twin.chain.lease_id(previous)),
        }
        changes["epoch"] = self.twin.model.state.epochs.get(claim.terms.buyer, 0)
        order = self._order(offer, 0, drawn, **changes)
        order = replace(order, signed_by=drawn["signed_by"] or self._name_of(claim.terms.buyer))
        self._do("matcher", lambda: self.twin.continue_lease(claim, offer, order))
