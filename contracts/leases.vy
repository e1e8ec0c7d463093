# pragma version 0.4.3
"""
@title One word a lease: escrow88 | paid88 | start40 | endOffset32 | state8
@notice Zero before and after: a nonce opens once, so a closed lease cannot reopen. Terms travel in
    calldata; whoever shows terms that hash to an open lease shows those it was opened with.
"""

from . import accounts
from . import events
from . import registry
from . import signatures
from . import types

uses: accounts
uses: registry
uses: signatures

AMOUNT: constant(uint256) = 2**88 - 1
PAID_PLACE: constant(uint256) = 88
START_PLACE: constant(uint256) = 176
START: constant(uint256) = 2**40 - 1
END_PLACE: constant(uint256) = 216
END: constant(uint256) = 2**32 - 1
STATE_PLACE: constant(uint256) = 248
ACTIVE: constant(uint256) = 1

RATE_DIVISOR: constant(uint256) = 3_600_000_000
CLOCK_SLACK: constant(uint256) = 15

_words: HashMap[bytes32, uint256]


@internal
@pure
def _paid(word: uint256) -> uint256:
    return (word >> PAID_PLACE) & AMOUNT


@internal
@pure
def _start(word: uint256) -> uint256:
    return (word >> START_PLACE) & START


@internal
@pure
def _end_offset(word: uint256) -> uint256:
    return (word >> END_PLACE) & END


@internal
@pure
def _escrow(rate: uint256, duration: uint256) -> uint256:
    # Rate below 2^96, duration below 2^32: no overflow, and an escrow above 2^88 meets no balance.
    return (rate * duration * 1000 + RATE_DIVISOR - 1) // RATE_DIVISOR


@internal
@pure
def _due(word: uint256, terms: types.LeaseTerms, milliseconds: uint256) -> uint256:
    # Exactly the escrow at the full duration; the callers have bounded the milliseconds by it.
    if milliseconds == terms.duration * 1000:
        return word & AMOUNT
    return terms.rate * milliseconds // RATE_DIVISOR


@internal
def _open(lease: bytes32, escrow: uint256):
    self._words[lease] = escrow | (block.timestamp << START_PLACE) | (ACTIVE << STATE_PLACE)


@internal
@view
def _check_settlement(item: types.Settlement, lease: bytes32) -> uint256:
    if item.last > 1 or item.milliseconds >= 2**64:
        return types.RECEIPT_FIELD
    word: uint256 = self._words[lease]
    if word == 0:
        return types.LEASE_UNKNOWN
    # The lease is known, so its terms are those that were in range when it opened.
    if item.milliseconds > (block.timestamp - self._start(word) + CLOCK_SLACK) * 1000:
        return types.BEYOND_ELAPSED
    if item.milliseconds > item.terms.duration * 1000:
        return types.BEYOND_DURATION
    end_offset: uint256 = self._end_offset(word)
    if end_offset != 0 and item.milliseconds > end_offset * 1000:
        return types.BEYOND_TERMINATION
    due: uint256 = self._due(word, item.terms, item.milliseconds)
    if due < self._paid(word) or (item.last == 0 and due == self._paid(word)):
        return types.NOT_MONOTONE
    digest: bytes32 = signatures._receipt_digest(lease, item)
    if not signatures._signed_by(item.terms.signer, digest, item.r, item.vs):
        return types.RECEIPT_SIGNATURE
    return types.OK


@internal
def _close(lease: bytes32, terms: types.LeaseTerms, paid: uint256, reason: uint256):
    refunded: uint256 = (self._words[lease] & AMOUNT) - paid
    self._words[lease] = 0
    registry._give_back(terms.offer, terms.want)
    if refunded != 0:
        accounts._credit(terms.buyer, refunded)
    log events.LeaseClosed(
        lease=lease,
        buyer=terms.buyer,
        provider=terms.provider,
        paid=paid,
        refunded=refunded,
        reason=reason,
    )


@internal
def _apply_receipt(item: types.Settlement, lease: bytes32):
    word: uint256 = self._words[lease]
    paid: uint256 = self._due(word, item.terms, item.milliseconds)
    amount: uint256 = paid - self._paid(word)
    if amount != 0:
        accounts._credit(item.terms.provider, amount)
    log events.UsageSettled(
        lease=lease,
        buyer=item.terms.buyer,
        provider=item.terms.provider,
        milliseconds=item.milliseconds,
        amount=amount,
        paid=paid,
        evidence=item.evidence,
    )
    if item.last == 1:
        self._close(lease, item.terms, paid, types.LAST_RECEIPT)
    else:
        self._words[lease] = word + (amount << PAID_PLACE)


@internal
def _settle(item: types.Settlement):
    lease: bytes32 = signatures._lease_id(item.terms)
    reason: uint256 = self._check_settlement(item, lease)
    if reason == types.OK:
        self._apply_receipt(item, lease)
    else:
        log events.ReceiptSkipped(lease=lease, reason=reason)


@internal
def _release(terms: types.LeaseTerms):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = self._words[lease]
    assert word != 0, "market: no such lease"
    assert msg.sender == terms.provider, "market: not the provider"
    self._close(lease, terms, self._paid(word), types.RELEASED)


@internal
def _terminate(terms: types.LeaseTerms):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = self._words[lease]
    assert word != 0, "market: no such lease"
    assert msg.sender == terms.buyer, "market: not the buyer"
    assert self._end_offset(word) == 0, "market: terminated before"
    end_offset: uint256 = min(max(block.timestamp - self._start(word), 1), terms.duration)
    self._words[lease] = word | (end_offset << END_PLACE)
    log events.LeaseTerminated(
        lease=lease, buyer=terms.buyer, provider=terms.provider, endOffset=end_offset
    )


@internal
@view
def _check_close(terms: types.LeaseTerms, lease: bytes32, grace: uint256) -> uint256:
    word: uint256 = self._words[lease]
    if word == 0:
        return types.LEASE_UNKNOWN
    seconds: uint256 = self._end_offset(word)
    if seconds == 0:
        seconds = terms.duration
    if block.timestamp < self._start(word) + seconds + grace:
        return types.NOT_YET
    return types.OK


@internal
def _expire(lease: bytes32, terms: types.LeaseTerms):
    self._close(lease, terms, self._paid(self._words[lease]), types.EXPIRED)
