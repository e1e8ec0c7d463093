"""Why a private key never leaves this module: what signs is an object that answers with signatures only.

`Signer` is all that other parts may ask of a key, so that a signer outside can take its place
(`ledger.chain.external_signer`). Keys rest in keystore v3 files (Web3 Secret Storage), readable by their
owner alone; a key object cannot be written out, copied or shown.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from coincurve import PrivateKey
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from ledger.chain.private_files import read_private, write_once, write_over
from ledger.chain.signatures import ORDER, address_of
from ledger.chain.typed_data import TypedMessage
from ledger.market.errors import Rejected
from ledger.market.identity import Address, text

SCRYPT_COST = 1 << 14
"""about 50 ms to open; the attacker's cost that interactive use can bear (RFC 7914 §2)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedTransaction:
    """A call of a contract under EIP-1559; fees in wei per gas."""

    chain_id: int
    nonce: int
    to: Address
    data: bytes
    gas: int
    max_fee: int
    tip: int
    value: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """The bytes to send and the hash by which the chain will name them."""

    raw: bytes
    hash: bytes


class Signer(Protocol):
    """An account that signs."""

    @property
    def address(self) -> Address: ...

    def sign(self, digest: bytes) -> bytes:
        """64 bytes, EIP-2098, low s. `Rejected` "blind-signature" where the key signs only what it is shown:
        give the message (`sign_typed`) wherever there is one."""
        ...

    def sign_typed(self, message: TypedMessage) -> bytes:
        """The signature of the message's digest, as `sign` gives it."""
        ...

    def sign_transaction(self, fields: UnsignedTransaction) -> SignedTransaction: ...


class LocalKey:
    """A secp256k1 key in this process; its text form shows the address alone."""

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < ORDER:
            raise Rejected(
                "malformed-key",
                "The private key is not 32 bytes within the curve's order.",
                "Draw another.",
            )
        self._key = PrivateKey(secret)
        self.address = address_of(self._key.public_key)

    def __repr__(self) -> str:
        return f"LocalKey({text(self.address)})"

    def __reduce__(self) -> NoReturn:
        raise Rejected("key-stays", "A key is not copied or written out.", "Open its keystore where needed.")

    def sign_typed(self, message: TypedMessage) -> bytes:
        return self.sign(message.digest)

    def sign(self, digest: bytes) -> bytes:
        """The same for the same digest (RFC 6979)."""
        if len(digest) != 32:
            raise Rejected("digest-length", f"A digest has {len(digest)} bytes.", "Give 32 bytes.")
        signature = self._key.sign_recoverable(digest, hasher=None)
        parity_and_s = int.from_bytes(signature[32:64], "big") | signature[64] << 255
        return signature[:32] + parity_and_s.to_bytes(32, "big")

    def sign_transaction(self, fields: UnsignedTransaction) -> SignedTransaction:
        signed = Account.sign_transaction(
            {
                "type": 2,
                "chainId": fields.chain_id,
                "nonce": fields.nonce,
                "to": fields.to,
                "data": fields.data,
                "gas": fields.gas,
                "maxFeePerGas": fields.max_fee,
                "maxPriorityFeePerGas": fields.tip,
                "value": fields.value,
            },
            self._key.secret,
        )
        return SignedTransaction(raw=bytes(signed.raw_transaction), hash=bytes(signed.hash))

    def _keystore(self, password: str) -> dict[str, Any]:
        return dict(Account.encrypt(self._key.secret, password, kdf="scrypt", iterations=SCRYPT_COST))


def unsigned_of(raw: bytes) -> UnsignedTransaction:
    """What a signed EIP-1559 transaction says, without its signature; `Rejected` for other bytes."""
    try:
        fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        return UnsignedTransaction(
            chain_id=fields["chainId"],
            nonce=fields["nonce"],
            to=Address(bytes(fields["to"])),
            data=bytes(fields["data"]),
            gas=fields["gas"],
            max_fee=fields["maxFeePerGas"],
            tip=fields["maxPriorityFeePerGas"],
            value=fields["value"],
        )
    except Exception as exc:  # the decoders raise a dozen unrelated types for the same thing
        raise Rejected(
            "malformed-transaction", "The bytes are no EIP-1559 transaction.", "Sign it again."
        ) from exc


def create_keystore(path: Path, password: str, entropy: bytes) -> LocalKey:
    """A new key from 32 random bytes, stored under `path` (mode 0600); an existing file is `Rejected`."""
    key = LocalKey(entropy)
    write_once(path, json.dumps(key._keystore(password)).encode())
    return key


def open_keystore(path: Path, password: str) -> LocalKey:
    """The key in a keystore v3 file; `Rejected` for a missing, exposed or foreign file, or password."""
    content = read_private(path)
    try:
        stored = json.loads(content)
        mac = stored["crypto"]["mac"] if stored["version"] == 3 else None
    except (ValueError, KeyError, TypeError) as exc:
        raise _malformed(path) from exc
    if not isinstance(mac, str):
        raise _malformed(path)
    try:
        return LocalKey(bytes(Account.decrypt(stored, password)))
    except ValueError as exc:
        if "MAC" in str(exc):
            raise Rejected(
                "wrong-password", f"The password does not open {path}.", "Give the one it was made with."
            ) from exc
        raise _malformed(path) from exc
    except (KeyError, TypeError, NotImplementedError) as exc:
        raise _malformed(path) from exc


def change_password(path: Path, old: str, new: str) -> LocalKey:
    """Encrypt a stored key with another password; a crash leaves the file under one of the two."""
    key = open_keystore(path, old)
    write_over(path, json.dumps(key._keystore(new)).encode())
    return key


def _malformed(path: Path) -> Rejected:
    return Rejected("malformed-keystore", f"{path} is not a keystore of version 3.", "Restore the file.")
