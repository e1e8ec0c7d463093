"""Drawing up an epoch while the market waits: only what changed is spelled again."""

from dataclasses import dataclass, replace

from ledger.market.identity import NO_DIGEST, Address, BidId, Digest, OfferId
from matcher.bundle.epoch import (
    BIDS,
    OFFERS,
    STAKES,
    USES,
    Ground,
    Header,
    WaitingBid,
    own_schema,
    result_of,
    root_of,
    spelled_matches,
)
from matcher.bundle.hash_tree import HashTree
from matcher.bundle.recording import Changes, RecordedBook
from matcher.bundle.rules import RULES_VERSION
from matcher.bundle.use import Use, use_of
from matcher.bundle.values import encoded
from matcher.clearing import Clearing
from matcher.index.classes import TypicalDemand
from matcher.orders import OfferOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """An epoch that waits for the root of the one before. `new` are the pages that came with it and `gone`
    the names of those that left, `passing` those of this epoch alone; `number` counts its matches."""

    header: Header
    new: dict[Digest, bytes]
    gone: frozenset[Digest]
    passing: dict[Digest, bytes]
    number: int

    def after(self, previous: Digest) -> tuple[Digest, bytes]:
        """Root and header of the epoch, as the one after `previous`."""
        header = replace(self.header, previous=previous).pack()
        return root_of(header), header


class Drawing:
    """The trees of one book after another. `sources` is the hash of the code that decides here."""

    def __init__(self, sources: Digest) -> None:
        self._sources = sources
        self._schema = own_schema()
        self._book: RecordedBook | None = None
        self._trees = {kind: HashTree(kind) for kind in (OFFERS, USES, STAKES, BIDS)}

    def draw(self, book: RecordedBook, clearing: Clearing, at: int, ground: Ground) -> Drawn:
        """The epoch of this clearing, of the book as it was when it was cleared."""
        self.follow(book)
        roots: dict[str, Digest] = {}
        new: dict[Digest, bytes] = {}
        gone: set[Digest] = set()
        for kind, tree in self._trees.items():
            sealed = tree.seal()
            roots[kind] = sealed.root
            new |= sealed.new
            gone |= sealed.gone
        matches, demand = spelled_matches(clearing), encoded(TypicalDemand, book.demand)
        header = Header(
            ground=ground,
            previous=NO_DIGEST,
            at=at,
            stake_bps=book.stake_bps,
            rules=RULES_VERSION,
            sources=self._sources,
            schema=self._schema,
            matches=root_of(matches),
            demand=root_of(demand),
            result=result_of(clearing),
            **roots,
        )
        return Drawn(
            header=header,
            new=new,
            gone=frozenset(gone),
            passing={header.matches: matches, header.demand: demand},
            number=len(clearing.matches),
        )

    def pages(self) -> dict[Digest, bytes]:
        """All pages of the book that was drawn last."""
        found: dict[Digest, bytes] = {}
        for tree in self._trees.values():
            found |= tree.pages()
        return found

    def follow(self, book: RecordedBook) -> None:
        """Spell what changed in the book, or all of another one."""
        changes = book.changes()
        if book is not self._book:
            changes = self._everything(changes)
            self._book = book
        for offer in changes.offers:
            self._offer(book, offer)
        for offer in changes.uses:
            self._use(book, offer)
        for provider in changes.stakes:
            self._stake(book, provider)
        for bid in changes.bids:
            self._bid(book, bid)

    def _everything(self, changes: Changes) -> Changes:
        """A book made anew told all that is in it; what only the one before had is gone."""
        return Changes(
            offers=changes.offers | {OfferId(key) for key in self._trees[OFFERS]},
            uses=changes.uses | {OfferId(key) for key in self._trees[USES]},
            stakes=changes.stakes | {Address(key) for key in self._trees[STAKES]},
            bids=changes.bids | {BidId(key) for key in self._trees[BIDS]},
        )

    def _offer(self, book: RecordedBook, offer: OfferId) -> None:
        order = book.offer(offer)
        self._put(OFFERS, offer, None if order is None else encoded(OfferOrder, order))

    def _use(self, book: RecordedBook, offer: OfferId) -> None:
        use = None if book.offer(offer) is None else use_of(book, offer)
        self._put(USES, offer, None if use is None or use.idle else encoded(Use, use))

    def _stake(self, book: RecordedBook, provider: Address) -> None:
        free = book.stake(provider)
        self._put(STAKES, provider, encoded(int, free) if free else None)

    def _bid(self, book: RecordedBook, bid: BidId) -> None:
        order = book.bid(bid)
        waiting = None if order is None else WaitingBid(order=order, signature=book.signature(bid))
        self._put(BIDS, bid, None if waiting is None else encoded(WaitingBid, waiting))

    def _put(self, kind: str, key: bytes, value: bytes | None) -> None:
        tree = self._trees[kind]
        if value is None:
            tree.drop(key)
        else:
            tree.put(key, value)
