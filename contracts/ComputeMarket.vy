# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title A market that rents out compute capacity and settles usage
@license Apache-2.0
@notice Providers register offers, buyers sign bids and deposit money, matchers bring the two together,
    and receipts that the bid's signer signed move escrow to the provider. Nobody administers funds.
    Batches skip and log a bad item; everything else reverts whole.
"""

from ethereum.ercs import IERC20

from . import accounts
from . import events
from . import lanes
from . import leases
from . import matching
from . import registry
from . import signatures
from . import types

initializes: accounts
initializes: signatures
initializes: registry[accounts := accounts, signatures := signatures]
initializes: leases[accounts := accounts, registry := registry, signatures := signatures]
initializes: matching[
    accounts := accounts, leases := leases, registry := registry, signatures := signatures
]

token: public(immutable(IERC20))
receiptInterval: public(immutable(uint256))
grace: public(immutable(uint256))


@deploy
def __init__(token_: address, receiptInterval_: uint256, grace_: uint256):
    """
    @notice Fixes the token and the policy for good.
    @param token_ The ERC-20 that is paid in; one without return values is fine, a rebasing one is not.
    @param receiptInterval_ Seconds between two receipts of a lease; advice to signers and providers.
    @param grace_ Seconds that a lease's last receipt may come late before anybody may close it.
    """
    assert token_ != empty(address), "market: no token"
    assert receiptInterval_ < 2**32 and grace_ < 2**32, "market: policy"
    signatures.__init__()
    token = IERC20(token_)
    receiptInterval = receiptInterval_
    grace = grace_


# Money in and out.

@external
def deposit(amount: uint256):
    """
    @notice Pulls tokens from the caller, who approved them before, and credits what arrived.
    @param amount Base units; credited is the smaller of this and what the balance grew by.
    """
    before: uint256 = staticcall token.balanceOf(self)
    moved: bool = extcall token.transferFrom(msg.sender, self, amount, default_return_value=True)
    assert moved, "market: token refused"
    held: uint256 = staticcall token.balanceOf(self)
    # All that the market owes is held, so below this bound no balance can outgrow its 88 bits.
    assert held <= accounts.BALANCE, "market: holds too much"
    received: uint256 = min(amount, held - before)
    assert received != 0, "market: nothing deposited"
    accounts._credit(msg.sender, received)
    log events.Deposited(account=msg.sender, amount=received)


@external
def withdraw(amount: uint256):
    """
    @notice Pays the caller's own free balance out to the caller.
    @param amount Base units, not above the balance.
    """
    assert amount != 0, "market: nothing to withdraw"
    accounts._debit(msg.sender, amount)
    log events.Withdrawn(account=msg.sender, amount=amount)
    moved: bool = extcall token.transfer(msg.sender, amount, default_return_value=True)
    assert moved, "market: token refused"


# Offers, epochs and nonces.

@external
def registerOffer(offer: types.Offer):
    """
    @notice Puts the caller's offer on the market under its EIP-712 digest; once per digest.
    @param offer Of the caller, in the caller's epoch, still valid, of one vendor and one region.
    """
    registry._register(offer)


@external
def cancelOffer(offer: types.Offer):
    """
    @notice Ends an offer for new leases; open ones go on. A cancelled offer never comes back.
    @param offer One that the caller registered.
    """
    registry._cancel(offer)


@external
def bumpEpoch():
    """
    @notice Voids every offer and bid that the caller made so far; open leases go on.
    """
    epoch: uint256 = accounts._bump_epoch(msg.sender)
    log events.EpochBumped(account=msg.sender, epoch=epoch)


@external
def cancelNonces(word: uint256, mask: uint256):
    """
    @notice Voids the caller's bids with the nonces word * 256 + i, for each bit i of the mask.
    @param word Nonces divided by 256.
    @param mask One bit a nonce.
    """
    accounts._cancel_nonces(msg.sender, word, mask)
    log events.NoncesCancelled(account=msg.sender, word=word, mask=mask)


# Matching.

@external
def matchBid(offer: types.Offer, fill: types.Fill):
    """
    @notice Opens one lease, cheaper than a batch of one; a bid that may not open is skipped and logged.
    @param offer A registered offer.
    @param fill The signed bid and the rate; its offerIndex is ignored.
    """
    offer_digest: bytes32 = signatures._offer_digest(offer)
    bid_digest: bytes32 = signatures._bid_digest(fill.bid)
    reason: uint256 = matching._check_fill(msg.sender, offer, offer_digest, fill, bid_digest)
    if reason == types.OK:
        matching._open(offer.provider, offer_digest, fill, bid_digest)
    else:
        log events.BidSkipped(bid=bid_digest, reason=reason)


@external
def matchBids(
    offers: DynArray[types.Offer, types.MAX_ITEMS],
    fills: DynArray[types.Fill, types.MAX_ITEMS],
    root: bytes32,
):
    """
    @notice Opens many leases; a bid that may not open is skipped and logged, the others take effect.
    @param offers The offers that the fills point into.
    @param fills Signed bids with the rate and the index of the offer of each.
    @param root What the matcher publishes about its round; only logged.
    """
    digests: DynArray[bytes32, types.MAX_ITEMS] = []
    for offer: types.Offer in offers:
        digest: bytes32 = signatures._offer_digest(offer)
        digests.append(digest)
    opened: uint256 = 0
    for fill: types.Fill in fills:
        bid_digest: bytes32 = signatures._bid_digest(fill.bid)
        reason: uint256 = types.OFFER_UNKNOWN
        if fill.offerIndex < len(offers):
            index: uint256 = fill.offerIndex
            reason = matching._check_fill(msg.sender, offers[index], digests[index], fill, bid_digest)
        if reason == types.OK:
            matching._open(offers[fill.offerIndex].provider, digests[fill.offerIndex], fill, bid_digest)
            opened += 1
        else:
            log events.BidSkipped(bid=bid_digest, reason=reason)
    log events.BatchMatched(matcher=msg.sender, root=root, opened=opened, skipped=len(fills) - opened)


# Settlement.

@external
def settle(item: types.Settlement):
    """
    @notice Pays a lease up to a receipt of its signer; anybody may deliver it. A receipt that may not
        pay is skipped and logged. The last receipt closes the lease and refunds the rest.
    @param item The lease's terms and the signed cumulative receipt.
    """
    leases._settle(item)


@external
def settleMany(items: DynArray[types.Settlement, types.MAX_ITEMS]):
    """
    @notice Settles many receipts; one that may not pay is skipped and logged, the others take effect.
    @param items The leases' terms and their signed cumulative receipts.
    """
    for item: types.Settlement in items:
        leases._settle(item)


@external
def release(terms: types.LeaseTerms):
    """
    @notice The provider gives a lease back: it closes at what is paid, the rest returns to the buyer.
    @param terms Of an open lease of the caller.
    """
    leases._release(terms)


@external
def terminate(terms: types.LeaseTerms):
    """
    @notice The buyer ends a lease now, once. Receipts for the time before stay good; the end is at
        least one second after the start (zero means not terminated) and never after the duration.
    @param terms Of an open lease of the caller.
    """
    leases._terminate(terms)


@external
def close(terms: types.LeaseTerms):
    """
    @notice Anybody closes a lease from its end + grace on, at what is paid; the rest returns to the
        buyer. Reverts where that may not be.
    @param terms Of an open lease.
    """
    lease: bytes32 = signatures._lease_id(terms)
    reason: uint256 = leases._check_close(terms, lease, grace)
    assert reason != types.LEASE_UNKNOWN, "market: no such lease"
    assert reason != types.NOT_YET, "market: not yet"
    leases._expire(lease, terms)


@external
def closeMany(items: DynArray[types.LeaseTerms, types.MAX_ITEMS]):
    """
    @notice Closes many leases from their end + grace on; others are skipped and logged.
    @param items Terms of leases.
    """
    for terms: types.LeaseTerms in items:
        lease: bytes32 = signatures._lease_id(terms)
        reason: uint256 = leases._check_close(terms, lease, grace)
        if reason == types.OK:
            leases._expire(lease, terms)
        else:
            log events.ReceiptSkipped(lease=lease, reason=reason)


# Views.

@external
@view
def balanceOf(account: address) -> uint256:
    """
    @notice What an account may withdraw or spend on leases.
    @param account Whose.
    @return Base units.
    """
    return accounts._balance(account)


@external
@view
def epochOf(account: address) -> uint256:
    """
    @notice The epoch that an account's offers and bids must carry.
    @param account Whose.
    @return Starts at 0.
    """
    return accounts._epoch(account)


@external
@view
def nonceUsed(account: address, nonce: uint256) -> bool:
    """
    @notice Whether a bid with this nonce can no longer open.
    @param account The buyer.
    @param nonce Of the bid.
    @return True where it opened a lease or was cancelled.
    """
    return accounts._nonce_used(account, nonce)


@external
@view
def usedOf(digest: bytes32) -> uint256:
    """
    @notice How much of an offer's capacity is in open leases.
    @param digest EIP-712 digest of the offer.
    @return Seven lanes, without the flags above them.
    """
    return registry._words[digest] & lanes.LANES


@external
@view
def offerFlags(digest: bytes32) -> uint256:
    """
    @notice Whether an offer is registered (bit 0) and cancelled (bit 1).
    @param digest EIP-712 digest of the offer.
    @return The flags; 0 for an unknown offer.
    """
    return registry._words[digest] >> registry.FLAGS_PLACE


@external
@view
def leaseOf(lease: bytes32) -> (uint256, uint256, uint256, uint256, uint256):
    """
    @notice An open lease; all zero before it opens and after it closes.
    @param lease Its id.
    @return Escrow, paid so far, start, end offset (0 until terminated), state (1 active).
    """
    word: uint256 = leases._words[lease]
    return (
        word & leases.AMOUNT,
        leases._paid(word),
        leases._start(word),
        leases._end_offset(word),
        word >> leases.STATE_PLACE,
    )


@external
@view
def checkFill(matcher: address, offer: types.Offer, fill: types.Fill) -> uint256:
    """
    @notice Why a bid would be skipped in the next block, were it matched by `matcher`.
    @param matcher Who would send it.
    @param offer The offer.
    @param fill The signed bid and the rate.
    @return A reason code; 0 where it would open.
    """
    offer_digest: bytes32 = signatures._offer_digest(offer)
    bid_digest: bytes32 = signatures._bid_digest(fill.bid)
    return matching._check_fill(matcher, offer, offer_digest, fill, bid_digest)


@external
@view
def checkSettlement(item: types.Settlement) -> uint256:
    """
    @notice Why a receipt would be skipped in the next block.
    @param item The lease's terms and the signed receipt.
    @return A reason code; 0 where it would pay.
    """
    return leases._check_settlement(item, signatures._lease_id(item.terms))


@external
@view
def offerDigest(offer: types.Offer) -> bytes32:
    """
    @notice The EIP-712 digest that names an offer.
    @param offer The offer.
    @return The digest, with this market's domain.
    """
    return signatures._offer_digest(offer)


@external
@view
def bidDigest(bid: types.Bid) -> bytes32:
    """
    @notice The EIP-712 digest that a buyer signs.
    @param bid The bid.
    @return The digest, with this market's domain.
    """
    return signatures._bid_digest(bid)


@external
@view
def leaseId(terms: types.LeaseTerms) -> bytes32:
    """
    @notice The id of the lease with these terms, whether it is open or not.
    @param terms Its terms.
    @return The id; receipts name it.
    """
    return signatures._lease_id(terms)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice The EIP-712 domain separator of this market on this chain.
    @return The separator.
    """
    return signatures._domain_separator()


@external
@view
def eip712Domain() -> (
    bytes1, String[13], String[1], uint256, address, bytes32, DynArray[uint256, 1]
):
    """
    @notice The EIP-712 domain (EIP-5267): name, version, chain id and this contract.
    @return Fields 0x0f, name, version, chain id, contract, no salt, no extensions.
    """
    return (
        0x0f,
        signatures.NAME,
        signatures.VERSION,
        chain.id,
        self,
        empty(bytes32),
        empty(DynArray[uint256, 1]),
    )
