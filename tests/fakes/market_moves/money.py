"""Moves with money, stake, keys and the guardian, right and wrong ones."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from ledger.market.identity import NOBODY
from ledger.market.withdrawal import Withdrawal
from tests.fakes.in_process_market import NAMES, party
from tests.fakes.market_moves.board import MarketBoard
from tests.fakes.market_moves.drawn import NONCES, amounts, anybody, mostly, providers, seldom


class MoneyMoves(MarketBoard):
    """Moves with money, stake, keys and the guardian, right and wrong ones."""

    @rule(name=anybody, amount=st.sampled_from((0, 1, 10**6, 2 * 10**9)))
    def deposit(self, name: str, amount: int) -> None:
        self._do(name, lambda: self.twin.deposit(name, amount))

    @rule(name=anybody, amount=st.sampled_from((0, 5, 10**6)), honest=mostly, late=seldom)
    def deposit_with_permit(self, name: str, amount: int, honest: bool, late: bool) -> None:
        deadline = self.twin.at - late
        signer = name if honest else "laptop"
        self._do("stranger", lambda: self.twin.deposit_with_permit(name, amount, deadline, signed_by=signer))

    @rule(name=anybody, amount=amounts)
    def withdraw(self, name: str, amount: int) -> None:
        self._do(name, lambda: self.twin.withdraw(name, amount))

    @rule(
        names=st.tuples(anybody, st.sampled_from((*NAMES, ""))),
        amount=amounts,
        nonce=st.sampled_from(NONCES),
        late=seldom,
        honest=mostly,
    )
    def withdraw_signed(
        self, names: tuple[str, str], amount: int, nonce: int, late: bool, honest: bool
    ) -> None:
        name, to = names
        item = Withdrawal(
            account=party(name),
            to=party(to) if to else NOBODY,
            amount=amount,
            nonce=nonce,
            deadline=self.twin.at - late,
        )
        signer = name if honest else "laptop"
        self._do("stranger", lambda: self.twin.withdraw_signed(item, signer, "stranger"))

    @rule(name=anybody, amount=st.sampled_from((0, 1, 10**5, 10**9)))
    def stake(self, name: str, amount: int) -> None:
        self._do(name, lambda: self.twin.stake(name, amount))

    @rule(name=providers, share=st.sampled_from((0, 1, 500, 999, 1_000, 1_001)))
    def request_unstake(self, name: str, share: int) -> None:
        free = self.twin.model.state.stakes.get(party(name), 0)
        self._do(name, lambda: self.twin.request_unstake(name, free * share // 1_000))

    @rule(name=providers, sender=anybody)
    def finish_unstake(self, name: str, sender: str) -> None:
        self._do(sender, lambda: self.twin.finish_unstake(name, sender))

    @rule(amount=st.integers(1, 1_000))
    def donate(self, amount: int) -> None:
        """Tokens that nobody asked for are nobody's, and change nothing."""
        chain = self.twin.chain
        chain.send("token", "transfer", str(chain.market.address), amount, sender=chain.deployer)
        self.donated += amount

    @rule(sender=st.sampled_from(("guardian", "guardian", "stranger")), really=seldom)
    def pause_or_unpause(self, sender: str, really: bool) -> None:
        if self.twin.at < self.twin.model.state.paused_until:
            self._do(sender, lambda: self.twin.unpause(sender))
        elif really:
            self._do(sender, lambda: self.twin.pause(sender))

    @rule(sender=st.sampled_from(("guardian", "stranger")), really=seldom, more=seldom)
    def renounce_guardian(self, sender: str, really: bool, more: bool) -> None:
        if really and more:
            self._do(sender, lambda: self.twin.renounce_guardian(sender))

    @rule(
        names=st.tuples(
            st.sampled_from(("buyer", "other", "provider", "rival")),
            st.sampled_from(("laptop", "laptop", "buyer")),
        ),
        roles=st.sampled_from((1, 2, 3, 3, 0, 4)),
        allowance=st.sampled_from((10**9, 30_000, 0, 2**128)),
        lasts=st.sampled_from((10**6, 100, -1)),
    )
    def set_delegate(self, names: tuple[str, str], roles: int, allowance: int, lasts: int) -> None:
        name, key = names
        until = self.twin.at + lasts if roles else 0
        allowance *= roles != 0
        self._do(name, lambda: self.twin.set_delegate(name, key, roles, allowance, until))
