# pragma version 0.4.3
"""
@title A guardian may stop new business, never an exit
@notice Seven days at most, then seven days not again. The guardian can give its power up for good.
"""

from . import errors
from . import events

uses: errors

PAUSE_SECONDS: constant(uint256) = 7 * 24 * 3600

guardian: address
pausedUntil: uint256


@deploy
def __init__(first: address):
    self.guardian = first


@internal
@view
def _check_running():
    errors._require(block.timestamp >= self.pausedUntil, errors.PAUSED)


@internal
@view
def _check_guardian():
    errors._require(msg.sender == self.guardian, errors.NOT_THE_GUARDIAN)


@internal
def _pause():
    self._check_guardian()
    errors._require(block.timestamp >= self.pausedUntil + PAUSE_SECONDS, errors.PAUSED_LATELY)
    until: uint256 = block.timestamp + PAUSE_SECONDS
    self.pausedUntil = until
    log events.Paused(until=until)


@internal
def _unpause():
    self._check_guardian()
    errors._require(block.timestamp < self.pausedUntil, errors.NOT_PAUSED)
    self.pausedUntil = block.timestamp
    log events.Unpaused(guardian=msg.sender)


@internal
def _renounce():
    self._check_guardian()
    self.guardian = empty(address)
    log events.GuardianRenounced(guardian=msg.sender)
