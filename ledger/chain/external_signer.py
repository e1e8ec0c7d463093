"""Why a long-lived key need not be on this machine: another process holds it and signs what it is shown.

It speaks the JSON-RPC of Consensys Web3Signer in its eth1 mode (`eth_accounts`, `eth_signTransaction`,
`eth_signTypedData`), and falls back to the method name of wallets, `eth_signTypedData_v4`. Such a signer
can apply rules of its own, so it is never given a bare digest. Nothing that it answers is believed: every
signature is recovered, every transaction compared with the fields that were asked for.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import rlp

from ledger.chain.external_signer_values import transaction_plain, typed_plain, typed_text
from ledger.chain.keys import SignedTransaction, UnsignedTransaction
from ledger.chain.signatures import check_signed_by
from ledger.chain.typed_data import TypedMessage, keccak
from ledger.market.errors import Rejected, Unavailable
from ledger.market.identity import Address, text

TIMEOUT_SECONDS: Final = (3.0, 15.0)
"""to connect; to answer, where a person or a hardware module may have to agree"""
_UNKNOWN_METHOD: Final = -32601
_ANSWER_BYTES: Final = 1 << 20
_TYPE: Final = b"\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalAccount:
    """Which account of which signer: the URL of its JSON-RPC, and the address."""

    url: str
    account: Address


class ExternalSigner:
    """One account of a signer at `url`; threads may share it. `Unavailable` "signer-unreachable" where it
    does not answer in time, `Rejected` where it refuses or its answer is not what was asked for."""

    def __init__(self, url: str, address: Address, *, timeout: tuple[float, float] = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Rejected("malformed-url", "The signer's URL is not one of HTTP.", "Give http://host:port.")
        self.address = address
        self._url = url
        self._shown = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._timeout = timeout
        self._session = requests.Session()
        self._is_wallet = False

    def __repr__(self) -> str:
        return f"ExternalSigner({text(self.address)} at {self._shown})"

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def check(self) -> None:
        """`Rejected` "unknown-signer-account" where the signer does not hold the account."""
        found = self._ask("eth_accounts", [])
        accounts = [str(one).lower() for one in found] if isinstance(found, list) else []
        if text(self.address) not in accounts:
            raise Rejected(
                "unknown-signer-account",
                f"The signer at {self._shown} does not hold {text(self.address)}.",
                "Load the key there, or name one of its accounts.",
                accounts=accounts[:20],
            )

    def sign(self, digest: bytes) -> bytes:
        """Always `Rejected` "blind-signature"."""
        raise Rejected(
            "blind-signature",
            "An external signer signs messages and transactions, not a bare digest.",
            "Use a keystore for this.",
        )

    def sign_typed(self, message: TypedMessage) -> bytes:
        """The signature of typed data, recovered before it is returned."""
        return self._checked_signature(self._signed_typed(message), message.digest)

    def sign_transaction(self, fields: UnsignedTransaction) -> SignedTransaction:
        """The signed bytes, compared with `fields` before they are returned."""
        answer = self._ask("eth_signTransaction", [transaction_plain(self.address, fields)])
        raw = _bytes(answer.get("raw") if isinstance(answer, dict) else answer)
        self._check_transaction(raw, fields)
        return SignedTransaction(raw=raw, hash=keccak(raw))

    def _signed_typed(self, message: TypedMessage) -> Any:  # noqa: ANN401 - checked by the caller
        """Web3Signer takes the data as one JSON text; what refuses that is asked as a wallet, with an
        object, and its first word stands where it knows no such method."""
        as_object: list[object] = [text(self.address), typed_plain(message)]
        if self._is_wallet:
            return self._ask("eth_signTypedData_v4", as_object)
        try:
            return self._ask("eth_signTypedData", [text(self.address), typed_text(message)])
        except Rejected as refusal:
            try:
                answer = self._ask("eth_signTypedData_v4", as_object)
            except _UnknownMethod:
                raise refusal from None
        self._is_wallet = True
        return answer

    def _checked_signature(self, answer: object, digest: bytes) -> bytes:
        raw = _bytes(answer)
        parity = raw[64] % 27 if len(raw) == 65 else -1
        if parity not in (0, 1) or raw[32] >> 7:
            raise self._wrong("is no signature of 65 bytes with s in its lower half")
        compact = raw[:32] + bytes([raw[32] | parity << 7]) + raw[33:64]
        self._check_signed(digest, compact)
        return compact

    def _check_signed(self, digest: bytes, compact: bytes) -> None:
        try:
            check_signed_by(self.address, digest, compact)
        except Rejected as exc:
            raise self._wrong(f"is not signed by {text(self.address)} over what was sent") from exc

    def _check_transaction(self, raw: bytes, fields: UnsignedTransaction) -> None:
        """The answer must be the very bytes that our fields and its signature make."""
        wanted = _payload(fields)
        try:
            parts = rlp.decode(raw[1:])
            v, r, s = (int.from_bytes(part, "big") for part in parts[9:])
        except (rlp.exceptions.RLPException, TypeError, ValueError) as exc:
            raise self._wrong("is no EIP-1559 transaction") from exc
        if v not in (0, 1) or s >> 255 or raw != _TYPE + rlp.encode([*wanted, v, r, s]):
            raise self._wrong("is a transaction other than the one that was asked for")
        compact = r.to_bytes(32, "big") + (v << 255 | s).to_bytes(32, "big")
        self._check_signed(keccak(_TYPE + rlp.encode(wanted)), compact)

    def _ask(self, method: str, params: list[object]) -> Any:  # noqa: ANN401 - whatever the signer says
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            answer = self._session.post(
                self._url, json=question, timeout=self._timeout, allow_redirects=False
            )
            plain = answer.json() if len(answer.content) <= _ANSWER_BYTES else None
        except (requests.RequestException, ValueError) as exc:
            # The vendor's text holds the URL, and with it a password that the URL may hold.
            raise self._unreachable(type(exc).__name__) from None
        if not isinstance(plain, dict) or ("result" not in plain and "error" not in plain):
            raise self._unreachable(f"HTTP {answer.status_code}")
        if plain.get("error") is not None:
            raise self._refused(plain["error"])
        return plain["result"]

    def _unreachable(self, cause: str) -> Unavailable:
        return Unavailable(
            "signer-unreachable",
            f"The signer at {self._shown} does not answer as JSON-RPC ({cause}).",
            "Check that it runs and that the URL is right; nothing is lost meanwhile.",
        )

    def _refused(self, error: object) -> Rejected:
        fields = error if isinstance(error, dict) else {"message": error}
        kind = _UnknownMethod if fields.get("code") == _UNKNOWN_METHOD else Rejected
        return kind(
            "signer-refused",
            f"The signer at {self._shown} refused: {str(fields.get('message', ''))[:200].rstrip('.')}.",
            f"Look at its log, and whether it holds {text(self.address)}.",
        )

    def _wrong(self, what: str) -> Rejected:
        return Rejected(
            "signer-answer",
            f"What the signer at {self._shown} answered {what}.",
            "Check the signer's version, its chain id and its keys.",
        )


class _UnknownMethod(Rejected):
    """The signer has no method of that name."""


def _bytes(answer: object) -> bytes:
    """The bytes of a hexadecimal answer, none for anything else."""
    if not isinstance(answer, str) or answer[:2] != "0x":
        return b""
    try:
        return bytes.fromhex(answer[2:])
    except ValueError:
        return b""


def _payload(fields: UnsignedTransaction) -> list[int | bytes | list[object]]:
    """EIP-1559's members in their order, without an access list."""
    one = fields
    fees = [one.chain_id, one.nonce, one.tip, one.max_fee, one.gas]
    return [*fees, bytes(one.to), one.value, one.data, []]
