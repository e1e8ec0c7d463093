# pragma version 0.4.3
"""
@title Stake on its way in and out, and what was burned of it
@notice Free stake lives in the account's word. An unstake request takes it out of there at once, so that
    no lease can lock it any more, but it stays in the market for a delay longer than every window.
"""

from . import accounts
from . import errors
from . import events
from . import rules

uses: accounts
uses: errors
uses: rules

UNLOCK_PLACE: constant(uint256) = 128

# amount128 | unlockAt40
_queues: HashMap[address, uint256]
# Stakes and bonds that are nobody's any more; the tokens stay in the market for good.
burned: uint256


@internal
def _stake(amount: uint256):
    account: bytes32 = convert(msg.sender, bytes32)
    errors._require(amount != 0, errors.NO_AMOUNT)
    word: uint256 = accounts._debit(account, amount)
    accounts._words[account] = unsafe_add(word, amount << accounts.STAKE_PLACE)
    log events.Staked(account=msg.sender, amount=amount)


@internal
def _request_unstake(amount: uint256):
    errors._require(amount != 0, errors.NO_AMOUNT)
    accounts._unstake(convert(msg.sender, bytes32), amount)
    # Amounts are below 2^88 and all that is queued is the market's, so the 128 bits suffice.
    unlock_at: uint256 = unsafe_add(block.timestamp, rules.unstakeDelay)
    queued: uint256 = unsafe_add(self._queues[msg.sender] << 128 >> 128, amount)
    self._queues[msg.sender] = queued | (unlock_at << UNLOCK_PLACE)
    log events.UnstakeQueued(account=msg.sender, amount=amount, unlockAt=unlock_at)


@internal
def _finish_unstake(account: address):
    queue: uint256 = self._queues[account]
    errors._require(queue != 0, errors.NO_AMOUNT)
    errors._require(block.timestamp >= queue >> UNLOCK_PLACE, errors.NOT_YET)
    self._queues[account] = 0
    amount: uint256 = queue << 128 >> 128
    accounts._add(convert(account, bytes32), amount)
    log events.Unstaked(account=account, amount=amount)


@internal
def _burn(amount: uint256):
    if amount != 0:
        self.burned = unsafe_add(self.burned, amount)
