"""Names of things as bytes: one type per identifier, so that an offer's digest is never taken for a bid's.

Bytes inside, `0x…` only at the edges (HTTP, command line, logs). The digests are EIP-712 digests, made
by `ledger.chain`, since keccak-256 is not in the standard library.
"""

from typing import NewType

from ledger.market.errors import Rejected

Address = NewType("Address", bytes)
OfferId = NewType("OfferId", bytes)
BidId = NewType("BidId", bytes)
LeaseId = NewType("LeaseId", bytes)
Digest = NewType("Digest", bytes)

NOBODY = Address(bytes(20))
NO_DIGEST = Digest(bytes(32))


def address(raw: bytes) -> Address:
    """The 20 bytes of an account; anything else is `Rejected`."""
    if len(raw) != 20:
        raise Rejected("address-length", f"An address has {len(raw)} bytes.", "Give 20 bytes.")
    return Address(raw)


def digest(raw: bytes) -> Digest:
    """The 32 bytes of a keccak-256 value; anything else is `Rejected`."""
    if len(raw) != 32:
        raise Rejected("digest-length", f"A digest has {len(raw)} bytes.", "Give 32 bytes.")
    return Digest(raw)


def text(raw: bytes) -> str:
    """The `0x…` form, lower case; for logs, documents and HTTP, never for decisions."""
    return "0x" + raw.hex()


def from_text(value: str, length: int) -> bytes:
    """The bytes behind a `0x…` text of exactly `length` bytes; `Rejected` otherwise."""
    body = value[2:] if value[:2] in ("0x", "0X") else ""
    try:
        raw = bytes.fromhex(body)
    except ValueError:
        raw = b""
    if len(raw) != length or len(body) != 2 * length:
        raise Rejected(
            "malformed-hex",
            f"{value[:80]!r} is not 0x and {2 * length} hexadecimal digits.",
            "Copy the whole value, with its 0x.",
        )
    return raw
