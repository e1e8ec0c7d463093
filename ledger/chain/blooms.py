"""Why a block without an answer is not mistaken for one without events: its header says what it may hold.

Several nodes behind one endpoint are not equally far. One that knows a block's header and not yet its
receipts answers a question for logs with none; the bloom filter in the header gives it away.
"""

from ledger.chain.typed_data import keccak
from ledger.market.identity import Address

_BITS = 2_048


def may_hold(bloom: bytes, address: Address) -> bool:
    """Whether a block with this `logsBloom` can hold a log of the address (yellow paper, §4.3.1); a filter
    may say so wrongly, never deny it wrongly."""
    hashed, bits = keccak(address), int.from_bytes(bloom, "big")
    places = (int.from_bytes(hashed[at : at + 2], "big") % _BITS for at in (0, 2, 4))
    return all(bits >> place & 1 for place in places)
