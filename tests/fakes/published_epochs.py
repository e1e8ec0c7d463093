"""A small market whose clearings are published in real books, without an exchange around them."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from ledger.books.books import Books
from ledger.chain.typed_data import bid_id, lease_id, offer_id
from ledger.market.bid import Bid, SignedBid
from ledger.market.events import BlockRef
from ledger.market.identity import NO_DIGEST, Address, BidId, Digest
from ledger.market.instructions import GangMember, OpenGang, OpenLease
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from matcher.book import BidPlaced, BidRemoved, CapacityTaken, OfferListed, StakeChanged
from matcher.bundle.recording import RecordedBook
from matcher.clearing import Clearing, Match, MatchMember, clear
from matcher.orders import BidOrder, OfferOrder
from node.trading.epochs import Epochs
from node.trading.venue import Venue

Lie = Callable[[Clearing], Clearing]


class Publisher:
    """One node's book and epochs; `restart` forgets all but the books."""

    def __init__(self, books: Books, venue: Venue) -> None:
        self.books = books
        self.venue = venue
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
                wish = self._wish(match)
                unit.wish(f"open:{match.bid.hex()}", wish, at)
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

    def _wish(self, match: Match) -> OpenLease | OpenGang:
        order, signed = self.bids[match.bid]
        members = tuple(
            self._member(signed.bid, match.bid, number, one) for number, one in enumerate(match.members)
        )
        if len(members) > 1:
            return OpenGang(bid=order.id, signed=signed, members=members, seed=NO_DIGEST)
        (only,) = members
        return OpenLease(
            lease=only.lease, offer_id=only.offer_id, offer=only.offer, signed=signed, rate=only.rate
        )

    def _member(self, bid: Bid, name: BidId, number: int, chosen: MatchMember) -> GangMember:
        listed = self.book.offer(chosen.offer)
        assert listed is not None
        terms = LeaseTerms(
            offer=chosen.offer,
            bid=name,
            member=number,
            provider=listed.offer.provider,
            buyer=bid.buyer,
            signer=bid.signer,
            matcher=self.venue.address,
            want=bid.want,
            rate=chosen.rate,
            duration=bid.duration,
        )
        lease = lease_id(self.venue.domain, terms)
        return GangMember(lease=lease, offer_id=chosen.offer, offer=listed.offer, rate=chosen.rate)
