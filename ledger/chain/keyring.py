"""Why a new key does not strand what the old one began: until that has ended, both are at hand.

Leases name their signer, bids their matcher, transactions their sender. A party that changed its key signs
new things with the current one, and goes on with the former one where it is named.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.chain.keys import Signer
from ledger.market.identity import Address
from ledger.market.instructions import ContinueLease, Instruction, OpenGang, OpenLease


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """One party's keys; `former` ones are kept for what names them."""

    current: Signer
    former: tuple[Signer, ...] = ()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The accounts, the current one first."""
        return tuple(dict.fromkeys(key.address for key in self.all()))

    def all(self) -> tuple[Signer, ...]:
        """The current key, then the former ones."""
        return (self.current, *self.former)

    def holding(self, account: Address) -> Signer | None:
        """The key of an account; None where it is another party's."""
        return next((key for key in self.all() if key.address == account), None)

    def sender_of(self, wish: Instruction) -> Address:
        """Which of the accounts has to send it: the matcher that a bid names, else the current one."""
        if isinstance(wish, OpenLease | OpenGang | ContinueLease):
            named = wish.signed.bid.matcher
            return named if self.holding(named) is not None else self.current.address
        return self.current.address


def keyring(current: Signer, former: Iterable[Signer] = ()) -> Keyring:
    """The keys of one party, each account once."""
    others = {key.address: key for key in former if key.address != current.address}
    return Keyring(current=current, former=tuple(others.values()))
