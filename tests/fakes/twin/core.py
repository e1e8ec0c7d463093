"""Contract and reference model in lock-step: every call goes to both, and they must agree on everything."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import boa

from ledger.market.errors import Rejected
from ledger.market.events import MarketEvent
from ledger.market.identity import NO_DIGEST, Address, Digest
from ledger.market.lease import LeaseTerms
from ledger.market.model import MarketModel
from tests.fakes.in_process_market import NAMES, PROVIDERS, PURSE, STAKE, InProcessMarket, account, party
from tests.fakes.recording import Recording

DEPOSITORS = ("buyer", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A receipt for a lease, and who signed it."""

    terms: LeaseTerms
    milliseconds: int
    last: bool = False
    signed_by: str = "signer"
    evidence: Digest = NO_DIGEST


def a_funded_market(recording: Recording | None = None) -> InProcessMarket:
    """Where the buyers have deposited their purses, the providers have staked, and nothing else happened."""
    chain = InProcessMarket(recording=recording)
    chain.fund(DEPOSITORS)
    return chain


def _attempt(call: Callable[[], list[MarketEvent]]) -> tuple[list[MarketEvent] | None, Exception]:
    try:
        return call(), AssertionError("the model refused nothing")
    except Rejected as refusal:
        return None, refusal


def require(holds: bool, cause: str) -> None:
    """What the token refuses, which the market's model knows nothing of."""
    if not holds:
        raise Rejected("token-refused", cause, "Look at the token.")


class Twin:
    """Both sides and how a call is compared; a refused one raises the model's `Rejected`.

    It starts from a funded market; the EVM's state is put back after each test by boa's plugin.
    """

    def __init__(self, chain: InProcessMarket) -> None:
        self.chain = chain
        self.model = MarketModel(
            policy=chain.deployed.policy,
            lease_id=chain.lease_id,
            guardian=chain.deployed.guardian,
            arbiter=chain.deployed.arbiter,
            jury=chain.deployed.jury,
        )
        self.facts: list[tuple[MarketEvent, int]] = [(chain.deployed, chain.at)]
        for name in DEPOSITORS:
            self._note(self.model.deposit(party(name), PURSE))
        for name in PROVIDERS:
            self._note(self.model.deposit(party(name), STAKE))
            self._note(self.model.stake(party(name), STAKE))

    def _note(self, events: Sequence[MarketEvent]) -> None:
        self.facts += [(event, self.at) for event in events]

    @property
    def at(self) -> int:
        return self.chain.at

    def both(
        self,
        on_model: Callable[[], list[MarketEvent]],
        function: str,
        *arguments: object,
        sender: str,
        on: str = "market",
    ) -> list[MarketEvent]:
        """Run one call on both; equal events, or both refuse."""
        logged: list[MarketEvent] | None = None
        with contextlib.suppress(boa.BoaError):
            logged = self.chain.call(function, *arguments, sender=sender, on=on)
        expected, refusal = _attempt(on_model)
        assert logged == expected, f"{function}: {refusal}"
        if expected is None:
            raise refusal
        self._note(expected)
        return expected

    def balances(self) -> dict[Address, int]:
        """What each party may withdraw, as the contract has it."""
        return {party(n): int(self.chain.market.balanceOf(account(n))) for n in NAMES}
