"""Moves that no typed value can express: words that nobody would sign, in the midst of a batch."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from ledger.market.events import BatchMatched, LeaseOpened
from ledger.market.identity import NO_DIGEST
from tests.fakes.in_process_market import words_of
from tests.fakes.market_moves.board import MarketBoard
from tests.fakes.market_moves.drawn import Drawn, drawn_bids, pick, receipts

spoiling = st.one_of(
    st.integers(0, 2**256 - 1),
    st.integers(0, 255).map(lambda place: 1 << place),
    st.sampled_from((0, 2**256 - 1)),
)


def spoil(words: list[Any], place: int, value: int) -> None:
    """Put the value, whatever it is, in the place of one word of a struct."""
    index = place % len(words)
    if isinstance(words[index], list):
        spoil(words[index], place // len(words), value)
    else:
        words[index] = value.to_bytes(32) if isinstance(words[index], bytes) else value


class HostileMoves(MarketBoard):
    """Batches with one spoiled word: nothing reverts, and what was spoiled does not take effect. They are
    made on a fork, since the model knows no such words."""

    def _running(self) -> bool:
        return self.twin.at >= self.twin.model.state.paused_until

    @rule(drawn=drawn_bids, place=st.integers(0, 10_000), value=spoiling)
    def match_a_spoiled_bid(self, drawn: Drawn, place: int, value: int) -> None:
        offer, chain = self.offers[0], self.twin.chain
        fill = chain.fill_words(self._order(offer, 0, drawn))
        arguments = chain.shaped("market", "matchBids", [[words_of(offer)], [fill, fill], NO_DIGEST])
        _, (fill, _), _ = arguments
        spoil(fill, place, value)
        if self._running():
            with chain.fork():
                *events, batch = chain.call("matchBids", *arguments, sender="matcher")
            assert isinstance(batch, BatchMatched)
            assert sum(isinstance(fact, LeaseOpened) for fact in events) == batch.opened <= 1

    @rule(drawn=drawn_bids, place=st.integers(0, 10_000), value=spoiling)
    def match_on_a_spoiled_offer(self, drawn: Drawn, place: int, value: int) -> None:
        offer, chain = self.offers[0], self.twin.chain
        fill = chain.fill_words(self._order(offer, 0, drawn))
        arguments = chain.shaped("market", "matchBids", [[words_of(offer)], [fill], NO_DIGEST])
        before = list(arguments[0][0])
        spoil(arguments[0][0], place, value)
        if self._running() and arguments[0][0] != before:
            with chain.fork():
                _, batch = chain.call("matchBids", *arguments, sender="matcher")
            assert isinstance(batch, BatchMatched)
            assert batch.opened == 0

    @rule(drawn=receipts, place=st.integers(0, 10_000), value=spoiling)
    def settle_a_spoiled_receipt(self, drawn: tuple[int, int, bool, bool], place: int, value: int) -> None:
        claim, chain = self._claim(drawn), self.twin.chain
        item = chain.settlement_words(claim.terms, self.twin.receipt(claim), claim.signed_by)
        arguments = chain.shaped("market", "settleMany", [[item, item]])
        spoil(arguments[0][0], place, value)
        with chain.fork():
            assert chain.call("settleMany", *arguments, sender="stranger")

    @rule(index=pick, place=st.integers(0, 10_000), value=spoiling)
    def close_with_spoiled_terms(self, index: int, place: int, value: int) -> None:
        chain = self.twin.chain
        arguments = chain.shaped("market", "closeMany", [[words_of(self._terms(index))] * 2])
        spoil(arguments[0][0], place, value)
        with chain.fork():
            assert chain.call("closeMany", *arguments, sender="stranger")
