"""The whole of a node's books against the chain: money and leases, every event, and what the outbox believes.

Here because books and chain do not know each other; each checks what it can, and this asks both.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal, Protocol

from ledger.books.books import Books
from ledger.books.compare import compare
from ledger.books.kept import kept_attempts, kept_intents, newest_block
from ledger.books.rows import ABSENT, Difference
from ledger.chain.outbox_audit import AuditedChain, check_outbox
from ledger.chain.typed_data import keccak
from ledger.market.errors import Broken, LostRace
from ledger.market.events import BlockRef, Logged
from ledger.market.identity import text
from ledger.market.state import MarketState


class Chain(AuditedChain, Protocol):
    """What is asked of the chain; `ledger.chain.client.MarketClient` is one."""

    def block(self, which: int | Literal["latest"]) -> BlockRef: ...


def examine(books: Books, chain: Chain, logged: Sequence[Logged], first_block: int = 0) -> list[Difference]:
    """Every row of the books that is not what it must be; `logged` are all the market's events in order.

    Money and leases are compared at the block that the books have reached, since a node that was stopped
    lags behind. `Broken` where the books cannot be read at all.
    """
    tail = _followed(books)
    with books.reading() as session:
        noted = newest_block(session)
    reached = max([one.number for one in tail] + [first_block - 1 if noted is None else noted])
    known = [one for one in logged if one.block.number <= reached]
    state = MarketState()
    for one in known:
        state.apply(one.event, one.block.at)
    found = compare(books, state, known, keccak)
    return list(dict.fromkeys([*found, *_cursor(tail, chain), *_outbox(books, chain, logged)]))


def _followed(books: Books) -> tuple[BlockRef, ...]:
    """The blocks that the cursor names, the newest last; none where it cannot be read, which is found
    elsewhere."""
    try:
        cursor = books.queries.cursor()
    except (Broken, ValueError):
        return ()
    return () if cursor is None else (*cursor[1], cursor[0])


def _cursor(tail: Sequence[BlockRef], chain: Chain) -> list[Difference]:
    """The newest block that the cursor names and the chain does not have: those before it follow from it."""
    for block in reversed(tail):
        canonical = _hash_at(chain, block.number)
        if canonical != text(block.hash):
            place = {"table": "cursor", "row": "1", "field": "hash"}
            return [Difference(**place, ours=text(block.hash), chain=canonical)]
    return []


def _hash_at(chain: Chain, number: int) -> str:
    try:
        return text(chain.block(number).hash)
    except LostRace:
        return ABSENT


def _outbox(books: Books, chain: Chain, logged: Sequence[Logged]) -> list[Difference]:
    with books.reading() as session:
        attempts, unreadable = kept_attempts(session)
        intents, unread = kept_intents(session)
    found = check_outbox(attempts, intents, logged, chain)
    return [*unreadable, *unread, *(Difference(**asdict(one)) for one in found)]
