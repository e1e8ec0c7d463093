"""Contract and reference model in lock-step: all calls, and the comparison of everything they left."""

from tests.fakes.twin import comparison
from tests.fakes.twin.core import DEPOSITORS, Claim, a_funded_market
from tests.fakes.twin.matching import GangOrder, MatchingTwin

__all__ = ["DEPOSITORS", "Claim", "GangOrder", "MarketTwin", "a_funded_market"]


class MarketTwin(MatchingTwin):
    """The calls of market and jury, each compared; a refused one raises the model's `Rejected`."""

    def assert_same_state(self, unsolicited: int = 0) -> None:
        """Every word of what is open is what the events add up to, and nothing is lost."""
        comparison.conservation(self.chain, self.model.state, unsolicited)
        comparison.same_accounts(self.chain, self.model.state)
        comparison.same_offers(self.chain, self.model.state)
        comparison.same_leases(self.chain, self.model.state)
        comparison.locks(self.model)

    def assert_same_past(self, nonces: tuple[int, ...] = ()) -> None:
        """What is over has left nothing but its tombstones: closed leases, and these nonces."""
        comparison.closed_left_nothing(self.chain, self.model.state)
        comparison.same_nonces(self.chain, self.model.state, nonces)
