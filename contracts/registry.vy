# pragma version 0.4.3
"""
@title One word an offer: seven lanes of used capacity | flags32
@notice The word of a cancelled offer stays: a tombstone, so that `used` is never reset under a lease.
"""

from . import accounts
from . import events
from . import lanes
from . import signatures
from . import traits
from . import types

uses: accounts
uses: signatures

FLAGS_PLACE: constant(uint256) = 224
REGISTERED: constant(uint256) = 1
CANCELLED: constant(uint256) = 2

_words: HashMap[bytes32, uint256]


@internal
@pure
def _in_range(offer: types.Offer) -> bool:
    if not lanes._valid(offer.capacity) or not lanes._valid(offer.ask) or offer.capacity == 0:
        return False
    if not traits._valid_claim(offer.traits) or offer.provider == empty(address):
        return False
    if offer.minSeconds > offer.maxSeconds or offer.maxSeconds >= 2**32:
        return False
    return offer.validUntil < 2**40 and offer.epoch < 2**64 and offer.salt < 2**64


@internal
def _register(offer: types.Offer):
    assert msg.sender == offer.provider, "market: not the provider"
    assert self._in_range(offer), "market: offer field"
    assert offer.validUntil > block.timestamp, "market: offer expired"
    assert offer.epoch == accounts._epoch(msg.sender), "market: offer epoch"
    digest: bytes32 = signatures._offer_digest(offer)
    assert self._words[digest] == 0, "market: offer known"
    self._words[digest] = REGISTERED << FLAGS_PLACE
    log events.OfferRegistered(
        offer=digest,
        provider=offer.provider,
        capacity=offer.capacity,
        ask=offer.ask,
        traits=offer.traits,
        minSeconds=offer.minSeconds,
        maxSeconds=offer.maxSeconds,
        validUntil=offer.validUntil,
        epoch=offer.epoch,
        salt=offer.salt,
        document=offer.document,
    )


@internal
def _cancel(offer: types.Offer):
    assert msg.sender == offer.provider, "market: not the provider"
    digest: bytes32 = signatures._offer_digest(offer)
    word: uint256 = self._words[digest]
    assert word >> FLAGS_PLACE == REGISTERED, "market: offer not open"
    self._words[digest] = word | (CANCELLED << FLAGS_PLACE)
    log events.OfferCancelled(offer=digest, provider=msg.sender)


@internal
@view
def _check_standing(offer: types.Offer, word: uint256) -> uint256:
    if word == 0:
        # Only a registered offer has a word, so these fields are looked at for the reason alone.
        if self._in_range(offer):
            return types.OFFER_UNKNOWN
        return types.OFFER_FIELD
    if (word >> FLAGS_PLACE) & CANCELLED != 0:
        return types.OFFER_CANCELLED
    if offer.epoch != accounts._epoch(offer.provider):
        return types.OFFER_EPOCH
    return types.OK


@internal
def _take(digest: bytes32, want: uint256):
    # The lanes were checked to fit, so no lane carries into the next.
    self._words[digest] += want


@internal
def _give_back(digest: bytes32, want: uint256):
    word: uint256 = self._words[digest]
    used: uint256 = lanes._released(word & lanes.LANES, want)
    self._words[digest] = ((word >> FLAGS_PLACE) << FLAGS_PLACE) | used
