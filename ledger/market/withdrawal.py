"""Withdrawal: a signed order to pay an account's free balance out, which anybody may deliver."""

from dataclasses import dataclass

from ledger.market.identity import Address
from ledger.market.ranges import exact_bytes, unsigned


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """The signed type `Withdraw` of PROTOCOL: base units, a nonce shared with the account's bids, and the
    last second at which it counts."""

    account: Address
    to: Address
    amount: int
    nonce: int
    deadline: int

    def __post_init__(self) -> None:
        for name in ("account", "to"):
            exact_bytes(name, getattr(self, name), 20)
        unsigned("amount", self.amount, 256)
        unsigned("nonce", self.nonce, 64)
        unsigned("deadline", self.deadline, 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWithdrawal:
    """A withdrawal with its account's 64-byte signature (EIP-2098)."""

    withdrawal: Withdrawal
    signature: bytes

    def __post_init__(self) -> None:
        exact_bytes("signature", self.signature, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPermit:
    """ERC-2612: the owner lets the market take `amount` base units of the token, until `deadline`."""

    owner: Address
    amount: int
    deadline: int
    signature: bytes

    def __post_init__(self) -> None:
        exact_bytes("owner", self.owner, 20)
        exact_bytes("signature", self.signature, 64)
        unsigned("amount", self.amount, 256)
        unsigned("deadline", self.deadline, 256)
