"""Who is calling: a request is signed as EIP-712 `Request`, so that no password and no session exists.

The signature covers method, target (path and query), body hash, a nonce that serves once and a deadline
at most five minutes ahead. Nonces are remembered in memory until their deadline; after a restart of
the node a replay inside that window is harmless, since every call that acts is idempotent.
"""

import threading
from dataclasses import dataclass

from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, keccak, request_digest
from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text, text

MOST_AHEAD_SECONDS = 300


class Unauthenticated(Rejected):
    """The request's signature does not stand."""

    http_status = 401


class Forbidden(Rejected):
    """The caller is known, but this is not theirs to do."""

    http_status = 403

    def __init__(self, caller: Address, needed: str) -> None:
        super().__init__(
            "not-yours", f"{text(caller)} is not {needed}.", f"Sign the request with the key of {needed}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The four header or query values of a signed request, as they came."""

    address: str
    nonce: str
    deadline: str
    signature: str


class Authentication:
    """Checks signed requests of one market; holds the nonces that are spent."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._spent: dict[tuple[Address, int], int] = {}
        self._lock = threading.Lock()

    def caller(self, given: Credentials, method: str, target: str, body: bytes, at: int) -> Address:
        """The account that signed this request; `Unauthenticated` with the reason otherwise."""
        if not all((given.address, given.nonce, given.deadline, given.signature)):
            raise Unauthenticated(
                "unsigned-request", "The request is not signed.", "Sign it with your wallet's key."
            )
        if not (given.nonce.isdecimal() and given.deadline.isdecimal() and len(given.nonce) <= 20):
            raise Unauthenticated(
                "malformed-credentials", "Nonce or deadline is not a number.", "Give decimal numbers."
            )
        nonce, deadline = int(given.nonce), int(given.deadline)
        self._check_time(deadline, at)
        address = Address(from_text(given.address, 20))
        digest = request_digest(self._domain, method, target, keccak(body), nonce, deadline)
        if recover(digest, from_text(given.signature, 64)) != address:
            raise Unauthenticated(
                "bad-signature",
                f"The signature is not one of {text(address)} for this request.",
                "Sign method, target, body, nonce and deadline with the market's EIP-712 domain.",
            )
        self._spend(address, nonce, deadline, at)
        return address

    @staticmethod
    def _check_time(deadline: int, at: int) -> None:
        if deadline < at:
            raise Unauthenticated(
                "request-expired",
                f"The request's deadline {deadline} has passed; the node's time is {at}.",
                "Sign it again; if this repeats, set your clock.",
                time=at,
            )
        if deadline > at + MOST_AHEAD_SECONDS:
            raise Unauthenticated(
                "clock-skewed",
                f"The deadline {deadline} is more than {MOST_AHEAD_SECONDS} s ahead of the node's time {at}.",
                "Set your clock.",
                time=at,
            )

    def _spend(self, address: Address, nonce: int, deadline: int, at: int) -> None:
        with self._lock:
            if (address, nonce) in self._spent:
                raise Unauthenticated(
                    "replayed-request", "The request's nonce was used before.", "Sign a new request."
                )
            if len(self._spent) > 10_000:
                self._spent = {key: until for key, until in self._spent.items() if until >= at}
            self._spent[(address, nonce)] = deadline
