"""Books made anew from the chain alone, on a host that has nothing: what money is, the chain knows.

The same follower and the same facts as a node's, so that the books are those of a node that heard of no job.
Killed at any moment it goes on where it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.books.books import Books
from ledger.books.rows import Difference
from ledger.chain.follower import ChainSource, FollowCursor, Follower
from ledger.chain.log_ranges import pieces
from ledger.market.errors import Rejected
from ledger.market.events import BlockRef, Logged
from ledger.market.facts import ChainObserved, ChainRewound
from node.auditing import Chain, examine

Progress = Callable[[int, int], None]
"""told the blocks that are read and how many there are"""


class RebuiltFrom(ChainSource, Chain, Protocol):
    """What is asked of the chain; `ledger.chain.client.MarketClient` is one."""

    def logs(self, first: int, last: int) -> Sequence[Logged]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """The books as they are now: up to `block`, with so many `events` and `transfers`; `differences` from
    the chain are none where all is well."""

    block: BlockRef
    events: int
    transfers: int
    accounts: int
    leases: int
    differences: tuple[Difference, ...]


def rebuild(books: Books, chain: RebuiltFrom, first_block: int, progress: Progress) -> Rebuilt:
    """Follow the market from `first_block`, where it was deployed, to the chain's head.

    `Rejected` "books-in-use" where the books know more than a chain can tell: those are a node's.
    """
    _check_unused(books)
    follower = Follower(chain)
    cursor = _begun(books) or follower.start(_mined(chain, first_block))
    caught_up = False
    while not caught_up:
        followed = follower.poll(cursor)
        with books.transaction() as unit:
            for fact in followed.facts:
                unit.record(fact)
            unit.save_cursor(followed.cursor.block, followed.cursor.tail)
        cursor, caught_up = followed.cursor, followed.caught_up
        head = max(cursor.block.number, chain.block("latest").number)
        progress(cursor.block.number - first_block + 1, head - first_block + 1)
    return _told(books, chain, cursor, first_block)


def _check_unused(books: Books) -> None:
    for _, fact in books.queries.facts():
        if not isinstance(fact, ChainObserved | ChainRewound):
            raise Rejected(
                "books-in-use",
                f"The books hold what no chain can tell: {type(fact).__name__}.",
                "Name a database that does not exist yet.",
            )


def _mined(chain: RebuiltFrom, block: int) -> int:
    head = chain.block("latest").number
    if block > head:
        raise Rejected(
            "no-such-block",
            f"The chain's last block is {head}, so the market was not deployed in block {block}.",
            "Name the block of the market's deployment, or leave it out.",
        )
    return block


def _begun(books: Books) -> FollowCursor | None:
    cursor = books.queries.cursor()
    return None if cursor is None else FollowCursor(block=cursor[0], tail=cursor[1])


def _told(books: Books, chain: RebuiltFrom, cursor: FollowCursor, first_block: int) -> Rebuilt:
    ranges = pieces(first_block, cursor.block.number)
    logged = [one for first, last in ranges for one in chain.logs(first, last)]
    return Rebuilt(
        block=cursor.block,
        events=len(logged),
        transfers=len(books.queries.transfers()),
        accounts=len(books.queries.all_totals()),
        leases=len(books.queries.leases()),
        differences=tuple(examine(books, chain, logged, first_block)),
    )
