# pragma version 0.4.3
"""
@title Whether a bid may open on an offer, and its opening
@notice The check is a view in guarded arithmetic without external calls: no item can revert a batch.
    It is given the words of offer and provider, so that the caller may hold them over several bids, and
    check a gang whole before it opens.
"""

from . import accounts
from . import delegates
from . import events
from . import lanes
from . import leases
from . import registry
from . import rules
from . import signatures
from . import traits
from . import types

uses: accounts
uses: delegates
uses: leases
uses: registry
uses: rules
uses: signatures

# The members of a bid that is no gang's.
ALONE: constant(uint256) = 1


@internal
@pure
def _check_bid(bid: types.Bid, members: uint256, continues: bytes32) -> uint256:
    # Ranges come first: everything after them multiplies and shifts without fear.
    if bid.want & lanes.RESERVED != 0 or bid.want == 0:
        return types.BID_FIELD
    if bid.signer == empty(bytes32) or bid.duration == 0:
        return types.BID_FIELD
    parties: uint256 = convert(bid.buyer, uint256) | convert(bid.signer, uint256)
    parties |= convert(bid.provider, uint256) | convert(bid.matcher, uint256)
    beyond: uint256 = (bid.limitRate >> 96) | (bid.maxOverAskBps >> 16) | (bid.duration >> 32)
    beyond |= (parties >> 160) | ((bid.startBy | bid.validUntil | bid.openAfter) >> 40)
    beyond |= ((bid.members | bid.flags) >> 8) | ((bid.epoch | bid.nonce) >> 64)
    if beyond != 0:
        return types.BID_FIELD
    if bid.flags != 0:
        # Flags are for gangs. Replicas: more than half agree, so that no two results have a quorum.
        agree: uint256 = bid.flags >> types.AGREE_PLACE
        if members == ALONE or bid.flags & 12 != 0:
            return types.FLAGS
        if bid.flags & types.REPLICAS == 0:
            if agree != 0:
                return types.FLAGS
        elif bid.members > types.MAX_REPLICAS or bid.members >= agree << 1 or agree > bid.members:
            return types.FLAGS
    if bid.members != members:
        return types.MEMBERS
    if bid.continues != continues:
        return types.CONTINUES
    return types.OK


@internal
@view
def _check_member(
    matcher: bytes32,
    offer: types.Offer,
    word: uint256,
    provider_word: uint256,
    rate: uint256,
    lock: uint256,
    bid: types.Bid,
) -> uint256:
    # The bid's ranges were checked, and a registered offer's before: nothing here overflows.
    if word >> registry.FLAGS_PLACE != registry.REGISTERED:
        if word != 0:
            return types.OFFER_CANCELLED
        if registry._in_range(offer):
            return types.OFFER_UNKNOWN
        return types.OFFER_FIELD
    if offer.epoch != provider_word << accounts.ABOVE_EPOCH >> accounts.EPOCH_SHIFT:
        return types.OFFER_EPOCH
    if bid.buyer == offer.provider:
        return types.SELF_TRADE
    if bid.provider != empty(bytes32) and bid.provider != offer.provider:
        return types.PROVIDER
    if block.timestamp > bid.validUntil:
        return types.BID_EXPIRED
    if block.timestamp > bid.startBy:
        return types.START_BY
    if bid.duration < offer.minSeconds or bid.duration > offer.maxSeconds:
        return types.DURATION
    if offer.validUntil < unsafe_add(block.timestamp, bid.duration):
        return types.OFFER_EXPIRES
    met: uint256 = offer.traits & bid.traits
    if met & traits.VENDORS == 0 or met & traits.REGIONS == 0:
        return types.TRAITS
    if bid.traits & ~offer.traits & traits.FEATURES != 0:
        return types.TRAITS
    if (
        offer.traits << traits.ABOVE_DEVICE_MEMORY >> traits.VALUE_SHIFT
        < bid.traits << traits.ABOVE_DEVICE_MEMORY >> traits.VALUE_SHIFT
    ):
        return types.TRAITS
    if (
        offer.traits << traits.ABOVE_CAPABILITY >> traits.VALUE_SHIFT
        < bid.traits << traits.ABOVE_CAPABILITY >> traits.VALUE_SHIFT
    ):
        return types.TRAITS
    model: uint256 = bid.traits >> traits.VALUE_SHIFT
    if model != 0 and model != offer.traits >> traits.VALUE_SHIFT:
        return types.TRAITS
    # used <= capacity in each lane, so the first subtraction cannot borrow between lanes; the guards keep
    # the second from it.
    used: uint256 = word << lanes.ABOVE_LANES >> lanes.ABOVE_LANES
    free: uint256 = unsafe_sub(offer.capacity, used) | lanes.GUARDS
    if unsafe_sub(free, bid.want) & lanes.GUARDS != lanes.GUARDS:
        return types.CAPACITY
    # The margin over the ask is for the matcher that the buyer chose; after openAfter others may match.
    most: uint256 = rules.BASIS_POINTS
    if matcher == bid.matcher:
        most = unsafe_add(most, bid.maxOverAskBps)
    elif bid.matcher != empty(bytes32) and block.timestamp < bid.openAfter:
        return types.MATCHER
    # The sum of the lanes' products, three lanes at a time, each in 64 bits: of the product of one word with
    # the other turned round, bits 128 to 191 are the sum of the three products, which are below 2^62, and
    # nothing carries into them.
    high: uint256 = bid.want >> 32
    even: uint256 = ((bid.want & lanes.LANE_0) << 128) | (bid.want & lanes.LANE_2)
    even |= (bid.want >> 128) & lanes.LANE_0
    odd: uint256 = ((high & lanes.LANE_0) << 128) | (high & lanes.LANE_2) | (high >> 128)
    lowest: uint256 = unsafe_add(
        unsafe_mul(offer.ask & lanes.EVEN_LANES, even) << 64 >> 192,
        unsafe_mul((offer.ask >> 32) & lanes.EVEN_LANES, odd) << 64 >> 192,
    )
    if rate < lowest:
        return types.BELOW_ASK
    if rate > bid.limitRate:
        return types.ABOVE_LIMIT
    # rate <= limitRate < 2^96, lowest < 2^65, most < 2^17
    if unsafe_mul(rate, rules.BASIS_POINTS) > unsafe_mul(lowest, most):
        return types.OVER_ASK
    if provider_word << accounts.ABOVE_STAKE >> accounts.AMOUNT_SHIFT < lock:
        return types.STAKE
    return types.OK


