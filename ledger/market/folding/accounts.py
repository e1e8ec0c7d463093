"""What the events say of accounts, so that each one's money, stake and keys are known without a call.

Balances, free and queued stake, epochs, used nonces and delegations; amounts are base units.
"""

from dataclasses import dataclass, field

from ledger.market.delegation import Delegation, Role
from ledger.market.events import DelegateSet, UnstakeQueued
from ledger.market.folding.contradiction import contradiction
from ledger.market.identity import Address, text


@dataclass(slots=True, kw_only=True)
class AccountsFold:
    """`stakes` are free stakes; `unstaking` is what each account queued and when it may have it;
    `unpaid_fees` is owed to matchers between a receipt and the `FeePaid` of the same call."""

    balances: dict[Address, int] = field(default_factory=dict)
    stakes: dict[Address, int] = field(default_factory=dict)
    unstaking: dict[Address, tuple[int, int]] = field(default_factory=dict)
    unpaid_fees: dict[Address, int] = field(default_factory=dict)
    epochs: dict[Address, int] = field(default_factory=dict)
    nonces: dict[Address, set[int]] = field(default_factory=dict)
    delegations: dict[tuple[Address, Address], Delegation] = field(default_factory=dict)

    def _credit(self, account: Address, amount: int) -> None:
        balance = self.balances.get(account, 0) + amount
        if balance < 0:
            contradiction("negative-balance", f"The events leave {text(account)} with {balance} base units.")
        self.balances[account] = balance

    def _add_stake(self, account: Address, amount: int) -> None:
        stake = self.stakes.get(account, 0) + amount
        if stake < 0:
            contradiction("negative-stake", f"The events leave {text(account)} a free stake of {stake}.")
        self.stakes[account] = stake

    def _queue(self, event: UnstakeQueued) -> None:
        self._add_stake(event.account, -event.amount)
        queued, _ = self.unstaking.get(event.account, (0, 0))
        self.unstaking[event.account] = (queued + event.amount, event.unlock_at)

    def _unstake(self, account: Address, amount: int) -> None:
        queued, _ = self.unstaking.pop(account, (0, 0))
        if queued != amount:
            contradiction("unstake-mismatch", f"{text(account)} queued {queued} and got {amount} back.")
        self._credit(account, amount)

    def _owe_fee(self, matcher: Address, fee: int) -> None:
        if fee:
            self.unpaid_fees[matcher] = self.unpaid_fees.get(matcher, 0) + fee

    def _pay_fee(self, matcher: Address, amount: int) -> None:
        owed = self.unpaid_fees.pop(matcher, 0)
        if owed != amount:
            contradiction("fee-mismatch", f"{text(matcher)} got {amount} in fees where {owed} was due.")
        self._credit(matcher, amount)

    def _spend_nonces(self, account: Address, word: int, mask: int) -> None:
        spent = {word * 256 + i for i in range(256) if mask >> i & 1}
        self.nonces.setdefault(account, set()).update(spent)

    def _delegate(self, event: DelegateSet) -> None:
        if not event.roles:
            self.delegations.pop((event.account, event.key), None)
            return
        self.delegations[event.account, event.key] = Delegation(
            key=event.key, roles=Role(event.roles), allowance=event.allowance, until=event.until
        )
