# pragma version 0.4.3
"""
@title One word a lease: escrow88 | paid88 | start40 | endOffset32 | state8
@notice Zero before and after: a nonce opens once, so a closed lease cannot reopen. Terms travel in
    calldata; whoever shows terms that hash to an open lease shows those it was opened with, so that
    they are in range. Amounts are below 2^88, times below 2^41 and milliseconds below 2^64, so that
    what is not guarded here cannot overflow.
"""

from . import accounts
from . import delegates
from . import errors
from . import events
from . import registry
from . import rules
from . import signatures
from . import staking
from . import types

uses: accounts
uses: delegates
uses: errors
uses: registry
uses: rules
uses: signatures
uses: staking

# word << ABOVE_x >> x_SHIFT is the field.
ABOVE_ESCROW: constant(uint256) = 168
ABOVE_PAID: constant(uint256) = 80
AMOUNT_SHIFT: constant(uint256) = 168
ABOVE_START: constant(uint256) = 40
START_SHIFT: constant(uint256) = 216
ABOVE_END: constant(uint256) = 8
END_SHIFT: constant(uint256) = 224
PAID_PLACE: constant(uint256) = 88
START_PLACE: constant(uint256) = 176
END_PLACE: constant(uint256) = 216
STATE_PLACE: constant(uint256) = 248

ACTIVE: constant(uint256) = 1
CLAIMED: constant(uint256) = 2
DISPUTED: constant(uint256) = 3
# A replica whose result was not judged yet.
UNDECIDED: constant(uint256) = 128

RATE_DIVISOR: constant(uint256) = 3_600_000_000
CLOCK_SLACK: constant(uint256) = 15

_words: HashMap[bytes32, uint256]


@internal
@pure
def _escrow(rate: uint256, duration: uint256) -> uint256:
    # Rate below 2^96, duration below 2^34 wherever the result counts: no overflow, and an escrow above
    # 2^88 meets no balance.
    product: uint256 = unsafe_mul(unsafe_mul(rate, duration), 1000)
    return unsafe_div(unsafe_add(product, RATE_DIVISOR - 1), RATE_DIVISOR)


@internal
@pure
def _check_state(word: uint256) -> uint256:
    # Only an active and decided lease is paid by receipts, and closes by time.
    state: uint256 = word >> STATE_PLACE
    if state == ACTIVE:
        return types.OK
    if word == 0:
        return types.LEASE_UNKNOWN
    if state == ACTIVE | UNDECIDED:
        return types.UNDECIDED
    return types.CLAIMED


@internal
@view
def _active(lease: bytes32) -> uint256:
    word: uint256 = self._words[lease]
    reason: uint256 = self._check_state(word)
    errors._require(reason != types.LEASE_UNKNOWN, errors.NO_SUCH_LEASE)
    errors._require(reason != types.CLAIMED, errors.CLAIMED)
    errors._require(reason != types.UNDECIDED, errors.UNDECIDED)
    return word


@internal
@view
def _check_settlement(
    item: types.Settlement, lease: bytes32, word: uint256
) -> (uint256, uint256):
    # Also the total that the receipt makes paid.
    if item.usage >= 2 * types.LAST:
        return types.RECEIPT_FIELD, 0
    if word >> STATE_PLACE != ACTIVE:
        return self._check_state(word), 0
    milliseconds: uint256 = item.usage & types.MILLISECONDS
    # The same bounds as of a claim, written out.
    elapsed: uint256 = unsafe_sub(block.timestamp, word << ABOVE_START >> START_SHIFT)
    if milliseconds > unsafe_mul(unsafe_add(elapsed, CLOCK_SLACK), 1000):
        return types.BEYOND_ELAPSED, 0
    if milliseconds > unsafe_mul(item.terms.duration, 1000):
        return types.BEYOND_DURATION, 0
    end_offset: uint256 = word << ABOVE_END >> END_SHIFT
    if end_offset != 0 and milliseconds > unsafe_mul(end_offset, 1000):
        return types.BEYOND_TERMINATION, 0
    due: uint256 = word << ABOVE_ESCROW >> AMOUNT_SHIFT
    if milliseconds != unsafe_mul(item.terms.duration, 1000):
        due = unsafe_div(unsafe_mul(item.terms.rate, milliseconds), RATE_DIVISOR)
    paid: uint256 = word << ABOVE_PAID >> AMOUNT_SHIFT
    if due < paid or (due == paid and item.usage < types.LAST):
        return types.NOT_MONOTONE, 0
    digest: bytes32 = signatures._digest(
        keccak256(
            abi_encode(signatures.RECEIPT_TYPE, lease, milliseconds, item.evidence, item.usage >> 64)
        )
    )
    s: uint256 = convert(item.vs, uint256) & signatures.LOW_255
    v: uint256 = unsafe_add(27, convert(item.vs, uint256) >> 255)
    signer: address = ecrecover(digest, v, convert(item.r, uint256), s)
    # A lease has a signer that is not zero, which is what recovers from no signature.
    if s > signatures.HALF_ORDER or convert(signer, bytes32) != item.terms.signer:
        return types.RECEIPT_SIGNATURE, 0
    return types.OK, due