@internal
@view
def _check_buyer(
    buyer: bytes32,
    epoch: uint256,
    nonce: uint256,
    digest: bytes32,
    word: uint256,
    escrow: uint256,
    r: bytes32,
    vs: bytes32,
) -> (uint256, address):
    # Also who signed the bid where that is not the buyer: a key that may spend the escrow.
    if epoch != word << accounts.ABOVE_EPOCH >> accounts.EPOCH_SHIFT:
        return types.BID_EPOCH, empty(address)
    if nonce >> 5 == word >> accounts.PAGE_PLACE:
        # In the window: without another read.
        if (word >> accounts.WINDOW_PLACE) >> (nonce & 31) & 1 == 1:
            return types.NONCE_USED, empty(address)
    elif accounts._nonce_used(buyer, word, nonce):
        return types.NONCE_USED, empty(address)
    if escrow > word << accounts.ABOVE_BALANCE >> accounts.AMOUNT_SHIFT:
        return types.FUNDS, empty(address)
    s: uint256 = convert(vs, uint256) & signatures.LOW_255
    v: uint256 = unsafe_add(27, convert(vs, uint256) >> 255)
    signer: address = ecrecover(digest, v, convert(r, uint256), s)
    if s > signatures.HALF_ORDER or signer == empty(address):
        return types.SIGNATURE, signer
    if convert(signer, bytes32) == buyer:
        return types.OK, empty(address)
    power: uint256 = delegates._words[buyer][signer]
    if (power >> delegates.ROLES_PLACE) & delegates.SPEND == 0:
        return types.SIGNATURE, signer
    if block.timestamp > power << delegates.ABOVE_UNTIL >> delegates.UNTIL_SHIFT:
        return types.DELEGATE, signer
    if escrow > power << delegates.ABOVE_ALLOWANCE >> delegates.ALLOWANCE_SHIFT:
        return types.DELEGATE, signer
    return types.OK, signer


@internal
def _open(
    provider: bytes32,
    offer_digest: bytes32,
    bid: types.Bid,
    bid_digest: bytes32,
    member: uint256,
    rate: uint256,
    escrow: uint256,
    state: uint256,
) -> bytes32:
    # Escrow, nonce, stake and capacity are the caller's to take.
    lease: bytes32 = signatures._lease_id(
        types.LeaseTerms(
            offer=offer_digest,
            bid=bid_digest,
            member=member,
            provider=provider,
            buyer=bid.buyer,
            signer=bid.signer,
            matcher=convert(msg.sender, bytes32),
            want=bid.want,
            rate=rate,
            duration=bid.duration,
        )
    )
    leases._words[lease] = (
        escrow | (block.timestamp << leases.START_PLACE) | (state << leases.STATE_PLACE)
    )
    log events.LeaseOpened(
        lease=lease,
        buyer=convert(bid.buyer, address),
        provider=convert(provider, address),
        offer=offer_digest,
        bid=bid_digest,
        signer=convert(bid.signer, address),
        matcher=msg.sender,
        member=member,
        want=bid.want,
        rate=rate,
        duration=bid.duration,
        start=block.timestamp,
        escrow=escrow,
        nonce=bid.nonce,
        job=bid.job,
    )
    return lease


