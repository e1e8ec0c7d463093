"""Why the follower and the outbox agree on what can still vanish: finality is asked for in one place.

An endpoint without the `finalized` tag (a development chain, some side chains) is given a depth instead.
"""

from typing import Final, Literal, Protocol

from ledger.market.errors import LostRace, Rejected
from ledger.market.events import BlockRef

ASSUMED_FINALITY: Final = 64
"""blocks behind the head that count as final where an endpoint has no `finalized` tag"""


class FinalitySource(Protocol):
    """What is asked of a chain."""

    def block(self, which: Literal["finalized"]) -> BlockRef: ...


def final_number(source: FinalitySource, head: BlockRef) -> int:
    """The number of the newest block that no reorganisation takes back; 0 on a chain that is too young."""
    try:
        return source.block("finalized").number
    except (LostRace, Rejected):
        return max(0, head.number - ASSUMED_FINALITY)
