"""A small market whose clearings are published in real books, without an exchange around them."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from ledger.books.books import Books
from ledger.books.unit_of_work import Unit
from ledger.chain.typed_data import bid_id, offer_id
from ledger.market.bid import SignedBid
from ledger.market.events import BlockRef
from ledger.market.identity import Address, Digest
from ledger.market.offer import Offer
from matcher.book import BidPlaced, BidRemoved, CapacityTaken, OfferListed, StakeChanged
from matcher.bundle.recording import RecordedBook
from matcher.clearing import Clearing, Match, MatchMember, clear
from matcher.orders import BidOrder, OfferOrder
from node.trading.epochs import Epochs
from node.trading.planning import Attempt, Place, Planner
from node.trading.venue import Venue

Lie = Callable[[Clearing], Clearing]


class Publisher:
    """One node's book and epochs; `restart` forgets all but the books."""

    def __init__(self, books: Books, venue: Venue) -> None:
        self.books = books
        self.venue = venue
        self.planner = Planner(venue)
        self.stakes: dict[Address, int] = {}
        self.offers: list[OfferOrder] = []
        self.bids: dict[bytes, tuple[BidOrder, SignedBid]] = {}
        self.restart()

    def restart(self) -> None:
        self.epochs = Epochs(self.venue)
        self.book = RecordedBook(stake_bps=self.venue.policy.stake_bps)
        for order in self.offers:
            self.book.apply(OfferListed(order=order))
        for provider, free in self.stakes.items():
            self.book.apply(StakeChanged(provider=provider, free=free))
        self.epochs.prepare(self.book)

    def list(self, offer: Offer, stake: int, domain: str = "lab/berlin") -> OfferOrder:
        order = OfferOrder(id=offer_id(self.venue.domain, offer), offer=offer, domain=domain)
        self.offers.append(order)
        self.stakes[offer.provider] = stake
        self.book.apply(OfferListed(order=order))
        self.book.apply(StakeChanged(provider=offer.provider, free=stake))
        return order

    def place(self, signed: SignedBid, at: int, *, with_signature: bool = True) -> BidOrder:
        name = bid_id(self.venue.domain, signed.bid)
        order = BidOrder(id=name, job=name, bid=signed.bid, sequence=len(self.bids), arrived_at=at)
        self.bids[name] = order, signed
        self.book.apply(BidPlaced(order=order))
        if with_signature:
            self.book.sign(name, signed.signature)
        return order

    def clear(self, block: BlockRef, at: int, lie: Lie = lambda clearing: clearing) -> Digest:
        """One epoch as the exchange does it: cleared, published with its plans, and then applied."""
        clearing = lie(clear(self.book, at))
        drawn = self.epochs.draw(self.book, clearing, at, block)
        with self.books.transaction() as unit:
            root = self.epochs.publish(unit, drawn, at)
            for match in clearing.matches:
                self._plan(unit, match, at)
        self._apply(clearing.matches)
        return root

    def undone(self, block: BlockRef, at: int) -> None:
        """An epoch whose unit of work failed."""
        drawn = self.epochs.draw(self.book, clear(self.book, at), at, block)
        with suppress(InterruptedError), self.books.transaction() as unit:
            self.epochs.publish(unit, drawn, at)
            raise InterruptedError

    def dropped(self, block: BlockRef, at: int) -> None:
        """An epoch that was drawn and never published."""
        self.epochs.draw(self.book, clear(self.book, at), at, block)

    def _apply(self, matches: Iterable[Match]) -> None:
        for match in matches:
            order = self.bids[match.bid][0]
            for member in match.members:
                self.book.apply(CapacityTaken(offer=member.offer, want=order.bid.want))
            self.book.apply(BidRemoved(bid=match.bid))

    def _plan(self, unit: Unit, match: Match, at: int) -> None:
        order, signed = self.bids[match.bid]
        places = [self._place(member) for member in match.members]
        self.planner.plan(unit, Attempt(job=order.job, number=0, signed=signed), places, at)

    def _place(self, member: MatchMember) -> Place:
        listed = self.book.offer(member.offer)
        assert listed is not None
        return Place(offer_id=member.offer, offer=listed.offer, rate=member.rate)
