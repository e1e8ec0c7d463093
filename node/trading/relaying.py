"""Relaying: an account without coin signs, and the node pays the gas of its deposits and withdrawals.

What is signed decides: the node can neither change an amount nor a receiver. A request is checked and
simulated before it is kept, so that the node pays for nothing that the contract refuses; it is kept as a
wish before it is answered, so that it survives the node. The same signed words are the same relay,
however often they are sent; one that failed may be sent again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ledger.books.attempts import newest_transaction
from ledger.books.books import Books
from ledger.books.rows import IntentRow
from ledger.chain.calls import Call
from ledger.chain.signatures import recover
from ledger.chain.typed_data import (
    Domain,
    TokenDomain,
    keccak,
    permit_digest,
    withdrawal_digest,
    words,
)
from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import NOBODY, Address, Digest, text
from ledger.market.instructions import Instruction, RelayDeposit, RelayWithdrawal
from ledger.market.outbox import IntentState
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal
from node.trading.pace import Pace

EACH_ACCOUNT = 6
ALL_ACCOUNTS = 120
"""relays within a minute"""
INCLUSION_SECONDS = 30
"""what is signed must be good for so much longer, or it may be mined too late"""


class RelayChain(Protocol):
    """What is asked of the chain; `ledger.chain.client.MarketClient` is one."""

    def token_domain(self) -> TokenDomain: ...

    def permit_nonce(self, owner: Address) -> int: ...

    def allowance(self, owner: Address) -> int: ...

    def nonce_used(self, account: Address, nonce: int) -> bool: ...

    def call_of(self, *wishes: Instruction) -> Call: ...

    def simulate(self, call: Call, sender: Address) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """Where a relay stands; `transaction` carries it, and `cause` says why it failed, "" otherwise."""

    id: Digest
    state: IntentState
    transaction: bytes | None
    cause: str


class Relaying:
    """Takes signed deposits and withdrawals of the market `domain`; `sender` pays the gas."""

    def __init__(self, books: Books, chain: RelayChain, domain: Domain, sender: Address) -> None:
        self._books = books
        self._chain = chain
        self._domain = domain
        self._sender = sender
        self._pace = Pace(EACH_ACCOUNT, ALL_ACCOUNTS)
        self._token: TokenDomain | None = None

    def deposit(self, signed: SignedPermit, at: int) -> Digest:
        """Keep a permit deposit; its relay's id. `Rejected` or `LostRace` where the chain would refuse."""
        signature = (signed.signature[:32], signed.signature[32:])
        name = _id(b"deposit", signed.owner, signed.amount, signed.deadline, *signature)
        wish = RelayDeposit(signed=signed)
        return self._keep(name, wish, signed.owner, lambda: self._check_permit(signed, at), at)

    def withdrawal(self, signed: SignedWithdrawal, at: int) -> Digest:
        """Keep a signed withdrawal; its relay's id. `Rejected` or `LostRace` where the chain would refuse."""
        name = withdrawal_digest(self._domain, signed.withdrawal)
        wish, account = RelayWithdrawal(signed=signed), signed.withdrawal.account
        return self._keep(name, wish, account, lambda: self._check_withdrawal(signed, name, at), at)

    def relay(self, name: Digest) -> Relayed | None:
        """Where the relay stands; None where this node took none of that id."""
        newest = self._newest(name)
        if newest is None:
            return None
        return Relayed(
            id=name,
            state=newest.state,
            transaction=newest_transaction(self._books, newest.id),
            cause=newest.detail if newest.state is IntentState.FAILED else "",
        )

    def _keep(
        self, name: Digest, wish: Instruction, account: Address, check: Callable[[], None], at: int
    ) -> Digest:
        newest = self._newest(name)
        if newest is not None and newest.state is not IntentState.FAILED:
            return name
        check()
        self._pace.take(account, at)
        self._simulate(wish)
        tries = 1 if newest is None else _tries(newest) + 1
        with self._books.transaction() as unit:
            unit.wish(_key(name, tries), wish, at)
        return name

    def _newest(self, name: Digest) -> IntentRow | None:
        """The newest try; each is named by its number."""
        newest = None
        while (
            known := self._books.queries.intent(_key(name, 1 if newest is None else _tries(newest) + 1))
        ) is not None:
            newest = known
        return newest

    def _check_permit(self, signed: SignedPermit, at: int) -> None:
        _check_common(signed.amount, signed.deadline, at)
        if self._chain.allowance(signed.owner) == signed.amount:
            return  # somebody else delivered the permit; the market takes what it allows
        nonce = self._chain.permit_nonce(signed.owner)
        self._token = self._token or self._chain.token_domain()
        digest = permit_digest(
            self._token,
            signed.owner,
            self._domain.market,
            signed.amount,
            nonce,
            signed.deadline,
        )
        if recover(digest, signed.signature) != signed.owner:
            raise Rejected(
                "bad-signature",
                f"The permit is not signed by {text(signed.owner)} with the token's nonce {nonce}.",
                "Sign it for this market, with the nonce that /v1/accounts shows.",
                permit_nonce=str(nonce),
            )

    def _check_withdrawal(self, signed: SignedWithdrawal, digest: Digest, at: int) -> None:
        order = signed.withdrawal
        _check_common(order.amount, order.deadline, at)
        if order.to == NOBODY:
            raise Rejected("no-receiver", "The withdrawal names no receiver.", "Name an account.")
        if recover(digest, signed.signature) != order.account:
            raise Rejected(
                "bad-signature",
                f"The withdrawal is not signed by {text(order.account)}.",
                "Sign it with the account's own key, for this chain and market; a delegate's does not do.",
            )
        if self._chain.nonce_used(order.account, order.nonce):
            raise LostRace(
                "nonce-used",
                f"The nonce {order.nonce} of {text(order.account)} has been used.",
                "Sign it with a fresh nonce, shared with the account's bids.",
            )

    def _simulate(self, wish: Instruction) -> None:
        """The contract's own answer; what it would refuse now is refused here, with its reason."""
        try:
            self._chain.simulate(self._chain.call_of(wish), self._sender)
        except Rejected as exc:
            reason = str(exc.facts.get("reason", exc.cause))
            raise Rejected(
                "relay-refused",
                f"The market would refuse it: {reason}.",
                "Look at the account's balance, the deadline and whether the market is paused.",
                reason=reason,
            ) from exc


def _check_common(amount: int, deadline: int, at: int) -> None:
    if amount == 0:
        raise Rejected("nothing-to-relay", "The amount is 0.", "Give an amount.")
    if deadline < at + INCLUSION_SECONDS:
        raise Rejected(
            "deadline-too-near",
            f"The deadline {deadline} leaves no time for a transaction; the node's time is {at}.",
            f"Sign it for at least {INCLUSION_SECONDS} s; if this repeats, set your clock.",
            time=at,
        )


def _id(kind: bytes, *parts: int | bytes) -> Digest:
    return Digest(keccak(words(keccak(kind), *parts)))


def _key(name: Digest, tries: int) -> str:
    return f"relay:{name.hex()}:{tries}"


def _tries(row: IntentRow) -> int:
    return int(row.key.rsplit(":", 1)[1])