@internal
def _match(
    offer: types.Offer,
    offer_digest: bytes32,
    word: uint256,
    provider_word: uint256,
    fill: types.Fill,
    bid_digest: bytes32,
    continues: bytes32,
) -> (uint256, uint256, bytes32):
    # Opens the bid's lease where the reason, which it tells first, is none. Its lock, told second, and its
    # capacity are the caller's to take from the two words.
    rate: uint256 = fill.deal & types.RATE
    # As `leases._escrow` and `rules._lock`, written out here and in the next lines for less gas.
    product: uint256 = unsafe_mul(unsafe_mul(rate, fill.bid.duration), 1000)
    escrow: uint256 = unsafe_div(
        unsafe_add(product, leases.RATE_DIVISOR - 1), leases.RATE_DIVISOR
    )
    lock: uint256 = unsafe_div(unsafe_mul(escrow, rules.stakeBps), rules.BASIS_POINTS)
    reason: uint256 = self._check_bid(fill.bid, ALONE, continues)
    if reason == types.OK:
        reason = self._check_member(
            convert(msg.sender, bytes32), offer, word, provider_word, rate, lock, fill.bid
        )
    if reason != types.OK:
        return reason, 0, empty(bytes32)
    key: address = empty(address)
    buyer_word: uint256 = accounts._words[fill.bid.buyer]
    reason, key = self._check_buyer(
        fill.bid.buyer,
        fill.bid.epoch,
        fill.bid.nonce,
        bid_digest,
        buyer_word,
        escrow,
        fill.r,
        fill.vs,
    )
    if reason != types.OK:
        return reason, 0, empty(bytes32)
    if fill.bid.nonce >> 5 == buyer_word >> accounts.PAGE_PLACE:
        # As `_spend` does where the nonce is in the window.
        place: uint256 = unsafe_add(accounts.WINDOW_PLACE, fill.bid.nonce & 31)
        accounts._words[fill.bid.buyer] = unsafe_sub(buyer_word, escrow) | (1 << place)
    else:
        accounts._spend(fill.bid.buyer, buyer_word, escrow, fill.bid.nonce)
    if key != empty(address):
        delegates._draw(fill.bid.buyer, key, escrow)
    lease: bytes32 = self._open(
        offer.provider, offer_digest, fill.bid, bid_digest, 0, rate, escrow, leases.ACTIVE
    )
    return types.OK, lock << accounts.STAKE_PLACE, lease


@internal
def _match_one(
    offer: types.Offer,
    digest: bytes32,
    fill: types.Fill,
    bid_digest: bytes32,
    continues: bytes32,
) -> (uint256, bytes32):
    # One bid, with the words of its offer and provider read and written here.
    word: uint256 = registry._words[digest]
    provider_word: uint256 = accounts._words[offer.provider]
    reason: uint256 = 0
    locked: uint256 = 0
    lease: bytes32 = empty(bytes32)
    reason, locked, lease = self._match(
        offer, digest, word, provider_word, fill, bid_digest, continues
    )
    if reason == types.OK:
        # Both were checked to fit.
        registry._words[digest] = unsafe_add(word, fill.bid.want)
        accounts._words[offer.provider] = unsafe_sub(provider_word, locked)
    return reason, lease


@internal
@view
def _check_fill(matcher: bytes32, offer: types.Offer, fill: types.Fill) -> uint256:
    # What `_match` would tell first; for the view alone.
    rate: uint256 = fill.deal & types.RATE
    escrow: uint256 = leases._escrow(rate, fill.bid.duration)
    reason: uint256 = self._check_bid(fill.bid, ALONE, empty(bytes32))
    if reason == types.OK:
        word: uint256 = registry._words[signatures._offer_digest(offer)]
        provider_word: uint256 = accounts._words[offer.provider]
        lock: uint256 = rules._lock(escrow)
        reason = self._check_member(matcher, offer, word, provider_word, rate, lock, fill.bid)
    if reason == types.OK:
        digest: bytes32 = signatures._bid_digest(fill.bid)
        word: uint256 = accounts._words[fill.bid.buyer]
        key: address = empty(address)
        reason, key = self._check_buyer(
            fill.bid.buyer,
            fill.bid.epoch,
            fill.bid.nonce,
            digest,
            word,
            escrow,
            fill.r,
            fill.vs,
        )
    return reason
