"""Who is calling: a request is signed as EIP-712 `Request`, so that no password and no session exists.

The signature covers method, target (path and query), body hash, a nonce that serves once and a deadline
at most five minutes ahead. An account whose key is held elsewhere may let a session's key sign: the
signature is then followed by that key, the session's end and the grant (`ledger.chain.sessions`). Nonces are
remembered in memory until their deadline; after a restart of the node a replay inside that window is
harmless, since every call that acts is idempotent.
"""

import re
import threading
from dataclasses import dataclass

from ledger.chain.sessions import GRANTED_BYTES, SIGNATURE_BYTES, request_signer
from ledger.chain.typed_data import Domain, keccak, request_digest
from ledger.market.errors import Rejected
from ledger.market.identity import Address, Digest, from_text, text

MOST_AHEAD_SECONDS = 300
_FIRST_PRUNING = 10_000
_NUMBER = re.compile(r"[0-9]{1,20}")


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
        self._most = _FIRST_PRUNING
        self._lock = threading.Lock()

    def caller(self, given: Credentials, method: str, target: str, body: bytes, at: int) -> Address:
        """The account that signed this request; `Unauthenticated` with the reason otherwise."""
        if not all((given.address, given.nonce, given.deadline, given.signature)):
            raise Unauthenticated(
                "unsigned-request", "The request is not signed.", "Sign it with your wallet's key."
            )
        if not (_NUMBER.fullmatch(given.nonce) and _NUMBER.fullmatch(given.deadline)):
            raise Unauthenticated(
                "malformed-credentials", "Nonce or deadline is not a number.", "Give decimal numbers."
            )
        nonce, deadline = int(given.nonce), int(given.deadline)
        self._check_time(deadline, at)
        digest = request_digest(self._domain, method, target, keccak(body), nonce, deadline)
        address = _signer(self._domain, given, digest, at)
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
            if len(self._spent) > self._most:
                self._spent = {key: until for key, until in self._spent.items() if until >= at}
                self._most = max(_FIRST_PRUNING, 2 * len(self._spent))
            self._spent[(address, nonce)] = deadline


def _signer(domain: Domain, given: Credentials, digest: Digest, at: int) -> Address:
    """The account that is given and that signed `digest`, or granted a session to the key that did."""
    granted = len(given.signature) == 2 + 2 * GRANTED_BYTES
    try:
        address = Address(from_text(given.address, 20))
        signature = from_text(given.signature, GRANTED_BYTES if granted else SIGNATURE_BYTES)
        signer = request_signer(domain, address, digest, signature, at)
    except Rejected as exc:
        raise Unauthenticated(exc.code, exc.cause, exc.remedy) from exc
    if signer != address:
        raise Unauthenticated(
            "bad-signature",
            f"The signature is not one of {text(address)} for this request.",
            "Sign method, target, body, nonce and deadline with the market's EIP-712 domain.",
        )
    return address
