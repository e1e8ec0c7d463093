"""Matches, gangs and continued leases on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.market.bid import Bid
from ledger.market.events import LeaseOpened, MarketEvent
from ledger.market.identity import NO_DIGEST, NOBODY, Digest
from ledger.market.model import Fill, GangFill
from ledger.market.offer import Offer
from tests.fakes.in_process_market import Order, account, party, split, words_of
from tests.fakes.twin.core import Claim
from tests.fakes.twin.settling import SettlingTwin


@dataclass(frozen=True, slots=True, kw_only=True)
class GangOrder:
    """A bid of several members, where each sits (index of the offer, rate), and who signed it."""

    bid: Bid
    members: tuple[tuple[int, int], ...]
    signed_by: str = "buyer"
    seed: Digest = NO_DIGEST


class MatchingTwin(SettlingTwin):
    """The calls that open leases, each compared."""

    def fill(self, offer: Offer, order: Order) -> Fill:
        signer = party(order.signed_by)
        return Fill(
            offer_id=self.chain.offer_id(offer),
            offer=offer,
            bid_id=self.chain.bid_id(order.bid),
            bid=order.bid,
            rate=order.rate,
            authentic=True,
            delegate=NOBODY if signer == order.bid.buyer else signer,
        )

    def match(self, offer: Offer, order: Order, sender: str = "matcher") -> list[MarketEvent]:
        """One bid by the single path; the view must say the same before."""
        words, fill = self.chain.fill_words(order), self.fill(offer, order)
        told = self.chain.view("market", "checkFill", account(sender), words_of(offer), words)
        assert told == self.model.check_fill(party(sender), fill, self.at)
        return self.both(
            lambda: self.model.match_bid(party(sender), fill, self.at),
            "matchBid",
            words_of(offer),
            words,
            sender=sender,
        )

    def match_many(
        self,
        offers: Sequence[Offer],
        orders: Sequence[Order],
        sender: str = "matcher",
        root: Digest = NO_DIGEST,
    ) -> list[MarketEvent]:
        fills = [self.fill(offers[order.offer_index], order) for order in orders]
        return self.both(
            lambda: self.model.match_bids(party(sender), fills, root, self.at),
            "matchBids",
            [words_of(offer) for offer in offers],
            [self.chain.fill_words(order) for order in orders],
            root,
            sender=sender,
        )

    def open(self, offer: Offer, order: Order, sender: str = "matcher") -> LeaseOpened:
        """Match a bid that must open."""
        (event,) = self.match(offer, order, sender)
        assert isinstance(event, LeaseOpened), event
        return event

    def gang(self, offers: Sequence[Offer], order: GangOrder) -> GangFill:
        def member(index: int, rate: int) -> Fill | None:
            if index >= len(offers):
                return None
            return self.fill(offers[index], Order(bid=order.bid, rate=rate, signed_by=order.signed_by))

        shape = member(0, 0)
        assert shape is not None
        members = tuple(member(index, rate) for index, rate in order.members)
        return GangFill(members=members, shape=shape, seed=order.seed)

    def match_gang(
        self, offers: Sequence[Offer], order: GangOrder, sender: str = "matcher"
    ) -> list[MarketEvent]:
        """Of at least one offer; members may point beyond the offers."""
        bid = words_of(order.bid)
        return self.both(
            lambda: self.model.match_gang(party(sender), self.gang(offers, order), self.at),
            "matchGang",
            [words_of(offer) for offer in offers],
            [list(member) for member in order.members],
            bid,
            *split(self.chain.sign("Bid", bid, order.signed_by)),
            order.seed,
            sender=sender,
        )

    def continue_lease(
        self, claim: Claim, offer: Offer, order: Order, sender: str = "matcher"
    ) -> list[MarketEvent]:
        item, fill = self.settlement(claim), self.fill(offer, order)
        return self.both(
            lambda: self.model.continue_lease(party(sender), item, fill, self.at),
            "continueLease",
            self.chain.settlement_words(claim.terms, self.receipt(claim), claim.signed_by),
            words_of(offer),
            self.chain.fill_words(order),
            sender=sender,
        )
