# pragma version 0.4.3
"""
@title Whether a bid may open on an offer, and its opening
@notice The check is a view in guarded arithmetic without external calls: no item can revert a batch.
"""

from . import accounts
from . import events
from . import lanes
from . import leases
from . import registry
from . import signatures
from . import traits
from . import types

uses: accounts
uses: leases
uses: registry
uses: signatures

BASIS_POINTS: constant(uint256) = 10_000


@internal
@pure
def _check_bid(bid: types.Bid) -> uint256:
    if not lanes._valid(bid.want) or bid.want == 0 or bid.signer == empty(address):
        return types.BID_FIELD
    if bid.limitRate >= 2**96 or bid.maxOverAskBps >= 2**16:
        return types.BID_FIELD
    if bid.duration == 0 or bid.duration >= 2**32:
        return types.BID_FIELD
    if bid.startBy >= 2**40 or bid.validUntil >= 2**40 or bid.openAfter >= 2**40:
        return types.BID_FIELD
    if bid.members >= 2**8 or bid.flags >= 2**8:
        return types.BID_FIELD
    if bid.epoch >= 2**64 or bid.nonce >= 2**64:
        return types.BID_FIELD
    if bid.flags != 0:
        return types.FLAGS
    if bid.members != 1:
        return types.MEMBERS
    if bid.continues != empty(bytes32):
        return types.CONTINUES
    return types.OK


@internal
@view
def _check_time(offer: types.Offer, bid: types.Bid) -> uint256:
    if block.timestamp > bid.validUntil:
        return types.BID_EXPIRED
    if block.timestamp > bid.startBy:
        return types.START_BY
    if bid.duration < offer.minSeconds or bid.duration > offer.maxSeconds:
        return types.DURATION
    if offer.validUntil < block.timestamp + bid.duration:
        return types.OFFER_EXPIRES
    return types.OK


@internal
@view
def _check_price(matcher: address, ask: uint256, rate: uint256, bid: types.Bid) -> uint256:
    chosen: bool = bid.matcher != empty(address)
    if chosen and matcher != bid.matcher:
        if block.timestamp < bid.openAfter:
            return types.MATCHER
        chosen = False
    lowest: uint256 = lanes._rate(ask, bid.want)
    if rate < lowest:
        return types.BELOW_ASK
    if rate > bid.limitRate:
        return types.ABOVE_LIMIT
    over: uint256 = 0
    if chosen:
        over = bid.maxOverAskBps
    if rate * BASIS_POINTS > lowest * (BASIS_POINTS + over):
        return types.OVER_ASK
    return types.OK


@internal
@view
def _check_buyer(fill: types.Fill, bid_digest: bytes32) -> uint256:
    buyer: address = fill.bid.buyer
    if fill.bid.epoch != accounts._epoch(buyer):
        return types.BID_EPOCH
    if accounts._nonce_used(buyer, fill.bid.nonce):
        return types.NONCE_USED
    if leases._escrow(fill.rate, fill.bid.duration) > accounts._balance(buyer):
        return types.FUNDS
    if not signatures._signed_by(buyer, bid_digest, fill.r, fill.vs):
        return types.SIGNATURE
    return types.OK


@internal
@view
def _check_fill(
    matcher: address,
    offer: types.Offer,
    offer_digest: bytes32,
    fill: types.Fill,
    bid_digest: bytes32,
) -> uint256:
    # Ranges come first: everything after them multiplies and shifts without fear.
    reason: uint256 = self._check_bid(fill.bid)
    if reason != types.OK:
        return reason
    word: uint256 = registry._words[offer_digest]
    reason = registry._check_standing(offer, word)
    if reason != types.OK:
        return reason
    if fill.bid.buyer == offer.provider:
        return types.SELF_TRADE
    if fill.bid.provider != empty(address) and fill.bid.provider != offer.provider:
        return types.PROVIDER
    reason = self._check_time(offer, fill.bid)
    if reason != types.OK:
        return reason
    if not traits._satisfies(offer.traits, fill.bid.traits):
        return types.TRAITS
    if not lanes._fits(offer.capacity, word & lanes.LANES, fill.bid.want):
        return types.CAPACITY
    reason = self._check_price(matcher, offer.ask, fill.rate, fill.bid)
    if reason != types.OK:
        return reason
    return self._check_buyer(fill, bid_digest)


@internal
def _open(provider: address, offer_digest: bytes32, fill: types.Fill, bid_digest: bytes32):
    bid: types.Bid = fill.bid
    terms: types.LeaseTerms = types.LeaseTerms(
        offer=offer_digest,
        bid=bid_digest,
        member=0,
        provider=provider,
        buyer=bid.buyer,
        signer=bid.signer,
        matcher=msg.sender,
        want=bid.want,
        rate=fill.rate,
        duration=bid.duration,
    )
    lease: bytes32 = signatures._lease_id(terms)
    escrow: uint256 = leases._escrow(fill.rate, bid.duration)
    accounts._debit(bid.buyer, escrow)
    accounts._use_nonce(bid.buyer, bid.nonce)
    registry._take(offer_digest, bid.want)
    leases._open(lease, escrow)
    log events.LeaseOpened(
        lease=lease,
        buyer=bid.buyer,
        provider=provider,
        offer=offer_digest,
        bid=bid_digest,
        signer=bid.signer,
        matcher=msg.sender,
        member=0,
        want=bid.want,
        rate=fill.rate,
        duration=bid.duration,
        start=block.timestamp,
        escrow=escrow,
        nonce=bid.nonce,
        job=bid.job,
    )
