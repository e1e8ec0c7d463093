"""Why the same document has the same hash everywhere: one canonical form, by RFC 8785.

The chain holds `document` and `job` as the keccak-256 of that form, so two spellings of one JSON value
must never differ.
"""

from typing import Any

import rfc8785
from eth_hash.auto import keccak

from ledger.market.errors import Rejected
from ledger.market.identity import Digest


def canonical(plain: Any) -> bytes:  # noqa: ANN401 - any JSON value; the library refuses what is none
    """The RFC 8785 form of a JSON value; `Rejected` for what has none (NaN, large integers, bytes)."""
    try:
        return rfc8785.dumps(plain)
    except (rfc8785.CanonicalizationError, RecursionError) as exc:
        raise Rejected(
            "not-canonical",
            f"The document has no canonical JSON form ({type(exc).__name__}).",
            "Use texts, lists, mappings and integers below 2^53.",
        ) from exc


def document_hash(plain: Any) -> Digest:  # noqa: ANN401 - as above
    """keccak-256 of the canonical form; what an offer's `document` and a bid's `job` say."""
    return Digest(bytes(keccak(canonical(plain))))
