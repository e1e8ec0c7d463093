"""Wishing again: a wish that took no effect is repeated, later each time, and never beside itself.

A wish is known by its name; the tries of one name are numbered, so that the outbox's memory of an earlier
try answers for it after a restart too, and a reorganisation that takes an effect back is made good.
"""

from ledger.books.books import Books
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState

MARGIN_SECONDS = 2
"""the chain's clock may be this far behind the node's: what is due is wished for so much later"""
REPEAT_SECONDS = 60
"""a wish that took no effect is wished again after this long, after twice as long the next time, and so on"""


def wish_again(books: Books, name: str, instruction: Instruction, at: int) -> None:
    """Wish once, and again only where the last wish is done with and long took no effect."""
    tries, key = 1, name
    while (known := books.queries.intent(key)) is not None:
        waits = known.state in (IntentState.PENDING, IntentState.SENT)
        if waits or 0 <= at - known.created_at < REPEAT_SECONDS * tries:
            return
        tries, key = tries + 1, f"{name}:{tries + 1}"
    with books.transaction() as unit:
        unit.wish(key, instruction, at)
