# pragma version 0.4.3
"""
@title One word an offer: seven lanes of used capacity | flags32
@notice The word of a cancelled offer stays: a tombstone, so that `used` is never reset under a lease.
"""

from . import accounts
from . import delegates
from . import errors
from . import events
from . import lanes
from . import signatures
from . import traits
from . import types

uses: accounts
uses: delegates
uses: errors
uses: signatures

FLAGS_PLACE: constant(uint256) = 224
REGISTERED: constant(uint256) = 1
CANCELLED: constant(uint256) = 2

_words: HashMap[bytes32, uint256]


@internal
@pure
def _in_range(offer: types.Offer) -> bool:
    if (offer.capacity | offer.ask) & lanes.RESERVED != 0 or offer.capacity == 0:
        return False
    if offer.provider == empty(bytes32) or offer.minSeconds > offer.maxSeconds:
        return False
    beyond: uint256 = convert(offer.provider, uint256) >> 160 | offer.maxSeconds >> 32
    beyond |= offer.validUntil >> 40 | (offer.epoch | offer.salt) >> 64
    # Of exactly one vendor and in exactly one region, or it would satisfy every demand.
    vendor: uint256 = offer.traits & traits.VENDORS
    region: uint256 = offer.traits & traits.REGIONS
    if beyond != 0 or vendor == 0 or region == 0:
        return False
    return (vendor & unsafe_sub(vendor, 1)) | (region & unsafe_sub(region, 1)) == 0


@internal
def _register(offer: types.Offer):
    delegates._check_caller(offer.provider, delegates.OPERATE, errors.NOT_THE_PROVIDER)
    errors._require(self._in_range(offer), errors.OFFER_FIELD)
    errors._require(offer.validUntil > block.timestamp, errors.OFFER_EXPIRED)
    word: uint256 = accounts._words[offer.provider]
    epoch: uint256 = word << accounts.ABOVE_EPOCH >> accounts.EPOCH_SHIFT
    errors._require(offer.epoch == epoch, errors.OFFER_EPOCH)
    digest: bytes32 = signatures._offer_digest(offer)
    errors._require(self._words[digest] == 0, errors.OFFER_KNOWN)
    self._words[digest] = REGISTERED << FLAGS_PLACE
    log events.OfferRegistered(
        offer=digest,
        provider=convert(offer.provider, address),
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
    delegates._check_caller(offer.provider, delegates.OPERATE, errors.NOT_THE_PROVIDER)
    digest: bytes32 = signatures._offer_digest(offer)
    word: uint256 = self._words[digest]
    errors._require(word >> FLAGS_PLACE == REGISTERED, errors.OFFER_NOT_OPEN)
    self._words[digest] = word | (CANCELLED << FLAGS_PLACE)
    log events.OfferCancelled(offer=digest, provider=convert(offer.provider, address))


@internal
@pure
def _released(word: uint256, want: uint256) -> uint256:
    # The offer's word once a lease of this size is over.
    # Saturates: a lane that would go below zero becomes zero. The guards' bits are free in every lane.
    rest: uint256 = unsafe_sub(word | lanes.GUARDS, want)
    kept: uint256 = rest & lanes.GUARDS
    return rest & unsafe_sub(kept, kept >> 31) | (word >> FLAGS_PLACE << FLAGS_PLACE)
