"""Draw: in which order a published seed ranks offers, so that anybody can repeat the choice of replicas.

Replicas are worth something only where their providers do not know each other, so neither price nor the
matcher's liking may choose them: the seed is logged on chain with the leases (`ReplicasOpened`), and
whoever has the offers that were eligible draws the same providers again.
"""

from collections.abc import Iterable
from hashlib import sha256

from ledger.market.identity import OfferId


def ranked(seed: bytes, offers: Iterable[OfferId]) -> list[OfferId]:
    """Each offer once, by the SHA-256 of seed and offer id, lowest first; the given order is of no effect."""
    return sorted(set(offers), key=lambda offer: (sha256(seed + offer).digest(), offer))
