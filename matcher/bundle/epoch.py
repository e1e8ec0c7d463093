"""The bundle of one epoch: the book that was cleared, the result, and one hash that stands for both.

The book is four hash trees (offers, what is in use of them, free stakes, waiting bids), whose pages most
epochs share. The header names their roots, the result, the rules and the epoch before, so that the root of
one epoch, which is the header's SHA-256, stands for all before it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, Address, BidId, Digest, OfferId, text
from ledger.market.ranges import exact_bytes, unsigned
from matcher.book import BidPlaced, Book, BookEvent, DemandStated, OfferListed, StakeChanged
from matcher.bundle.bencode import Item, decode, encode
from matcher.bundle.hash_tree import Fetch, checked, entries_of
from matcher.bundle.rules import RULES_VERSION
from matcher.bundle.use import Use
from matcher.bundle.values import decoded, encoded, read, schema
from matcher.clearing import Clearing, clear
from matcher.index.classes import TypicalDemand
from matcher.orders import BidOrder, OfferOrder

OFFERS, USES, STAKES, BIDS = "offers", "uses", "stakes", "bids"
_TITLE: Final = b"bingwang-epoch-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingBid:
    """A bid and the 64 bytes that its buyer signed it with; empty where the node did not have them."""

    order: BidOrder
    signature: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where an epoch stands: the market, whose node cleared, and the newest block that it knew."""

    chain_id: int
    market: Address
    matcher: Address
    block_number: int = 0
    block_hash: Digest = NO_DIGEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Everything about an epoch by hash. `at` is the moment of the clearing (seconds since 1970), `previous`
    the root of the epoch before, zero for a node's first; `demand` is the page of what is mostly asked for,
    `matches` that of what was matched, `result` the hash of all that the clearing said, the unmatched too."""

    ground: Ground
    previous: Digest
    at: int
    stake_bps: int
    rules: int
    sources: Digest
    schema: Digest
    offers: Digest
    uses: Digest
    stakes: Digest
    bids: Digest
    demand: Digest
    matches: Digest
    result: Digest

    def __post_init__(self) -> None:
        unsigned("at", self.at, 40)
        unsigned("stake_bps", self.stake_bps, 63)
        named = ("previous", "sources", "schema", OFFERS, USES, STAKES, BIDS, "demand", "matches", "result")
        for name in named:
            exact_bytes(name, getattr(self, name), 32)

    def pack(self) -> bytes:
        """The bytes whose hash is the epoch's root."""
        return encode([_TITLE, decode(encoded(Header, self))])


def root_of(header: bytes) -> Digest:
    """What stands for the epoch, on the chain too."""
    return Digest(sha256(header).digest())


def header_of(root: Digest, header: bytes) -> Header:
    """The header behind its bytes; `Rejected` "page-altered", "bundle-malformed" or "other-bundle-form"."""
    item = decode(checked(root, header))
    match item:
        case [bytes(title), fields] if title == _TITLE:
            value: Header = read(Header, fields, encode(fields))
            return value
        case _:
            raise Rejected(
                "other-bundle-form",
                "The header is not of the form that this release reads.",
                "Replay with the release that the node runs.",
            )


def own_schema() -> Digest:
    """The hash of the fields that this release knows."""
    return Digest(schema(OfferOrder, Use, WaitingBid, TypicalDemand, Clearing, Header))


def spelled_matches(clearing: Clearing) -> bytes:
    """All of a clearing but the bids that stay, which whoever clears again finds himself."""
    return encoded(Clearing, replace(clearing, unmatched=()))


def result_of(clearing: Clearing) -> Digest:
    """The hash of everything that a clearing said."""
    return Digest(sha256(encoded(Clearing, clearing)).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One epoch whole, read and checked against its root: equal bundles have equal bytes."""

    root: Digest
    header: Header
    offers: Mapping[OfferId, OfferOrder]
    uses: Mapping[OfferId, Use]
    stakes: Mapping[Address, int]
    bids: Mapping[BidId, WaitingBid]
    demand: TypicalDemand
    clearing: Clearing
    """as published, without the unmatched"""

    def book(self) -> Book:
        """The book as it was cleared."""
        events: list[BookEvent] = [DemandStated(demand=self.demand)]
        events += [StakeChanged(provider=p, free=free) for p, free in self.stakes.items()]
        events += [OfferListed(order=order) for order in self.offers.values()]
        book = Book(events, stake_bps=self.header.stake_bps)
        for offer, use in self.uses.items():
            book.apply(use.stated(offer))
        for waiting in self.bids.values():
            book.apply(BidPlaced(order=waiting.order))
        return book


def open_bundle(root: Digest, fetch: Fetch) -> Bundle:
    """The epoch behind a root, from pages that `fetch` brings by their names, the header by the root.

    `Rejected` "page-altered" where anything has other bytes than its name says, "bundle-malformed" where the
    bytes are no bundle, "other-schema" where another release made it.
    """
    header = header_of(root, fetch(root))
    _check_schema(header)
    offers = _values(OFFERS, header.offers, fetch, OfferOrder)
    bids = _values(BIDS, header.bids, fetch, WaitingBid)
    _check_names(OFFERS, {name: order.id for name, order in offers.items()})
    _check_names(BIDS, {name: waiting.order.id for name, waiting in bids.items()})
    return Bundle(
        root=root,
        header=header,
        offers=offers,
        uses=_values(USES, header.uses, fetch, Use),
        stakes=_values(STAKES, header.stakes, fetch, int),
        bids=bids,
        demand=decoded(TypicalDemand, checked(header.demand, fetch(header.demand))),
        clearing=decoded(Clearing, checked(header.matches, fetch(header.matches))),
    )


def _check_schema(header: Header) -> None:
    if header.schema != own_schema() or header.rules != RULES_VERSION:
        raise Rejected(
            "other-schema",
            f"The epoch was cleared by rules {header.rules} of another release than this one.",
            "Replay with the release that the node runs.",
            rules=header.rules,
        )


def _values(kind: str, root: Digest, fetch: Fetch, of: type) -> dict:  # type: ignore[type-arg]
    entries: dict[bytes, Item] = entries_of(kind, root, fetch)
    return {key: read(of, item, encode(item)) for key, item in entries.items()}


def _check_names(kind: str, named: Mapping[bytes, bytes]) -> None:
    """Each entry stands under its own name: else one order could stand there twice."""
    for name, own in named.items():
        if name != own:
            raise Rejected(
                "bundle-malformed",
                f"Of the {kind} {text(name)} stands for {text(own)}.",
                "Do not trust this copy; fetch the bundle from somebody else.",
            )


def recompute(bundle: Bundle) -> Clearing:
    """What the rules make of the bundle's book."""
    return clear(bundle.book(), bundle.header.at)
