# pragma version 0.4.3
"""
@title Several leases of one bid: all of them open, or none
@notice Everything is checked before anything is written, with what the members before take of the same
    offer, the same provider's stake and the buyer's balance. Replicas open undecided.
"""

from . import accounts
from . import delegates
from . import events
from . import leases
from . import matching
from . import registry
from . import rules
from . import signatures
from . import types

uses: accounts
uses: delegates
uses: matching
uses: registry
uses: rules
uses: signatures


@internal
def _match(
    offers: DynArray[types.Offer, types.MAX_ITEMS],
    members: DynArray[types.Member, types.MAX_ITEMS],
    bid: types.Bid,
    r: bytes32,
    vs: bytes32,
    seed: bytes32,
):
    bid_digest: bytes32 = signatures._bid_digest(bid)
    expected: uint256 = len(members)
    if expected < 2:
        # No gang; and no bid has so many members.
        expected = max_value(uint256)
    reason: uint256 = matching._check_bid(bid, expected, empty(bytes32))
    total: uint256 = 0
    digests: bytes32[types.MAX_ITEMS] = empty(bytes32[types.MAX_ITEMS])
    locks: uint256[types.MAX_ITEMS] = empty(uint256[types.MAX_ITEMS])
    providers: bytes32[types.MAX_ITEMS] = empty(bytes32[types.MAX_ITEMS])
    count: uint256 = 0
    for member: types.Member in members:
        if reason != types.OK:
            break
        if member.offerIndex >= len(offers):
            reason = types.OFFER_UNKNOWN
            break
        offer: types.Offer = offers[member.offerIndex]
        digest: bytes32 = signatures._offer_digest(offer)
        word: uint256 = registry._words[digest]
        provider_word: uint256 = accounts._words[offer.provider]
        repeated: bool = False
        # What the members before take; each was checked to fit, so nothing borrows or carries.
        for i: uint256 in range(count, bound=types.MAX_ITEMS):
            if providers[i] == offer.provider:
                repeated = True
                provider_word = unsafe_sub(provider_word, locks[i])
                if digests[i] == digest:
                    word = unsafe_add(word, bid.want)
        escrow: uint256 = leases._escrow(member.rate, bid.duration)
        lock: uint256 = rules._lock(escrow)
        reason = matching._check_member(
            convert(msg.sender, bytes32), offer, word, provider_word, member.rate, lock, bid
        )
        if repeated and reason == types.OK and bid.flags & (types.DISTINCT | types.REPLICAS) != 0:
            reason = types.NOT_DISTINCT
        total = unsafe_add(total, escrow)
        providers[count] = offer.provider
        digests[count] = digest
        locks[count] = lock << accounts.STAKE_PLACE
        count = unsafe_add(count, 1)
    key: address = empty(address)
    buyer_word: uint256 = accounts._words[bid.buyer]
    if reason == types.OK:
        reason, key = matching._check_buyer(
            bid.buyer, bid.epoch, bid.nonce, bid_digest, buyer_word, total, r, vs
        )
    if reason != types.OK:
        log events.BidSkipped(bid=bid_digest, reason=reason)
        return
    state: uint256 = leases.ACTIVE
    if bid.flags & types.REPLICAS != 0:
        state = leases.ACTIVE | leases.UNDECIDED
    accounts._spend(bid.buyer, buyer_word, total, bid.nonce)
    if key != empty(address):
        delegates._draw(bid.buyer, key, total)
    for i: uint256 in range(count, bound=types.MAX_ITEMS):
        provider: bytes32 = providers[i]
        accounts._words[provider] = unsafe_sub(accounts._words[provider], locks[i])
        registry._words[digests[i]] = unsafe_add(registry._words[digests[i]], bid.want)
        rate: uint256 = members[i].rate
        escrow: uint256 = leases._escrow(rate, bid.duration)
        matching._open(provider, digests[i], bid, bid_digest, i, rate, escrow, state)
    if state != leases.ACTIVE:
        log events.ReplicasOpened(
            bid=bid_digest, members=count, agree=bid.flags >> types.AGREE_PLACE, seed=seed
        )
