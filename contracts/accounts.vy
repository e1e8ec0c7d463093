# pragma version 0.4.3
"""
@title One word an account: balance88 | stake88 | epoch32 | window48
@notice The stake's place is kept for the lock of providers. The window is page16 | bits32: the 32
    nonces of the newest page; other pages live in a bitmap by (account, nonce >> 8). The window alone
    speaks for its page, and the bitmap never holds a bit of that page which the window lacks.
"""

BALANCE: constant(uint256) = 2**88 - 1
EPOCH_PLACE: constant(uint256) = 176
EPOCH: constant(uint256) = 2**32 - 1
WINDOW_PLACE: constant(uint256) = 208
BELOW_WINDOW: constant(uint256) = 2**208 - 1
PAGE_BITS: constant(uint256) = 2**32 - 1
PAGES: constant(uint256) = 2**16
NONCE_WORDS: constant(uint256) = 2**56

_words: HashMap[address, uint256]
_bitmaps: HashMap[address, HashMap[uint256, uint256]]


@internal
@view
def _balance(account: address) -> uint256:
    return self._words[account] & BALANCE


@internal
@view
def _epoch(account: address) -> uint256:
    return (self._words[account] >> EPOCH_PLACE) & EPOCH


@internal
def _bump_epoch(account: address) -> uint256:
    epoch: uint256 = self._epoch(account) + 1
    assert epoch <= EPOCH, "accounts: epochs used up"
    self._words[account] += 1 << EPOCH_PLACE
    return epoch


@internal
def _credit(account: address, amount: uint256):
    word: uint256 = self._words[account]
    assert (word & BALANCE) + amount <= BALANCE, "accounts: balance too large"
    self._words[account] = word + amount


@internal
def _debit(account: address, amount: uint256):
    word: uint256 = self._words[account]
    assert word & BALANCE >= amount, "accounts: balance too small"
    self._words[account] = word - amount


@internal
@view
def _nonce_used(account: address, nonce: uint256) -> bool:
    window: uint256 = self._words[account] >> WINDOW_PLACE
    if nonce >> 5 == window >> 32:
        return (window >> (nonce & 31)) & 1 == 1
    return (self._bitmaps[account][nonce >> 8] >> (nonce & 255)) & 1 == 1


@internal
@pure
def _place_in_bitmap(page: uint256) -> uint256:
    return (page & 7) << 5


@internal
def _turn_page(account: address, page: uint256):
    word: uint256 = self._words[account]
    window: uint256 = word >> WINDOW_PLACE
    old: uint256 = window >> 32
    bits: uint256 = window & PAGE_BITS
    if bits != 0:
        self._bitmaps[account][old >> 3] |= bits << self._place_in_bitmap(old)
    # Nonces of the new page may have been cancelled ahead of their use.
    kept: uint256 = (self._bitmaps[account][page >> 3] >> self._place_in_bitmap(page)) & PAGE_BITS
    self._words[account] = (word & BELOW_WINDOW) | (((page << 32) | kept) << WINDOW_PLACE)


@internal
def _use_nonce(account: address, nonce: uint256):
    # Random nonces are never in the window; they cost a bitmap word each and are as good.
    page: uint256 = nonce >> 5
    current: uint256 = self._words[account] >> (WINDOW_PLACE + 32)
    if page > current and page < PAGES:
        self._turn_page(account, page)
        current = page
    if page == current:
        self._words[account] |= 1 << (WINDOW_PLACE + (nonce & 31))
    else:
        self._bitmaps[account][nonce >> 8] |= 1 << (nonce & 255)


@internal
def _cancel_nonces(account: address, index: uint256, mask: uint256):
    assert index < NONCE_WORDS, "accounts: no such nonces"
    self._bitmaps[account][index] |= mask
    word: uint256 = self._words[account]
    page: uint256 = word >> (WINDOW_PLACE + 32)
    if page >> 3 == index:
        bits: uint256 = (mask >> self._place_in_bitmap(page)) & PAGE_BITS
        self._words[account] = word | (bits << WINDOW_PLACE)
