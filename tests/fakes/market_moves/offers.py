"""Moves with offers, epochs and nonces."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from ledger.market.resource import Quantities
from tests.fakes.in_process_market import party
from tests.fakes.market_moves.board import MarketBoard
from tests.fakes.market_moves.drawn import anybody, buyers, pick, providers, seldom


class OfferMoves(MarketBoard):
    """Moves with offers, epochs and nonces."""

    @rule(
        name=providers,
        sender=st.sampled_from(("", "", "laptop")),
        salt=st.integers(0, 3),
        cpu=st.integers(0, 9_000),
        epoch=st.integers(0, 1),
    )
    def register(self, name: str, sender: str, salt: int, cpu: int, epoch: int) -> None:
        offer = self._offer(
            provider=party(name),
            capacity=Quantities(cpu=cpu, memory=8_192),
            salt=salt + 10,
            epoch=epoch,
            valid_until=self.twin.at + 5_000 * salt,
        )
        self._register(offer, sender or name)

    @rule(name=providers, salts=st.lists(st.integers(20, 25), max_size=4), epoch=st.sampled_from((0, 0, 1)))
    def register_many(self, name: str, salts: list[int], epoch: int) -> None:
        offers = [self._offer(provider=party(name), salt=salt, epoch=epoch) for salt in salts]
        if self._do(name, lambda: self.twin.register_many(offers, name)):
            self.watch.cheap("registerOffers", len(offers))
            self.offers += offers

    @rule(index=pick, sender=st.sampled_from(("", "", "laptop", "stranger")), really=seldom)
    def cancel(self, index: int, sender: str, really: bool) -> None:
        if not really:
            return
        offer = self.offers[index % len(self.offers)]
        caller = sender or self._name_of(offer.provider)
        self._do(caller, lambda: self.twin.cancel(offer, caller))

    @rule(name=anybody, really=seldom)
    def bump_epoch(self, name: str, really: bool) -> None:
        if really:
            self._do(name, lambda: self.twin.bump_epoch(name))

    @rule(name=buyers, word=st.sampled_from((0, 1, 2**13, 2**56)), place=st.integers(0, 255))
    def cancel_nonces(self, name: str, word: int, place: int) -> None:
        self._do(name, lambda: self.twin.cancel_nonces(name, word, 1 << place))
