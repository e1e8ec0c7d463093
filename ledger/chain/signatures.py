"""Why nobody can pass off a second signature for the first: only the one canonical form is accepted.

64 bytes as EIP-2098 packs them (r, then s with the parity of y in its top bit), s in the lower half of
the curve's order (EIP-2), as the contract asks too. Recovery is libsecp256k1's, through coincurve.
"""

from coincurve import PublicKey

from ledger.chain.typed_data import keccak
from ledger.market.errors import Rejected
from ledger.market.identity import Address

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_PARITY = 1 << 255


def recover(digest: bytes, signature: bytes) -> Address:
    """Who signed `digest`; `Rejected` "bad-signature" where the 64 bytes are no canonical signature.

    Another digest gives another address, not an error: compare it with the one expected.
    """
    if len(digest) != 32 or len(signature) != 64:
        raise _bad(f"A digest of {len(digest)} and a signature of {len(signature)} bytes do not fit.")
    parity_and_s = int.from_bytes(signature[32:], "big")
    s = parity_and_s & (_PARITY - 1)
    if s > ORDER // 2:
        raise _bad("The signature's s is in the upper half of the curve's order.")
    expanded = signature[:32] + s.to_bytes(32, "big") + bytes([parity_and_s >> 255])
    try:
        return address_of(PublicKey.from_signature_and_message(expanded, digest, hasher=None))
    except Exception as exc:  # coincurve raises plain ValueError and Exception alike
        raise _bad("The signature fits no key.") from exc


def check_signed_by(account: Address, digest: bytes, signature: bytes) -> None:
    """`Rejected` "bad-signature" unless `account` signed `digest`."""
    if recover(digest, signature) != account:
        raise _bad("The signature was made by another key, or over other values.")


def address_of(key: PublicKey) -> Address:
    """The account of a public key: the last 20 bytes of keccak over its two coordinates."""
    return Address(keccak(key.format(compressed=False)[1:])[-20:])


def _bad(cause: str) -> Rejected:
    return Rejected("bad-signature", cause, "Sign the same values again with the account's own key.")
