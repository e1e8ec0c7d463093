# pragma version 0.4.3
"""
@title Why a call reverts, in words
@notice The words are kept once, behind the code, and a check names them by number: a string at every
    check would be a third of all that may be deployed. They have 31 letters at most, and their number
    in the lowest byte.
"""

BALANCE_TOO_SMALL: constant(uint256) = 0
BEYOND_DURATION: constant(uint256) = 1
BEYOND_ELAPSED: constant(uint256) = 2
BEYOND_TERMINATION: constant(uint256) = 3
CANNOT_CONTINUE: constant(uint256) = 4
CLAIMED: constant(uint256) = 5
CLAIM_TOO_LARGE: constant(uint256) = 6
DECIDED_BEFORE: constant(uint256) = 7
DELEGATE_FIELD: constant(uint256) = 8
EPOCHS_USED_UP: constant(uint256) = 9
HOLDS_TOO_MUCH: constant(uint256) = 10
NONCE_USED: constant(uint256) = 11
NOTHING_CLAIMED: constant(uint256) = 12
NOT_CLAIMED: constant(uint256) = 13
NOT_CONTESTED: constant(uint256) = 14
NOT_ITS_NEXT: constant(uint256) = 15
NOT_PAUSED: constant(uint256) = 16
NOT_THE_ARBITER: constant(uint256) = 17
NOT_THE_BUYER: constant(uint256) = 18
NOT_THE_GUARDIAN: constant(uint256) = 19
NOT_THE_JURY: constant(uint256) = 20
NOT_THE_PROVIDER: constant(uint256) = 21
NOT_YET: constant(uint256) = 22
NO_AMOUNT: constant(uint256) = 23
NO_SUCH_LEASE: constant(uint256) = 24
NO_SUCH_NONCES: constant(uint256) = 25
OFFER_EPOCH: constant(uint256) = 26
OFFER_EXPIRED: constant(uint256) = 27
OFFER_FIELD: constant(uint256) = 28
OFFER_KNOWN: constant(uint256) = 29
OFFER_NOT_OPEN: constant(uint256) = 30
OUTSIDE_THE_CLAIM: constant(uint256) = 31
PAUSED: constant(uint256) = 32
PAUSED_LATELY: constant(uint256) = 33
RECEIPT: constant(uint256) = 34
SLASH_ABOVE_THE_LOCK: constant(uint256) = 35
STAKE_TOO_SMALL: constant(uint256) = 36
TERMINATED_BEFORE: constant(uint256) = 37
TOKEN_REFUSED: constant(uint256) = 38
TOO_LATE: constant(uint256) = 39
UNDECIDED: constant(uint256) = 40
WITHDRAWAL_EXPIRED: constant(uint256) = 41
WITHDRAWAL_FIELD: constant(uint256) = 42
WRONG_SIGNATURE: constant(uint256) = 43
COUNT: constant(uint256) = 44

_texts: immutable(uint256[COUNT])


@deploy
def __init__():
    texts: uint256[COUNT] = empty(uint256[COUNT])
    texts[BALANCE_TOO_SMALL] = self._packed(b"accounts: balance too small")
    texts[BEYOND_DURATION] = self._packed(b"market: beyond duration")
    texts[BEYOND_ELAPSED] = self._packed(b"market: beyond elapsed")
    texts[BEYOND_TERMINATION] = self._packed(b"market: beyond termination")
    texts[CANNOT_CONTINUE] = self._packed(b"market: cannot continue")
    texts[CLAIMED] = self._packed(b"market: claimed")
    texts[CLAIM_TOO_LARGE] = self._packed(b"market: claim too large")
    texts[DECIDED_BEFORE] = self._packed(b"market: decided before")
    texts[DELEGATE_FIELD] = self._packed(b"market: delegate field")
    texts[EPOCHS_USED_UP] = self._packed(b"accounts: epochs used up")
    texts[HOLDS_TOO_MUCH] = self._packed(b"market: holds too much")
    texts[NONCE_USED] = self._packed(b"market: nonce used")
    texts[NOTHING_CLAIMED] = self._packed(b"market: nothing claimed")
    texts[NOT_CLAIMED] = self._packed(b"market: not claimed")
    texts[NOT_CONTESTED] = self._packed(b"market: not contested")
    texts[NOT_ITS_NEXT] = self._packed(b"market: not its next")
    texts[NOT_PAUSED] = self._packed(b"market: not paused")
    texts[NOT_THE_ARBITER] = self._packed(b"market: not the arbiter")
    texts[NOT_THE_BUYER] = self._packed(b"market: not the buyer")
    texts[NOT_THE_GUARDIAN] = self._packed(b"market: not the guardian")
    texts[NOT_THE_JURY] = self._packed(b"market: not the jury")
    texts[NOT_THE_PROVIDER] = self._packed(b"market: not the provider")
    texts[NOT_YET] = self._packed(b"market: not yet")
    texts[NO_AMOUNT] = self._packed(b"market: no amount")
    texts[NO_SUCH_LEASE] = self._packed(b"market: no such lease")
    texts[NO_SUCH_NONCES] = self._packed(b"accounts: no such nonces")
    texts[OFFER_EPOCH] = self._packed(b"market: offer epoch")
    texts[OFFER_EXPIRED] = self._packed(b"market: offer expired")
    texts[OFFER_FIELD] = self._packed(b"market: offer field")
    texts[OFFER_KNOWN] = self._packed(b"market: offer known")
    texts[OFFER_NOT_OPEN] = self._packed(b"market: offer not open")
    texts[OUTSIDE_THE_CLAIM] = self._packed(b"market: outside the claim")
    texts[PAUSED] = self._packed(b"market: paused")
    texts[PAUSED_LATELY] = self._packed(b"market: paused lately")
    texts[RECEIPT] = self._packed(b"market: receipt")
    texts[SLASH_ABOVE_THE_LOCK] = self._packed(b"market: slash above the lock")
    texts[STAKE_TOO_SMALL] = self._packed(b"accounts: stake too small")
    texts[TERMINATED_BEFORE] = self._packed(b"market: terminated before")
    texts[TOKEN_REFUSED] = self._packed(b"market: token refused")
    texts[TOO_LATE] = self._packed(b"market: too late")
    texts[UNDECIDED] = self._packed(b"market: undecided")
    texts[WITHDRAWAL_EXPIRED] = self._packed(b"market: withdrawal expired")
    texts[WITHDRAWAL_FIELD] = self._packed(b"market: withdrawal field")
    texts[WRONG_SIGNATURE] = self._packed(b"market: wrong signature")
    _texts = texts


@internal
@pure
def _packed(text: Bytes[31]) -> uint256:
    return convert(convert(text, bytes32), uint256) | len(text)


@internal
@view
def _require(holds: bool, code: uint256):
    if holds:
        return
    # Error(string), as `assert` with a text reverts.
    text: uint256 = _texts[code]
    start: uint256 = 32
    raw_revert(abi_encode(start, text & 255, text >> 8 << 8, method_id=0x08c379a0))
