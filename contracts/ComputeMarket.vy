# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title A market that rents out compute capacity and settles usage
@license Apache-2.0
@notice Providers register offers and stake, buyers sign bids and deposit money, matchers bring the two
    together, and receipts that the bid's signer signed move escrow to the provider. Nobody administers
    funds. Batches skip and log a bad item; everything else reverts whole.
"""

from . import accounts
from . import claims
from . import continuing
from . import delegates
from . import errors
from . import events
from . import gangs
from . import lanes
from . import leases
from . import matching
from . import money
from . import pausing
from . import rules
from . import registry
from . import signatures
from . import staking
from . import types

initializes: errors
initializes: accounts[errors := errors]
initializes: delegates[errors := errors]
initializes: pausing[errors := errors]
initializes: rules
initializes: signatures
initializes: money[accounts := accounts, errors := errors, signatures := signatures]
initializes: registry[
    accounts := accounts, delegates := delegates, errors := errors, signatures := signatures
]
initializes: staking[accounts := accounts, errors := errors, rules := rules]
initializes: leases[
    accounts := accounts,
    delegates := delegates,
    errors := errors,
    rules := rules,
    registry := registry,
    signatures := signatures,
    staking := staking,
]
initializes: claims[
    accounts := accounts,
    delegates := delegates,
    errors := errors,
    leases := leases,
    rules := rules,
    signatures := signatures,
    staking := staking,
]
initializes: matching[
    accounts := accounts,
    delegates := delegates,
    leases := leases,
    rules := rules,
    registry := registry,
    signatures := signatures,
]
initializes: gangs[
    accounts := accounts,
    delegates := delegates,
    matching := matching,
    registry := registry,
    rules := rules,
    signatures := signatures,
]
initializes: continuing[
    errors := errors, leases := leases, matching := matching, signatures := signatures
]

interface IJury:
    def bind(): nonpayable

_arbiter: immutable(address)
_jury: immutable(address)


@deploy
def __init__(
    token_: address, guardian_: address, arbiter_: address, jury_: address, policy_: types.Policy
):
    """
    @notice Fixes the token, the roles and the policy for good, and becomes the jury's market.
    @param token_ The ERC-20 that is paid in; one without return values is fine, a rebasing one is not.
    @param guardian_ Who may pause new business for seven days; the zero address for nobody.
    @param arbiter_ Who decides contested claims: a key, a multi-signature wallet, any contract.
    @param jury_ The contract that judges replicas; not bound to a market yet.
    @param policy_ Windows in seconds; fee, lock and no-show burn in 1/10,000.
    """
    assert arbiter_ != empty(address), "market: no arbiter"
    assert jury_ != empty(address), "market: no jury"
    errors.__init__()
    signatures.__init__()
    money.__init__(token_)
    pausing.__init__(guardian_)
    rules.__init__(policy_)
    _arbiter = arbiter_
    _jury = jury_
    log events.MarketDeployed(
        token=token_,
        guardian=guardian_,
        arbiter=arbiter_,
        jury=jury_,
        receiptInterval=policy_.receiptInterval,
        grace=policy_.grace,
        challengeWindow=policy_.challengeWindow,
        arbitrationWindow=policy_.arbitrationWindow,
        unstakeDelay=policy_.unstakeDelay,
        feeBps=policy_.feeBps,
        stakeBps=policy_.stakeBps,
        noShowBps=policy_.noShowBps,
    )
    extcall IJury(jury_).bind()


# Money in and out, and stake.

@external
def deposit(amount: uint256):
    """
    @notice Pulls tokens from the caller, who approved them before, and credits what arrived.
    @param amount Base units; credited is the smaller of this and what the balance grew by.
    """
    pausing._check_running()
    money._pull(msg.sender, amount)


@external
def depositWithPermit(owner: address, amount: uint256, deadline: uint256, r: bytes32, vs: bytes32):
    """
    @notice Anybody delivers the owner's ERC-2612 permit, and the owner's tokens are deposited for it.
        A permit that was delivered before, and left just this allowance, is used on.
    @param owner Who signed, and is credited.
    @param amount Base units; credited is the smaller of this and what the balance grew by.
    @param deadline Of the permit.
    @param r First half of the signature.
    @param vs Second half, with the parity in the top bit (EIP-2098).
    """
    pausing._check_running()
    money._permit(owner, amount, deadline, r, vs)
    money._pull(owner, amount)


@external
def withdraw(amount: uint256):
    """
    @notice Pays the caller's own free balance out to the caller.
    @param amount Base units, not above the balance.
    """
    money._pay_out(msg.sender, msg.sender, amount)


@external
def withdrawSigned(item: types.Withdrawal, r: bytes32, vs: bytes32):
    """
    @notice Anybody delivers an account's signed order to pay its free balance out; once a nonce.
    @param item Who pays, to whom, how much, the nonce (shared with bids) and the last second.
    @param r First half of the account's signature.
    @param vs Second half, with the parity in the top bit (EIP-2098).
    """
    money._use_withdrawal(item, r, vs)
    money._pay_out(item.account, item.to, item.amount)


@external
def stake(amount: uint256):
    """
    @notice Moves the caller's balance to its free stake, which leases lock a share of.
    @param amount Base units, not above the balance.
    """
    staking._stake(amount)


@external
def requestUnstake(amount: uint256):
    """
    @notice Takes free stake out at once and queues it; the clock of all that is queued starts anew.
    @param amount Base units, not above the free stake.
    """
    staking._request_unstake(amount)


@external
def finishUnstake(account: address):
    """
    @notice Anybody moves all that an account queued to its balance, once the delay has passed.
    @param account Whose.
    """
    staking._finish_unstake(account)


# Guardian and delegates.

@external
def pause():
    """
    @notice The guardian stops deposits, registrations and matches for seven days, and not again in the
        seven days after. Exits go on.
    """
    pausing._pause()


@external
def unpause():
    """
    @notice The guardian ends its pause.
    """
    pausing._unpause()


@external
def renounceGuardian():
    """
    @notice The guardian gives its power up for good; a pause that runs ends by itself.
    """
    pausing._renounce()


@external
def setDelegate(key: address, roles: uint256, allowance: uint256, until: uint256):
    """
    @notice Lets a key act for the caller, replacing what it might before; no roles revoke it.
    @param key Whose signature or call will count; not the caller.
    @param roles 1 SPEND: signs bids within the allowance, terminates. 2 OPERATE: registers, cancels,
        releases, claims, commits and reveals. 3 both.
    @param allowance Base units of escrow that bids of the key may commit; refunds do not restore it.
    @param until The last second at which the key counts.
    """
    delegates._set(key, roles, allowance, until)


# Offers, epochs and nonces.

@external
def registerOffer(offer: types.Offer):
    """
    @notice Puts an offer on the market under its EIP-712 digest; once per digest.
    @param offer Of the caller or of one that it operates for, in the provider's epoch, still valid, of
        one vendor and one region.
    """
    pausing._check_running()
    registry._register(offer)


@external
def registerOffers(offers: DynArray[types.Offer, types.MAX_ITEMS]):
    """
    @notice Puts many offers on the market; reverts whole for a bad one.
    @param offers Each as for one.
    """
    pausing._check_running()
    for offer: types.Offer in offers:
        registry._register(offer)


@external
def cancelOffer(offer: types.Offer):
    """
    @notice Ends an offer for new leases; open ones go on. A cancelled offer never comes back.
    @param offer A registered one of the caller or of one that it operates for.
    """
    registry._cancel(offer)


@external
def bumpEpoch():
    """
    @notice Voids every offer and bid that the caller made so far; open leases go on.
    """
    epoch: uint256 = accounts._bump_epoch(convert(msg.sender, bytes32))
    log events.EpochBumped(account=msg.sender, epoch=epoch)


@external
def cancelNonces(word: uint256, mask: uint256):
    """
    @notice Voids the caller's bids with the nonces word * 256 + i, for each bit i of the mask.
    @param word Nonces divided by 256.
    @param mask One bit a nonce.
    """
    money._cancel_nonces(msg.sender, word, mask)


# Matching.

@external
def matchBid(offer: types.Offer, fill: types.Fill):
    """
    @notice Opens one lease, cheaper than a batch of one; a bid that may not open is skipped and logged.
    @param offer A registered offer.
    @param fill The signed bid and the rate; its index of an offer is ignored.
    """
    pausing._check_running()
    digest: bytes32 = signatures._offer_digest(offer)
    bid_digest: bytes32 = signatures._bid_digest(fill.bid)
    reason: uint256 = 0
    lease: bytes32 = empty(bytes32)
    reason, lease = matching._match_one(offer, digest, fill, bid_digest, empty(bytes32))
    if reason != types.OK:
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
    pausing._check_running()
    # Consecutive bids on one offer read and write the words of the offer and its provider once. Nothing
    # else changes them meanwhile: a bid of that provider on its own offer is refused, and on another
    # offer it comes after the words were written back. (An internal function would copy the arrays.)
    opened: uint256 = 0
    held: uint256 = max_value(uint256)
    offer: types.Offer = empty(types.Offer)
    digest: bytes32 = empty(bytes32)
    word: uint256 = 0
    provider_word: uint256 = 0
    for fill: types.Fill in fills:
        bid_digest: bytes32 = signatures._digest(
            keccak256(abi_encode(signatures.BID_TYPE, fill.bid))
        )
        index: uint256 = fill.deal >> types.INDEX_PLACE
        reason: uint256 = types.OFFER_UNKNOWN
        if index < len(offers):
            if index != held:
                # Nothing is held at first, and nothing was taken from what is not registered.
                if word != 0:
                    registry._words[digest] = word
                    accounts._words[offer.provider] = provider_word
                held = index
                offer = offers[index]
                digest = signatures._offer_digest(offer)
                word = registry._words[digest]
                provider_word = accounts._words[offer.provider]
            locked: uint256 = 0
            lease: bytes32 = empty(bytes32)
            reason, locked, lease = matching._match(
                offer, digest, word, provider_word, fill, bid_digest, empty(bytes32)
            )
            if reason == types.OK:
                # Both were checked to fit.
                word = unsafe_add(word, fill.bid.want)
                provider_word = unsafe_sub(provider_word, locked)
                opened = unsafe_add(opened, 1)
        if reason != types.OK:
            log events.BidSkipped(bid=bid_digest, reason=reason)
    if word != 0:
        registry._words[digest] = word
        accounts._words[offer.provider] = provider_word
    log events.BatchMatched(
        matcher=msg.sender, root=root, opened=opened, skipped=unsafe_sub(len(fills), opened)
    )


@external
def matchGang(
    offers: DynArray[types.Offer, types.MAX_ITEMS],
    members: DynArray[types.Member, types.MAX_ITEMS],
    bid: types.Bid,
    r: bytes32,
    vs: bytes32,
    seed: bytes32,
):
    """
    @notice Opens all leases of one bid, or none: then the first reason is logged.
    @param offers The offers that the members point into.
    @param members For each lease its offer's index and its rate, as many as the bid says.
    @param bid Of 2 to 32 members.
    @param r First half of the bid's signature.
    @param vs Second half, with the parity in the top bit (EIP-2098).
    @param seed What the matcher drew the providers of replicas by; logged with replicas.
    """
    pausing._check_running()
    gangs._match(offers, members, bid, r, vs, seed)


@external
def continueLease(item: types.Settlement, offer: types.Offer, fill: types.Fill):
    """
    @notice Closes a lease with its last receipt and opens its next, of the same buyer on the same offer;
        reverts whole where either may not be.
    @param item The old lease's terms and its signed last receipt.
    @param offer The offer of both.
    @param fill The signed bid that names the old lease, and the rate; its index of an offer is
        ignored.
    """
    pausing._check_running()
    continuing._continue(item, offer, fill)


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
    # Consecutive receipts of one offer are one write to the offer and one to its provider, those of one
    # matcher one credit and one event. Nothing else in here writes an offer's word, and credits add up
    # in any order. (An internal function would copy the array.)
    matcher: bytes32 = empty(bytes32)
    fees: uint256 = 0
    offer: bytes32 = empty(bytes32)
    offer_word: uint256 = 0
    provider: bytes32 = empty(bytes32)
    credits: uint256 = 0
    separator: bytes32 = signatures._domain_separator()
    for item: types.Settlement in items:
        lease: bytes32 = keccak256(abi_encode(separator, item.terms))
        word: uint256 = leases._words[lease]
        reason: uint256 = 0
        paid: uint256 = 0
        reason, paid = leases._check_settlement(item, lease, word)
        if reason != types.OK:
            log events.ReceiptSkipped(lease=lease, reason=reason)
            continue
        if item.terms.matcher != matcher:
            leases._pay_fee(matcher, fees)
            matcher = item.terms.matcher
            fees = 0
        if item.terms.offer != offer:
            accounts._add(provider, credits)
            if offer_word != 0:
                registry._words[offer] = offer_word
            offer = item.terms.offer
            offer_word = 0
            provider = item.terms.provider
            credits = 0
        credit: uint256 = 0
        fee: uint256 = 0
        credit, fee = leases._apply_receipt(item, lease, word, paid, types.LAST_RECEIPT)
        credits = unsafe_add(credits, credit)
        fees = unsafe_add(fees, fee)
        if item.usage >= types.LAST:
            if offer_word == 0:
                offer_word = registry._words[offer]
            # As `registry._released`.
            rest: uint256 = unsafe_sub(offer_word | lanes.GUARDS, item.terms.want)
            kept: uint256 = rest & lanes.GUARDS
            flags: uint256 = offer_word >> registry.FLAGS_PLACE << registry.FLAGS_PLACE
            offer_word = rest & unsafe_sub(kept, kept >> 31) | flags
    accounts._add(provider, credits)
    if offer_word != 0:
        registry._words[offer] = offer_word
    leases._pay_fee(matcher, fees)


@external
def release(terms: types.LeaseTerms):
    """
    @notice The provider gives a lease back: it closes at what is paid, the rest returns to the buyer.
    @param terms Of an open lease of the caller or of one that it operates for.
    """
    leases._release(terms)


@external
def terminate(terms: types.LeaseTerms):
    """
    @notice The buyer ends a lease now, once. Receipts for the time before stay good; the end is at
        least one second after the start (zero means not terminated) and never after the duration.
    @param terms Of an open lease of the caller or of one that it may spend for.
    """
    leases._terminate(terms)


@external
def close(terms: types.LeaseTerms):
    """
    @notice Anybody closes a lease from its end + grace on, at what is paid; the rest returns to the
        buyer. Where nothing was ever paid, a part of the provider's lock is burned. Reverts where it
        may not close.
    @param terms Of an open lease.
    """
    leases._close_due(terms)


@external
def closeMany(items: DynArray[types.LeaseTerms, types.MAX_ITEMS]):
    """
    @notice Closes many leases from their end + grace on; others are skipped and logged.
    @param items Terms of leases.
    """
    for terms: types.LeaseTerms in items:
        lease: bytes32 = signatures._lease_id(terms)
        word: uint256 = leases._words[lease]
        reason: uint256 = leases._check_close(terms.duration, word)
        if reason == types.OK:
            leases._expire(lease, terms, word)
        else:
            log events.ReceiptSkipped(lease=lease, reason=reason)


# Claims, and the jury's judgement.

@external
def claim(terms: types.LeaseTerms, milliseconds: uint256):
    """
    @notice A provider whose counterpart stopped signing claims pay, two receipt intervals beyond what is
        paid at most. What goes beyond one is matched by a bond from its balance.
    @param terms Of an open lease of the caller or of one that it operates for.
    @param milliseconds Cumulative, bounded as a receipt is.
    """
    claims._open(terms, milliseconds)


@external
def contest(terms: types.LeaseTerms):
    """
    @notice The buyer contests a claim within the challenge window, with a bond of the claim's size.
    @param terms Of a claimed lease of the caller.
    """
    claims._contest(terms)


@external
def decide(terms: types.LeaseTerms, paid: uint256, slash: uint256):
    """
    @notice The arbiter decides a contested claim within the arbitration window, and closes the lease.
        The provider's bond is burned where the claim is denied whole, the buyer's where it is upheld whole.
    @param terms Of a contested lease.
    @param paid The lease's total, from what was paid to what is claimed.
    @param slash Base units to burn of the lease's lock.
    """
    errors._require(msg.sender == _arbiter, errors.NOT_THE_ARBITER)
    claims._decide(terms, paid, slash)


@external
def finalize(terms: types.LeaseTerms):
    """
    @notice Anybody ends a claim whose window has passed: uncontested it is upheld; where the arbiter kept
        silent it is split in half, and half of its value comes from the buyer's bond.
    @param terms Of a claimed or contested lease.
    """
    claims._finalize(terms)


@external
def judge(terms: types.LeaseTerms, guilty: bool):
    """
    @notice The jury judges a replica: the whole lock of a guilty one is burned and its lease closes; any
        other goes on, and ends now where nobody ended it before.
    @param terms Of an open lease that is undecided.
    @param guilty Whether its result was outvoted.
    """
    errors._require(msg.sender == _jury, errors.NOT_THE_JURY)
    leases._judge(terms, guilty)


# Views.

@external
@view
@reentrant
def token() -> address:
    """
    @notice The ERC-20 that this market pays in.
    @return Its address.
    """
    return money.token


@external
@view
def guardian() -> address:
    """
    @notice Who may pause new business.
    @return The zero address once it has renounced.
    """
    return pausing.guardian


@external
@view
@reentrant
def arbiter() -> address:
    """
    @notice Who decides contested claims.
    @return Its address.
    """
    return _arbiter


@external
@view
@reentrant
def jury() -> address:
    """
    @notice The contract that judges replicas.
    @return Its address.
    """
    return _jury


@external
@view
@reentrant
def policy() -> types.Policy:
    """
    @notice What this market fixed for good.
    @return Windows in seconds; fee, lock and no-show burn in 1/10,000.
    """
    return rules._all()


@external
@view
def pausedUntil() -> uint256:
    """
    @notice From when on new business goes on.
    @return A time, which is past where the market is not paused; 0 where it never was.
    """
    return pausing.pausedUntil


@external
@view
def burned() -> uint256:
    """
    @notice Stakes and bonds that are nobody's any more.
    @return Base units.
    """
    return staking.burned


@external
@view
def balanceOf(account: address) -> uint256:
    """
    @notice What an account may withdraw, stake or spend on leases.
    @param account Whose.
    @return Base units.
    """
    return accounts._words[convert(account, bytes32)] << accounts.ABOVE_BALANCE >> accounts.AMOUNT_SHIFT


@external
@view
def stakeOf(account: address) -> uint256:
    """
    @notice An account's free stake, which new leases may lock.
    @param account Whose.
    @return Base units.
    """
    return accounts._words[convert(account, bytes32)] << accounts.ABOVE_STAKE >> accounts.AMOUNT_SHIFT


@external
@view
def unstakingOf(account: address) -> (uint256, uint256):
    """
    @notice What an account has queued to leave its stake.
    @param account Whose.
    @return Base units, and from when on they can be had.
    """
    queue: uint256 = staking._queues[account]
    return queue << 128 >> 128, queue >> staking.UNLOCK_PLACE


@external
@view
def epochOf(account: address) -> uint256:
    """
    @notice The epoch that an account's offers and bids must carry.
    @param account Whose.
    @return Starts at 0.
    """
    return accounts._words[convert(account, bytes32)] << accounts.ABOVE_EPOCH >> accounts.EPOCH_SHIFT


@external
@view
def nonceUsed(account: address, nonce: uint256) -> bool:
    """
    @notice Whether a bid or a withdrawal with this nonce no longer counts.
    @param account Whose.
    @param nonce Of the bid or the withdrawal.
    @return True where it was used or cancelled.
    """
    owner: bytes32 = convert(account, bytes32)
    return accounts._nonce_used(owner, accounts._words[owner], nonce)


@external
@view
def nonceWindow(account: address) -> (uint256, uint256):
    """
    @notice The newest page of an account's nonces: unused ones of this page are the cheapest to use.
    @param account Whose.
    @return The page (nonce divided by 32), and a bit for each used nonce of it.
    """
    window: uint256 = accounts._words[convert(account, bytes32)] >> accounts.WINDOW_PLACE
    return window >> 32, window & accounts.PAGE_BITS


@external
@view
def delegateOf(account: address, key: address) -> (uint256, uint256, uint256):
    """
    @notice What a key may do for an account.
    @param account For whom.
    @param key The key.
    @return Roles (1 SPEND, 2 OPERATE), base units left to spend, the last second at which it counts.
    """
    word: uint256 = delegates._words[convert(account, bytes32)][key]
    return (
        word >> delegates.ROLES_PLACE,
        word << delegates.ABOVE_ALLOWANCE >> delegates.ALLOWANCE_SHIFT,
        word << delegates.ABOVE_UNTIL >> delegates.UNTIL_SHIFT,
    )


@external
@view
def usedOf(digest: bytes32) -> uint256:
    """
    @notice How much of an offer's capacity is in open leases.
    @param digest EIP-712 digest of the offer.
    @return Seven lanes, without the flags above them.
    """
    return registry._words[digest] << lanes.ABOVE_LANES >> lanes.ABOVE_LANES


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
    @return Escrow, paid so far, start, end offset (0 until terminated), state (1 active, 2 claimed, 3
        contested; 128 more while the jury has not judged it).
    """
    word: uint256 = leases._words[lease]
    return (
        word << leases.ABOVE_ESCROW >> leases.AMOUNT_SHIFT,
        word << leases.ABOVE_PAID >> leases.AMOUNT_SHIFT,
        word << leases.ABOVE_START >> leases.START_SHIFT,
        word << leases.ABOVE_END >> leases.END_SHIFT,
        word >> leases.STATE_PLACE,
    )


