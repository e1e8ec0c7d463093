"""Money in and out, stake, and the guardian's pause, which closes the entries and never an exit."""

from ledger.market.calls.market import MAX_AMOUNT, Market, require
from ledger.market.events import (
    Deposited,
    GuardianRenounced,
    MarketEvent,
    NoncesCancelled,
    Paused,
    Staked,
    Unpaused,
    Unstaked,
    UnstakeQueued,
    Withdrawn,
)
from ledger.market.identity import NOBODY, Address
from ledger.market.withdrawal import Withdrawal

PAUSE_SECONDS = 7 * 24 * 3_600
"""how long a pause lasts, and how long after it the guardian may not pause again"""


class MoneyCalls(Market):
    """Calls on an account's own money; amounts are base units."""

    __slots__ = ()

    def deposit(self, account: Address, amount: int, at: int = 0) -> list[MarketEvent]:
        """`amount` is what arrived at the market, at most what the account asked to deposit."""
        self._not_paused(at)
        require(amount > 0, "nothing-deposited", "No tokens arrived.")
        fits = self.state.held() + amount <= MAX_AMOUNT
        require(fits, "holds-too-much", "The market holds as much as it can count.")
        return self._log(Deposited(account=account, amount=amount))

    def deposit_with_permit(self, owner: Address, amount: int, permitted: bool, at: int) -> list[MarketEvent]:
        """`permitted`: the permit is the owner's, or the token's allowance is that amount already."""
        self._not_paused(at)
        require(permitted, "no-permit", "The token takes no such permit of the owner.")
        return self.deposit(owner, amount, at)

    def withdraw(self, account: Address, amount: int) -> list[MarketEvent]:
        return self._pay_out(account, account, amount)

    def withdraw_signed(self, item: Withdrawal, authentic: bool, at: int) -> list[MarketEvent]:
        """Delivered by anybody; `authentic`: the signature is by the account itself."""
        require(item.to != NOBODY, "no-receiver", "The money would go to nobody.")
        require(at <= item.deadline, "withdrawal-expired", "The withdrawal's deadline has passed.")
        used = item.nonce in self.state.nonces.get(item.account, ())
        require(not used, "nonce-used", "The nonce was used or cancelled.")
        require(authentic, "withdrawal-signature", "The signature is not the account's.")
        self._require_payable(item.account, item.amount)
        word, place = divmod(item.nonce, 256)
        spent = self._log(NoncesCancelled(account=item.account, word=word, mask=1 << place))
        return spent + self._pay_out(item.account, item.to, item.amount)

    def _require_payable(self, account: Address, amount: int) -> None:
        require(amount > 0, "nothing-to-withdraw", "The amount is zero.")
        enough = self.state.balances.get(account, 0) >= amount
        require(enough, "balance-too-small", "The free balance is below the amount.")

    def _pay_out(self, account: Address, to: Address, amount: int) -> list[MarketEvent]:
        self._require_payable(account, amount)
        return self._log(Withdrawn(account=account, to=to, amount=amount))

    def stake(self, account: Address, amount: int) -> list[MarketEvent]:
        require(amount > 0, "nothing-staked", "The amount is zero.")
        enough = self.state.balances.get(account, 0) >= amount
        require(enough, "balance-too-small", "The free balance is below the amount.")
        return self._log(Staked(account=account, amount=amount))

    def request_unstake(self, account: Address, amount: int, at: int) -> list[MarketEvent]:
        """The amount leaves the free stake at once; the clock of all that is queued starts again."""
        require(amount > 0, "nothing-unstaked", "The amount is zero.")
        enough = self.state.stakes.get(account, 0) >= amount
        require(enough, "stake-too-small", "The free stake is below the amount.")
        unlock_at = at + self.policy.unstake_delay
        return self._log(UnstakeQueued(account=account, amount=amount, unlock_at=unlock_at))

    def finish_unstake(self, account: Address, at: int) -> list[MarketEvent]:
        """By anybody: all that the account queued moves to its balance."""
        amount, unlock_at = self.state.unstaking.get(account, (0, 0))
        require(amount > 0, "nothing-queued", "The account has asked for no stake back.")
        require(at >= unlock_at, "still-locked", "The stake's delay has not passed.")
        return self._log(Unstaked(account=account, amount=amount))

    def pause(self, caller: Address, at: int) -> list[MarketEvent]:
        self._require_guardian(caller)
        rested = at >= self.state.paused_until + PAUSE_SECONDS
        require(rested, "paused-lately", "The last pause is not long enough ago.")
        return self._log(Paused(until=at + PAUSE_SECONDS))

    def unpause(self, caller: Address, at: int) -> list[MarketEvent]:
        self._require_guardian(caller)
        require(at < self.state.paused_until, "not-paused", "The market is not paused.")
        return self._log(Unpaused(guardian=caller), at)

    def renounce_guardian(self, caller: Address) -> list[MarketEvent]:
        self._require_guardian(caller)
        return self._log(GuardianRenounced(guardian=caller))

    def _require_guardian(self, caller: Address) -> None:
        guardian = self.state.guardian
        require(NOBODY != caller == guardian, "not-the-guardian", "The caller is not it.")
