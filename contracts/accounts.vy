# pragma version 0.4.3
"""
@title One word an account: balance88 | stake88 | epoch32 | window48
@notice `stake` is free stake; what open leases lock of it is a function of their own words. The window is
    page16 | bits32: the 32 nonces of the newest page; other pages live in a bitmap by (account,
    nonce >> 8). The window alone speaks for its page, and the bitmap never holds a bit of that page
    which the window lacks. All money of the market is below 2^88 (a deposit sees to that), so that
    neither field can outgrow its place. Accounts are named by their address as a word.
    A field is cut out by two shifts, which is shorter in code than a shift and a mask.
"""

from . import errors

uses: errors

AMOUNT: constant(uint256) = 2**88 - 1
# word << ABOVE_x >> x_SHIFT is the field.
ABOVE_BALANCE: constant(uint256) = 168
ABOVE_STAKE: constant(uint256) = 80
AMOUNT_SHIFT: constant(uint256) = 168
ABOVE_EPOCH: constant(uint256) = 48
EPOCH_SHIFT: constant(uint256) = 224
STAKE_PLACE: constant(uint256) = 88
EPOCH_PLACE: constant(uint256) = 176
EPOCH: constant(uint256) = 2**32 - 1
WINDOW_PLACE: constant(uint256) = 208
PAGE_PLACE: constant(uint256) = 240
PAGE_BITS: constant(uint256) = 2**32 - 1
PAGES: constant(uint256) = 2**16
NONCE_WORDS: constant(uint256) = 2**56

_words: HashMap[bytes32, uint256]
_bitmaps: HashMap[bytes32, HashMap[uint256, uint256]]


@internal
def _bump_epoch(account: bytes32) -> uint256:
    word: uint256 = self._words[account]
    epoch: uint256 = unsafe_add(word << ABOVE_EPOCH >> EPOCH_SHIFT, 1)
    errors._require(epoch <= EPOCH, errors.EPOCHS_USED_UP)
    self._words[account] = unsafe_add(word, 1 << EPOCH_PLACE)
    return epoch


@internal
def _add(account: bytes32, amounts: uint256):
    # Of balance (the low place) and stake at once. Both were the market's before, so neither overflows.
    if amounts != 0:
        self._words[account] = unsafe_add(self._words[account], amounts)


@internal
def _debit(account: bytes32, amount: uint256) -> uint256:
    # The word after it; written.
    word: uint256 = self._words[account]
    errors._require(word << ABOVE_BALANCE >> AMOUNT_SHIFT >= amount, errors.BALANCE_TOO_SMALL)
    word = unsafe_sub(word, amount)
    self._words[account] = word
    return word


@internal
def _unstake(account: bytes32, amount: uint256):
    word: uint256 = self._words[account]
    errors._require(word << ABOVE_STAKE >> AMOUNT_SHIFT >= amount, errors.STAKE_TOO_SMALL)
    self._words[account] = unsafe_sub(word, amount << STAKE_PLACE)


@internal
@view
def _nonce_used(account: bytes32, word: uint256, nonce: uint256) -> bool:
    if nonce >> 5 == word >> PAGE_PLACE:
        return (word >> WINDOW_PLACE) >> (nonce & 31) & 1 == 1
    return (self._bitmaps[account][nonce >> 8] >> (nonce & 255)) & 1 == 1


@internal
def _turn_page(account: bytes32, word: uint256, page: uint256) -> uint256:
    # The word with the new page and its bits; the old page's go to the bitmap.
    old: uint256 = word >> PAGE_PLACE
    bits: uint256 = (word >> WINDOW_PLACE) & PAGE_BITS
    if bits != 0:
        self._bitmaps[account][old >> 3] |= bits << ((old & 7) << 5)
    # Nonces of the new page may have been cancelled ahead of their use.
    kept: uint256 = (self._bitmaps[account][page >> 3] >> ((page & 7) << 5)) & PAGE_BITS
    return (word << 48 >> 48) | (page << PAGE_PLACE) | (kept << WINDOW_PLACE)


@internal
def _spend(account: bytes32, word: uint256, amount: uint256, nonce: uint256):
    # The caller has checked balance and nonce against this very word.
    # Random nonces are never in the window; they cost a bitmap word each and are as good.
    page: uint256 = nonce >> 5
    current: uint256 = word >> PAGE_PLACE
    left: uint256 = unsafe_sub(word, amount)
    if page > current and page < PAGES:
        left = self._turn_page(account, left, page)
        current = page
    if page == current:
        left |= 1 << unsafe_add(WINDOW_PLACE, nonce & 31)
    else:
        self._bitmaps[account][nonce >> 8] |= 1 << (nonce & 255)
    self._words[account] = left


@internal
def _cancel_nonces(account: bytes32, index: uint256, mask: uint256):
    errors._require(index < NONCE_WORDS, errors.NO_SUCH_NONCES)
    self._bitmaps[account][index] |= mask
    word: uint256 = self._words[account]
    page: uint256 = word >> PAGE_PLACE
    if page >> 3 == index:
        bits: uint256 = (mask >> ((page & 7) << 5)) & PAGE_BITS
        self._words[account] = word | (bits << WINDOW_PLACE)
