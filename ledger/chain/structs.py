"""The contract's structs as words, in the order in which they are both signed and passed.

An EIP-712 struct hash and a call's argument hold the same members in the same order; here is that order.
"""

from ledger.market.bid import Bid
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer

StructWords = tuple[int | bytes, ...]


def offer_words(offer: Offer) -> StructWords:
    """The contract's `Offer` struct."""
    return (
        offer.provider,
        offer.capacity.pack(),
        offer.ask.pack(),
        offer.traits.pack(),
        offer.min_seconds,
        offer.max_seconds,
        offer.valid_until,
        offer.epoch,
        offer.salt,
        offer.document,
    )


def bid_words(bid: Bid) -> StructWords:
    """The contract's `Bid` struct."""
    return (
        bid.buyer,
        bid.signer,
        bid.want.pack(),
        bid.traits.pack(),
        bid.limit_rate,
        bid.max_over_ask_bps,
        bid.duration,
        bid.start_by,
        bid.valid_until,
        bid.open_after,
        bid.members,
        bid.flags,
        bid.epoch,
        bid.nonce,
        bid.job,
        bid.provider,
        bid.matcher,
        bid.continues,
    )


def terms_words(terms: LeaseTerms) -> StructWords:
    """The contract's `LeaseTerms` struct."""
    return (
        terms.offer,
        terms.bid,
        terms.member,
        terms.provider,
        terms.buyer,
        terms.signer,
        terms.matcher,
        terms.want.pack(),
        terms.rate,
        terms.duration,
    )
