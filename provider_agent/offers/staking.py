"""Stake behind the offers: without it no lease opens on them, so the agent sees to it at its start.

What a lease locks is a share of its escrow. By default the agent stakes what its whole capacity, taken for
an hour, would lock. It stakes what the market holds of its earnings first, then its tokens; it tops up once
a start, never behind its owner's back. Where the owner's key lies elsewhere it only says what is missing.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from ledger.chain import calls
from ledger.chain.client import MarketClient
from ledger.chain.keys import Signer
from ledger.chain.wallet import Patience, send_and_wait, wait_for
from ledger.market.delegation import Role
from ledger.market.errors import MarketError, Rejected
from ledger.market.identity import Address, text
from ledger.market.policy import Policy
from provider_agent.lifecycle.lease_state import LeaseState
from provider_agent.offers.lending import Loan, hourly_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """An account's stake in base units: free for new leases, locked by open ones, and asked back (all of
    it to be had from `unlock_at` on, in seconds)."""

    free: int = 0
    locked: int = 0
    unstaking: int = 0
    unlock_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose stake it is, which key acts, and the amount in tokens that the owner wrote down, "" for the
    default."""

    provider: Address
    key: Signer
    wanted: str
    policy: Policy


class Staking:
    """One provider's stake; `leases` are those that it holds, the clock of `patience` is that of 1970."""

    def __init__(
        self,
        account: Account,
        chain: MarketClient,
        leases: Iterable[LeaseState],
        patience: Patience,
    ) -> None:
        self._account = account
        self._chain = chain
        self._leases = leases
        self._patience = patience
        self._topped_up = False
        self.stakes = Stakes()

    async def see_to_it(self, loan: Loan, sending: asyncio.Lock) -> None:
        """Top up once, then look; `sending` keeps others from sending of the same account meanwhile.

        `Rejected` "stake-low" where the offer could need more than is there.
        """
        needed = hourly_lock(loan, self._account.policy)
        locked = sum(self._account.policy.lock_for(one.escrow) for one in self._leases if one.open)
        self.stakes = await asyncio.to_thread(self._look, locked)
        if self._account.provider == self._account.key.address:
            async with sending:
                if not self._topped_up:
                    await asyncio.to_thread(self._top_up, needed)
                self._topped_up = True
            self.stakes = await asyncio.to_thread(self._look, locked)
        await asyncio.to_thread(self._check, needed)

    async def check_authorised(self) -> None:
        """`Rejected` "not-authorised" where the owner has not let this agent's key act."""
        provider, key = self._account.provider, self._account.key.address
        if provider == key:
            return
        delegation = await asyncio.to_thread(self._chain.delegation_of, provider, key)
        if not delegation.may(Role.OPERATE, int(self._patience.clock())):
            raise not_authorised(provider, key)

    def _look(self, locked: int) -> Stakes:
        provider = self._account.provider
        unstaking, unlock_at = self._chain.unstaking_of(provider)
        free = self._chain.stake_of(provider)
        return Stakes(free=free, locked=locked, unstaking=unstaking, unlock_at=unlock_at)

    def _top_up(self, needed: int) -> None:
        there = self.stakes.free + self.stakes.locked + self.stakes.unstaking
        missing = self._wanted(needed) - there
        if missing <= 0:
            return
        chain, provider = self._chain, self._account.provider
        lacking = missing - chain.balance_of(provider)
        if lacking > chain.token_balance(provider):
            self._ask_faucet()
        affordable = chain.balance_of(provider) + chain.token_balance(provider)
        if amount := min(missing, affordable):
            raise_stake(chain, self._account.key, amount, self._patience)

    def _wanted(self, needed: int) -> int:
        if not self._account.wanted:
            return needed
        return base_units(self._account.wanted, self._chain.decimals())

    def _ask_faucet(self) -> None:
        # Only an embedded grid has one, and it gives only so much.
        with contextlib.suppress(Rejected):
            for transaction in self._chain.faucet(self._account.provider):
                wait_for(self._chain, transaction, self._patience)

    def _check(self, needed: int) -> None:
        there = self.stakes.free + self.stakes.locked
        if there < needed:
            raise stake_low(self.stakes, needed, self._chain.decimals())


def raise_stake(chain: MarketClient, key: Signer, amount: int, patience: Patience) -> list[bytes]:
    """Stake `amount` base units of the key's balance at the market, and of its tokens where that is not
    enough; the transactions. `Rejected` "insufficient-tokens" where both are not."""
    account = key.address
    lacking = max(0, amount - chain.balance_of(account))
    held = chain.token_balance(account)
    if held < lacking:
        raise Rejected(
            "insufficient-tokens",
            f"{text(account)} lacks {lacking - held} base units for a stake of {amount}.",
            "Send it tokens, or stake less.",
            lacking=str(lacking - held),
        )
    steps = [calls.stake(chain.market, amount)]
    if lacking:
        steps.insert(0, calls.deposit(chain.market, lacking))
        if chain.allowance(account) < lacking:
            steps.insert(0, calls.approve(chain.token(), chain.market, lacking))
    return [send_and_wait(chain, key, step, patience).transaction for step in steps]


def stake_low(stakes: Stakes, needed: int, decimals: int) -> MarketError:
    """What an owner reads whose offer promises more than its stake can carry."""
    free, whole = tokens(stakes.free, decimals), tokens(needed, decimals)
    short = tokens(needed - stakes.free - stakes.locked, decimals)
    return Rejected(
        "stake-low",
        f"The free stake is {free}; leases of the whole capacity for an hour lock {whole} in all.",
        f"Run bingwang provider stake {short}; until then larger leases go elsewhere.",
    )


def not_authorised(owner: Address, key: Address) -> MarketError:
    """What an owner reads whose cold key has not let this agent's key act."""
    return Rejected(
        "not-authorised",
        f"{text(owner)} has not let {text(key)} act as its provider.",
        f"With the owner's wallet, run bingwang wallet delegate add {text(key)} --operate.",
    )


def base_units(written: str, decimals: int) -> int:
    """Base units of an amount in tokens that the settings have checked; what is finer is dropped."""
    return int(Decimal(written) * 10**decimals)


def tokens(amount: int, decimals: int) -> str:
    """Base units as tokens, for people."""
    return f"{Decimal(amount) / 10**decimals:f}"
