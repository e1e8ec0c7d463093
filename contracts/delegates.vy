# pragma version 0.4.3
"""
@title What a second key may do for an account: allowance128 | until40 | roles8
@notice SPEND signs bids and terminates, within the allowance; OPERATE runs a provider's offers and leases.
    Neither can withdraw, unstake or delegate.
"""

from . import errors
from . import events

uses: errors

SPEND: constant(uint256) = 1
OPERATE: constant(uint256) = 2
UNTIL_PLACE: constant(uint256) = 128
ROLES_PLACE: constant(uint256) = 168
# word << ABOVE_x >> x_SHIFT is the field.
ABOVE_ALLOWANCE: constant(uint256) = 128
ALLOWANCE_SHIFT: constant(uint256) = 128
ABOVE_UNTIL: constant(uint256) = 88
UNTIL_SHIFT: constant(uint256) = 216

_words: HashMap[bytes32, HashMap[address, uint256]]


@internal
def _set(key: address, roles: uint256, allowance: uint256, until: uint256):
    errors._require(key != empty(address) and key != msg.sender, errors.DELEGATE_FIELD)
    beyond: uint256 = (roles >> 2) | (allowance >> 128) | (until >> 40)
    if roles == 0:
        # Nothing is kept of a key that is revoked.
        beyond = allowance | until
    errors._require(beyond == 0, errors.DELEGATE_FIELD)
    word: uint256 = allowance | (until << UNTIL_PLACE) | (roles << ROLES_PLACE)
    self._write(convert(msg.sender, bytes32), key, word)


@internal
def _write(account: bytes32, key: address, word: uint256):
    self._words[account][key] = word
    log events.DelegateSet(
        account=convert(account, address),
        key=key,
        roles=word >> ROLES_PLACE,
        allowance=word << ABOVE_ALLOWANCE >> ALLOWANCE_SHIFT,
        until=word << ABOVE_UNTIL >> UNTIL_SHIFT,
    )


@internal
def _draw(account: bytes32, key: address, amount: uint256):
    # The caller has checked role, date and allowance.
    self._write(account, key, unsafe_sub(self._words[account][key], amount))


@internal
@view
def _check_caller(account: bytes32, role: uint256, otherwise: uint256):
    # That the caller is the account, or a key that has the role now.
    if convert(msg.sender, bytes32) == account:
        return
    word: uint256 = self._words[account][msg.sender]
    current: bool = block.timestamp <= word << ABOVE_UNTIL >> UNTIL_SHIFT
    errors._require(current and (word >> ROLES_PLACE) & role != 0, otherwise)
