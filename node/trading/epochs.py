"""Publishing: what a clearing decided can be computed again by anybody, from what the node publishes of it.

An epoch is drawn up right after it was cleared, and kept in the same unit of work as its plans, so that no
lease is opened whose epoch was not published. Its root goes on the chain with the matches (`AnchorEpoch`).
"""

import logging
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from ledger.books.unit_of_work import Unit
from ledger.market.events import BlockRef
from ledger.market.identity import NO_DIGEST, Digest
from ledger.market.instructions import AnchorEpoch
from matcher.bundle.drawing import Drawing, Drawn
from matcher.bundle.epoch import Ground
from matcher.bundle.recording import RecordedBook
from matcher.bundle.rules import sources_hash
from matcher.clearing import Clearing
from node.trading.venue import Venue

_log = logging.getLogger(__name__)
DECIDING = ("matcher", "ledger.market")
"""the packages whose code decides a clearing"""
DAY_SECONDS = 86_400
_RETIRE_EVERY = 256
"""epochs from one look at what is too old to the next"""


class Epochs:
    """Draws up and publishes; its caller holds the exchange's lock."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._drawing = Drawing(own_sources())
        self._written: Digest | None = None
        """the root of what was published last from here"""
        self._draws = self._published = 0

    def prepare(self, book: RecordedBook) -> None:
        """Spell what changed in the book, or all of one that was made anew (35 microseconds an offer), before
        an epoch needs it."""
        self._drawing.follow(book)

    def draw(self, book: RecordedBook, clearing: Clearing, at: int, block: BlockRef) -> Drawn:
        """The epoch of a clearing that matched something, of the book as it was cleared at the time `at`;
        `block` is the newest that the node knew. Only computes."""
        domain = self._venue.domain
        ground = Ground(
            chain_id=domain.chain_id,
            market=domain.market,
            matcher=self._venue.address,
            block_number=block.number,
            block_hash=Digest(block.hash),
        )
        self._draws += 1
        return self._drawing.draw(book, clearing, at, ground)

    def publish(self, unit: Unit, drawn: Drawn, at: int) -> Digest:
        """Keep the epoch within the plans' unit of work, and wish for its root on the chain; the root.

        The epoch drawn last alone can be published. Where one was drawn and not published, its unit undone,
        or another process published since, the books get every page again.
        """
        newest = unit.bundles.newest()
        previous = NO_DIGEST if newest is None else newest.root
        root, header = drawn.after(previous)
        seq = unit.bundles.add(root, header, drawn.header.at, drawn.number)
        pages = drawn.new
        if self._written == previous and self._draws == self._published + 1:
            unit.bundles.leave(drawn.gone, seq - 1)
        else:
            unit.bundles.leave_all(seq - 1)
            pages = self._drawing.pages()
        unit.bundles.keep(pages, drawn.passing, seq)
        unit.wish(f"epoch:{root.hex()}", AnchorEpoch(root=root), at)
        self._written, self._published = root, self._draws
        if seq % _RETIRE_EVERY == 0:
            self.retire(unit, at)
        return root

    def retire(self, unit: Unit, at: int) -> None:
        """Drop the pages that are older than they must be kept, or too many."""
        keep = self._venue.retention
        last = unit.bundles.retire(at - keep.days * DAY_SECONDS, keep.bytes)
        if last:
            _log.info("The pages of the epochs up to number %d were dropped; their headers stay.", last)


@cache
def own_sources() -> Digest:
    """The hash of the code that decides here: the installed sources of `DECIDING`."""
    sources: dict[str, bytes] = {}
    for package in DECIDING:
        sources |= _python_files(files(package), package.replace(".", "/"))
    return sources_hash(sources)


def _python_files(folder: Traversable, name: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            found |= _python_files(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            found[f"{name}/{entry.name}"] = entry.read_bytes()
    return found
