"""Why a key held elsewhere is not asked for every page of a log: for a while it lets a session key sign.

A request to a node may be signed by a key drawn in this process, beside a grant by the account itself:
EIP-712 `Session(address account,address key,uint40 until)` in the market's domain. Such a key signs requests
alone; no bid, no receipt, no money. It is in memory only, and a grant is good for half a day at most.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ledger.chain.keys import LocalKey, SignedTransaction, Signer, UnsignedTransaction
from ledger.chain.signatures import recover
from ledger.chain.typed_data import REQUEST, Domain, TokenDomain, TypedMessage, session_message
from ledger.market.errors import Rejected
from ledger.market.identity import Address, Digest

LONGEST_SECONDS = 43_200
_RENEW_SECONDS = 3_600
_LATE_SECONDS = 300
"""a node's clock may be behind by so much"""
SIGNATURE_BYTES = 64
GRANTED_BYTES = SIGNATURE_BYTES + 20 + 5 + SIGNATURE_BYTES
"""signature of the request, session key, until, signature of the grant"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    domain: Domain | TokenDomain
    key: LocalKey
    until: int
    grant: bytes


class SessionSigner:
    """Signs requests with a session key that `holder` granted, everything else with `holder` itself.

    `clock` is in seconds since 1970, `draw` gives so many random bytes. Threads may share it.
    """

    def __init__(self, holder: Signer, clock: Callable[[], float], draw: Callable[[int], bytes]) -> None:
        self.address = holder.address
        self._holder = holder
        self._clock = clock
        self._draw = draw
        self._lock = threading.Lock()
        self._open: _Session | None = None

    def sign(self, digest: bytes) -> bytes:
        return self._holder.sign(digest)

    def sign_transaction(self, fields: UnsignedTransaction) -> SignedTransaction:
        return self._holder.sign_transaction(fields)

    def sign_typed(self, message: TypedMessage) -> bytes:
        """For a request `GRANTED_BYTES` long, else as `holder` signs it."""
        if message.type != REQUEST:
            return self._holder.sign_typed(message)
        session = self._session(message.domain)
        until = session.until.to_bytes(5, "big")
        return session.key.sign_typed(message) + session.key.address + until + session.grant

    def _session(self, domain: Domain | TokenDomain) -> _Session:
        with self._lock:
            found, at = self._open, int(self._clock())
            if found is None or found.domain != domain or found.until < at + _RENEW_SECONDS:
                found = self._open = self._granted(domain, at + LONGEST_SECONDS)
            return found

    def _granted(self, domain: Domain | TokenDomain, until: int) -> _Session:
        key = LocalKey(self._draw(32))
        grant = self._holder.sign_typed(session_message(domain, self.address, key.address, until))
        return _Session(domain=domain, key=key, until=until, grant=grant)


def requests_by_session(key: Signer, clock: Callable[[], float], draw: Callable[[int], bytes]) -> Signer:
    """The key with sessions for its requests, where it is held by somebody else; a key of this process as
    it is."""
    return key if isinstance(key, LocalKey) else SessionSigner(key, clock, draw)


def request_signer(domain: Domain, account: Address, digest: Digest, signature: bytes, at: int) -> Address:
    """Who vouches for a request that `account` is said to have made: the account that signed it, or that
    granted a session to the key which did. `Rejected` "bad-signature", or "session-over" by the node's
    clock `at`."""
    if len(signature) != GRANTED_BYTES:
        return recover(digest, signature)
    by, rest = signature[:SIGNATURE_BYTES], signature[SIGNATURE_BYTES:]
    key, until, grant = Address(rest[:20]), int.from_bytes(rest[20:25], "big"), rest[25:]
    if recover(digest, by) != key:
        raise Rejected("bad-signature", "The session's key did not sign the request.", "Sign it again.")
    if not at <= until <= at + LONGEST_SECONDS + _LATE_SECONDS:
        raise Rejected(
            "session-over",
            f"The session ends at {until}; the node's time is {at}.",
            f"Grant one of at most {LONGEST_SECONDS} s; if this repeats, set your clock.",
            time=at,
        )
    return recover(session_message(domain, account, key, until).digest, grant)