@external
@view
def claimOf(lease: bytes32) -> (uint256, uint256, uint256):
    """
    @notice The claim on a lease; all zero where there is none.
    @param lease Its id.
    @return The lease's total if upheld, the provider's bond, the end of the window that runs.
    """
    word: uint256 = claims._words[lease]
    return (
        word << claims.ABOVE_CLAIMED >> claims.AMOUNT_SHIFT,
        word << claims.ABOVE_BOND >> claims.AMOUNT_SHIFT,
        word >> claims.UNTIL_PLACE,
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
    return matching._check_fill(convert(matcher, bytes32), offer, fill)


@external
@view
def checkSettlement(item: types.Settlement) -> uint256:
    """
    @notice Why a receipt would be skipped in the next block.
    @param item The lease's terms and the signed receipt.
    @return A reason code; 0 where it would pay.
    """
    lease: bytes32 = signatures._lease_id(item.terms)
    reason: uint256 = 0
    paid: uint256 = 0
    reason, paid = leases._check_settlement(item, lease, leases._words[lease])
    return reason


@external
@view
@reentrant
def offerDigest(offer: types.Offer) -> bytes32:
    """
    @notice The EIP-712 digest that names an offer.
    @param offer The offer.
    @return The digest, with this market's domain.
    """
    return signatures._offer_digest(offer)


@external
@view
@reentrant
def bidDigest(bid: types.Bid) -> bytes32:
    """
    @notice The EIP-712 digest that a buyer signs.
    @param bid The bid.
    @return The digest, with this market's domain.
    """
    return signatures._bid_digest(bid)


@external
@view
@reentrant
def leaseId(terms: types.LeaseTerms) -> bytes32:
    """
    @notice The id of the lease with these terms, whether it is open or not.
    @param terms Its terms.
    @return The id; receipts name it.
    """
    return signatures._lease_id(terms)


@external
@view
@reentrant
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice The EIP-712 domain separator of this market on this chain.
    @return The separator.
    """
    return signatures._domain_separator()


@external
@view
@reentrant
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