@internal
def _close(
    lease: bytes32,
    terms: types.LeaseTerms,
    word: uint256,
    paid: uint256,
    reason: uint256,
    burned: uint256,
):
    # Refunds the buyer, returns what is left of the lock to the provider's stake, and the capacity.
    escrow: uint256 = word << ABOVE_ESCROW >> AMOUNT_SHIFT
    refunded: uint256 = unsafe_sub(escrow, paid)
    self._words[lease] = 0
    accounts._add(terms.buyer, refunded)
    lock: uint256 = unsafe_sub(rules._lock(escrow), burned)
    accounts._add(terms.provider, lock << accounts.STAKE_PLACE)
    registry._words[terms.offer] = registry._released(registry._words[terms.offer], terms.want)
    log events.LeaseClosed(
        lease=lease,
        buyer=convert(terms.buyer, address),
        provider=convert(terms.provider, address),
        paid=paid,
        refunded=refunded,
        reason=reason,
    )
    if burned != 0:
        staking._burn(burned)
        log events.StakeBurned(
            provider=convert(terms.provider, address), lease=lease, amount=burned
        )


@internal
def _pay_fee(matcher: bytes32, fee: uint256):
    if fee != 0:
        accounts._add(matcher, fee)
        log events.FeePaid(matcher=convert(matcher, address), amount=fee)


@internal
def _apply_receipt(
    item: types.Settlement, lease: bytes32, word: uint256, paid: uint256, closing: uint256
) -> (uint256, uint256):
    # What the provider gets of balance and stake, and the matcher's fee: the caller's to credit, who may
    # gather those of several receipts; and the offer's capacity is the caller's to give back.
    old: uint256 = word << ABOVE_PAID >> AMOUNT_SHIFT
    amount: uint256 = unsafe_sub(paid, old)
    before: uint256 = unsafe_div(unsafe_mul(old, rules.feeBps), rules.BASIS_POINTS)
    fee: uint256 = unsafe_sub(
        unsafe_div(unsafe_mul(paid, rules.feeBps), rules.BASIS_POINTS), before
    )
    log events.UsageSettled(
        lease=lease,
        buyer=convert(item.terms.buyer, address),
        provider=convert(item.terms.provider, address),
        milliseconds=item.usage & types.MILLISECONDS,
        amount=amount,
        fee=fee,
        paid=paid,
        evidence=item.evidence,
    )
    credit: uint256 = unsafe_sub(amount, fee)
    if item.usage < types.LAST:
        self._words[lease] = unsafe_add(word, amount << PAID_PLACE)
        return credit, fee
    # As `_close` does, written out for less gas.
    escrow: uint256 = word << ABOVE_ESCROW >> AMOUNT_SHIFT
    refunded: uint256 = unsafe_sub(escrow, paid)
    buyer: bytes32 = item.terms.buyer
    self._words[lease] = 0
    if refunded != 0:
        accounts._words[buyer] = unsafe_add(accounts._words[buyer], refunded)
    log events.LeaseClosed(
        lease=lease,
        buyer=convert(buyer, address),
        provider=convert(item.terms.provider, address),
        paid=paid,
        refunded=refunded,
        reason=closing,
    )
    lock: uint256 = unsafe_div(unsafe_mul(escrow, rules.stakeBps), rules.BASIS_POINTS)
    return unsafe_add(credit, lock << accounts.STAKE_PLACE), fee


@internal
def _settle_checked(
    item: types.Settlement, lease: bytes32, word: uint256, paid: uint256, closing: uint256
):
    credit: uint256 = 0
    fee: uint256 = 0
    credit, fee = self._apply_receipt(item, lease, word, paid, closing)
    accounts._add(item.terms.provider, credit)
    if item.usage >= types.LAST:
        offer: bytes32 = item.terms.offer
        registry._words[offer] = registry._released(registry._words[offer], item.terms.want)
    self._pay_fee(item.terms.matcher, fee)


