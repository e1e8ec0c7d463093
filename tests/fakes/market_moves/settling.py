"""Moves with receipts and the ends of leases."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ledger.market.events import ReceiptSkipped
from tests.fakes.market_moves.board import MarketBoard
from tests.fakes.market_moves.drawn import anybody, mostly, pick, receipts


class SettlingMoves(MarketBoard):
    """Moves with receipts and the ends of leases."""

    @rule(drawn=receipts, sender=anybody, plausible=mostly)
    def settle(self, drawn: tuple[int, int, bool, bool], sender: str, plausible: bool) -> None:
        claim = self._claim(drawn)
        if plausible:
            claim = replace(claim, milliseconds=self._plausible(claim))
        self.claims.append(claim)
        self._do(sender, lambda: self.twin.settle(claim, sender))

    @rule(drawn=st.lists(receipts, max_size=4), sender=anybody, plausible=mostly)
    def settle_many(self, drawn: list[tuple[int, int, bool, bool]], sender: str, plausible: bool) -> None:
        claims = [self._claim(one) for one in drawn]
        if plausible:
            claims = [replace(claim, milliseconds=self._plausible(claim)) for claim in claims]
        self.claims += claims
        if self._do(sender, lambda: self.twin.settle_many(claims, sender)):
            self.watch.cheap("settleMany", len(claims))

    @precondition(lambda self: self.claims)
    @rule(index=pick)
    def settle_twice(self, index: int) -> None:
        """4: a receipt twice changes nothing."""
        claim = self.claims[index % len(self.claims)]
        self._do("stranger", lambda: self.twin.settle(claim))
        before = self.watch.wealth()
        (again,) = self.twin.settle(claim)
        assert isinstance(again, ReceiptSkipped)
        assert self.watch.wealth() == before

    @rule(index=pick, sender=st.sampled_from(("", "", "laptop", "stranger")))
    def release(self, index: int, sender: str) -> None:
        terms = self._terms(index)
        caller = sender or self._name_of(terms.provider)
        self._do(caller, lambda: self.twin.release(terms, caller))

    @rule(index=pick, sender=st.sampled_from(("", "", "laptop", "stranger")))
    def terminate(self, index: int, sender: str) -> None:
        terms = self._terms(index)
        caller = sender or self._name_of(terms.buyer)
        self._do(caller, lambda: self.twin.terminate(terms, caller))

    @rule(index=pick, sender=anybody)
    def close(self, index: int, sender: str) -> None:
        terms = self._terms(index)
        self._do(sender, lambda: self.twin.close(terms, sender))

    @rule(indices=st.lists(pick, max_size=4), unknown=st.booleans())
    def close_many(self, indices: list[int], unknown: bool) -> None:
        items = [self._terms(i) for i in indices]
        if unknown:
            items.append(replace(self.watch.terms[0], member=99))
        if self._do("stranger", lambda: self.twin.close_many(items)):
            self.watch.cheap("closeMany", len(items))
