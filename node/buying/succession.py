"""A wallet's move to a new key: what the old account holds goes over, what it began runs on under its name.

Each step looks at the chain and takes what is there, so that a move which was cut off is simply made again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.chain import calls
from ledger.chain.calls import Call
from ledger.chain.client import MarketClient
from ledger.chain.keys import Signer
from ledger.chain.wallet import Patience, send_and_wait, send_coin
from ledger.market.errors import Rejected
from ledger.market.identity import Address, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One step: what it did, and its transaction."""

    what: str
    transaction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """From the account of `key` to `heir`, at one market."""

    chain: MarketClient
    key: Signer
    heir: Address
    patience: Patience

    def run(self) -> Iterator[Moved]:
        """Void what the old key signed, then move balance, tokens and coin; a lease that is open goes on.

        `Rejected` "no-coin-for-gas" where the old account cannot pay for it.
        """
        yield self._sent("open bids and offers voided", calls.bump_epoch(self.chain.market))
        if balance := self.chain.balance_of(self.key.address):
            yield self._sent("balance withdrawn", calls.withdraw(self.chain.market, balance))
        if tokens := self.chain.token_balance(self.key.address):
            yield self._sent("tokens moved", calls.transfer(self.chain.token(), self.heir, tokens))
        mined = send_coin(self.chain, self.key, self.heir, self.patience)
        if mined is not None:
            yield Moved(what="coin moved", transaction=text(mined.transaction))

    def check_free(self, stake: int) -> None:
        """`Rejected` "stake-in-the-way" where the account is a provider's, whose stake cannot be moved."""
        if stake:
            raise Rejected(
                "stake-in-the-way",
                f"{text(self.key.address)} has stake, which no transaction moves to another account.",
                "Unstake first; or let a key that can be changed operate: `provider init --operator`.",
                stake=str(stake),
            )

    def _sent(self, what: str, call: Call) -> Moved:
        mined = send_and_wait(self.chain, self.key, call, self.patience)
        return Moved(what=what, transaction=text(mined.transaction))