@internal
def _settle(item: types.Settlement):
    lease: bytes32 = signatures._lease_id(item.terms)
    word: uint256 = self._words[lease]
    reason: uint256 = 0
    paid: uint256 = 0
    reason, paid = self._check_settlement(item, lease, word)
    if reason == types.OK:
        self._settle_checked(item, lease, word, paid, types.LAST_RECEIPT)
    else:
        log events.ReceiptSkipped(lease=lease, reason=reason)


@internal
@view
def _known(lease: bytes32) -> uint256:
    word: uint256 = self._words[lease]
    errors._require(word != 0, errors.NO_SUCH_LEASE)
    return word


@internal
def _release(terms: types.LeaseTerms):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = self._active(lease)
    delegates._check_caller(terms.provider, delegates.OPERATE, errors.NOT_THE_PROVIDER)
    self._close(lease, terms, word, word << ABOVE_PAID >> AMOUNT_SHIFT, types.RELEASED, 0)


@internal
def _terminate(terms: types.LeaseTerms):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = self._known(lease)
    delegates._check_caller(terms.buyer, delegates.SPEND, errors.NOT_THE_BUYER)
    errors._require((word >> STATE_PLACE) & 127 == ACTIVE, errors.CLAIMED)
    errors._require(word << ABOVE_END >> END_SHIFT == 0, errors.TERMINATED_BEFORE)
    elapsed: uint256 = unsafe_sub(block.timestamp, word << ABOVE_START >> START_SHIFT)
    end_offset: uint256 = min(max(elapsed, 1), terms.duration)
    self._words[lease] = word | (end_offset << END_PLACE)
    log events.LeaseTerminated(
        lease=lease,
        buyer=convert(terms.buyer, address),
        provider=convert(terms.provider, address),
        endOffset=end_offset,
    )


@internal
@view
def _check_close(duration: uint256, word: uint256) -> uint256:
    reason: uint256 = self._check_state(word)
    if reason != types.OK:
        return reason
    seconds: uint256 = word << ABOVE_END >> END_SHIFT
    if seconds == 0:
        seconds = duration
    end: uint256 = unsafe_add(word << ABOVE_START >> START_SHIFT, seconds)
    if block.timestamp < unsafe_add(end, rules.grace):
        return types.NOT_YET
    return types.OK


@internal
def _expire(lease: bytes32, terms: types.LeaseTerms, word: uint256):
    paid: uint256 = word << ABOVE_PAID >> AMOUNT_SHIFT
    end_offset: uint256 = word << ABOVE_END >> END_SHIFT
    burned: uint256 = 0
    # Nothing was ever paid, although the buyer left the provider the time to begin.
    if paid == 0 and (end_offset == 0 or end_offset > rules.receiptInterval):
        lock: uint256 = rules._lock(word << ABOVE_ESCROW >> AMOUNT_SHIFT)
        burned = unsafe_div(unsafe_mul(lock, rules.noShowBps), rules.BASIS_POINTS)
    self._close(lease, terms, word, paid, types.EXPIRED, burned)


@internal
def _close_due(terms: types.LeaseTerms):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = self._active(lease)
    errors._require(self._check_close(terms.duration, word) == types.OK, errors.NOT_YET)
    self._expire(lease, terms, word)


@internal
def _judge(terms: types.LeaseTerms, guilty: bool):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = self._known(lease)
    errors._require(word >> STATE_PLACE >= UNDECIDED, errors.DECIDED_BEFORE)
    end_offset: uint256 = word << ABOVE_END >> END_SHIFT
    start: uint256 = word << ABOVE_START >> START_SHIFT
    if not guilty:
        if end_offset == 0:
            end_offset = max(unsafe_sub(block.timestamp, start), 1)
        # The grace counts from the judgement on, also where the buyer had ended the lease long before: no
        # receipt and no claim could come while it was undecided.
        start = unsafe_sub(block.timestamp, end_offset)
        self._words[lease] = (
            (word << ABOVE_PAID >> ABOVE_PAID)
            | (start << START_PLACE)
            | (end_offset << END_PLACE)
            | (ACTIVE << STATE_PLACE)
        )
    log events.LeaseJudged(lease=lease, guilty=guilty, start=start, endOffset=end_offset)
    if guilty:
        burned: uint256 = rules._lock(word << ABOVE_ESCROW >> AMOUNT_SHIFT)
        # Nothing was paid: undecided leases take no receipt.
        self._close(lease, terms, word, 0, types.JUDGED, burned)
