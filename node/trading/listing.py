"""Listing: which offers take part, each considered anew when something about it changes.

An offer takes part while it is registered and neither cancelled nor void, its agent alive and naming it, its
validity not over, and its document known. Validities end in the order of a queue; what nobody tells
(a document that came late, a reputation that moved with others' fees) is looked at in turns.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from heapq import heapify, heappop, heappush

from ledger.books.queries import Queries
from ledger.market.errors import MarketError
from ledger.market.identity import Address, Digest, OfferId
from ledger.market.offer import Offer
from ledger.market.offer_document import OfferDocument, offer_document_from_plain
from matcher.book import OfferDelisted, OfferListed
from matcher.orders import OfferOrder
from node.trading.bid_orders import offer_order

ReputationOf = Callable[[Address, int], int]
"""a provider's reputation at a moment, per mille"""
_RESCORED_AT_ONCE = 1_000
"""whose reputation is asked again with every sweep, in turns, beside those that the news names"""


def newcomer(_provider: Address, _at: int) -> int:
    """The reputation of a provider of whom nothing is known."""
    return 0


class Listing:
    """Under the exchange's lock; `apply` tells the book."""

    def __init__(
        self,
        queries: Queries,
        reputation_of: ReputationOf,
        apply: Callable[[OfferListed | OfferDelisted], None],
    ) -> None:
        self._queries = queries
        self._reputation_of = reputation_of
        self._apply = apply
        self.forget()

    def forget(self) -> None:
        """Nothing is known, for a book that holds no offers."""
        self._offers: dict[OfferId, tuple[Offer, OfferDocument]] = {}
        self._undocumented: dict[OfferId, Offer] = {}
        self._by_provider: dict[Address, set[OfferId]] = defaultdict(set)
        self._live: dict[Address, frozenset[OfferId]] = {}
        self._listed: dict[OfferId, OfferOrder] = {}
        self._ends: list[tuple[int, OfferId]] = []
        self._at = 0
        self._rescored: list[Address] = []

    def has(self, provider: Address) -> bool:
        """Whether the provider registered an offer that was read."""
        return provider in self._by_provider

    def learn(self, offers: Collection[OfferId] | None) -> set[Address]:
        """Read these offers, or all; the providers of those that can be used."""
        found: dict[OfferId, Offer] = {}
        for row in self._queries.standing_offers(offers):
            self._forget_offer(row.id)
            if row.usable:
                found[row.id] = row.offer
                self._by_provider[row.offer.provider].add(row.id)
        for gone in () if offers is None else set(offers) - found.keys():
            self._forget_offer(gone)
        self._undocumented |= found
        self._learn_documents(found)
        return {offer.provider for offer in found.values()}

    def _forget_offer(self, name: OfferId) -> None:
        known = self._offers.pop(name, None)
        offer = known[0] if known else self._undocumented.pop(name, None)
        if offer is not None:
            self._by_provider[offer.provider].discard(name)
        self._delist(name)

    def _learn_documents(self, offers: Mapping[OfferId, Offer]) -> None:
        """Look for the documents of these offers, which are not known yet."""
        wanted: dict[Digest, list[OfferId]] = defaultdict(list)
        for name, offer in offers.items():
            wanted[offer.document].append(name)
        for digest, body in self._queries.documents(wanted.keys()):
            document = read_document(body)
            for name in wanted[digest]:
                offer = self._undocumented.pop(name)
                if document is not None:
                    self._offers[name] = (offer, document)
                    heappush(self._ends, (offer.valid_until, name))
                    self._consider(name)

    def follow(self, moved: Mapping[Address, frozenset[OfferId]], at: int) -> None:
        """It is `at`, and of these providers the agents are alive with these offers: list and delist what
        that changes. Only an offer's own provider counts."""
        back, self._at = at < self._at, at
        for provider, live in moved.items():
            before = self._live.get(provider, frozenset())
            self._live[provider] = live
            for name in (before ^ live) & self._by_provider.get(provider, set()):
                self._consider(name)
        while self._ends and self._ends[0][0] <= at:
            self._consider(heappop(self._ends)[1])
        if back:
            self._start_time_over()

    def _start_time_over(self) -> None:
        """The clock went back: what had ended may be valid again."""
        self._ends = [(offer.valid_until, name) for name, (offer, _) in self._offers.items()]
        heapify(self._ends)
        for name in self._offers:
            self._consider(name)

    def look_again(self, at: int) -> None:
        """What no fact tells: documents that came since, and reputations that moved with others' fees."""
        live = {
            name: offer
            for name, offer in self._undocumented.items()
            if name in self._live.get(offer.provider, ())
        }
        if live:
            self._learn_documents(live)
        if not self._rescored:
            self._rescored = [provider for provider, offers in self._by_provider.items() if offers]
        turn, self._rescored = self._rescored[:_RESCORED_AT_ONCE], self._rescored[_RESCORED_AT_ONCE:]
        self.rescore(turn, at)

    def rescore(self, providers: Iterable[Address], at: int) -> None:
        """Ask for these providers' reputations again."""
        for provider in providers:
            names = self._by_provider.get(provider, set()) & self._listed.keys()
            if names:
                reputation = self._reputation_of(provider, at)
                for name in names:
                    if self._listed[name].reputation != reputation:
                        self._consider(name)

    def _consider(self, name: OfferId) -> None:
        """List or delist an offer by all that is known of it."""
        known = self._offers.get(name)
        if known is None or not self._takes_part(name, known[0]):
            self._delist(name)
            return
        offer, document = known
        reputation = self._reputation_of(offer.provider, self._at)
        listed = self._listed.get(name)
        if listed is None or listed.reputation != reputation or listed.offer != offer:
            order = offer_order(name, offer, document, reputation)
            self._listed[name] = order
            self._apply(OfferListed(order=order))

    def _takes_part(self, name: OfferId, offer: Offer) -> bool:
        return name in self._live.get(offer.provider, ()) and offer.valid_until > self._at

    def _delist(self, name: OfferId) -> None:
        if self._listed.pop(name, None) is not None:
            self._apply(OfferDelisted(offer=name))


def read_document(body: bytes) -> OfferDocument | None:
    """The offer's document, or None where it is not an offer's."""
    try:
        return offer_document_from_plain(json.loads(body))
    except MarketError:
        return None
