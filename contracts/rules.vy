# pragma version 0.4.3
"""
@title What one market fixed at its deployment: windows in seconds, shares in basis points
@notice A lease's lock and a payout's fee are functions of amounts that are stored anyway, so that neither
    needs a slot of its own.
"""

from . import types

BASIS_POINTS: constant(uint256) = 10_000
MAX_FEE_BPS: constant(uint256) = 200

receiptInterval: immutable(uint256)
grace: immutable(uint256)
challengeWindow: immutable(uint256)
arbitrationWindow: immutable(uint256)
unstakeDelay: immutable(uint256)
feeBps: immutable(uint256)
stakeBps: immutable(uint256)
noShowBps: immutable(uint256)


@deploy
def __init__(fixed: types.Policy):
    windows: uint256 = fixed.receiptInterval | fixed.grace | fixed.challengeWindow
    windows |= fixed.arbitrationWindow | fixed.unstakeDelay
    assert windows < 2**32, "market: policy window"
    longest: uint256 = max(fixed.receiptInterval, fixed.grace)
    longest = max(longest, max(fixed.challengeWindow, fixed.arbitrationWindow))
    # Stake that left earlier could not be burned for what was promised while it stood.
    assert fixed.unstakeDelay > longest, "market: unstake delay"
    assert fixed.feeBps <= MAX_FEE_BPS, "market: policy fee"
    assert fixed.stakeBps <= BASIS_POINTS, "market: policy stake"
    assert fixed.noShowBps <= BASIS_POINTS, "market: policy no-show"
    receiptInterval = fixed.receiptInterval
    grace = fixed.grace
    challengeWindow = fixed.challengeWindow
    arbitrationWindow = fixed.arbitrationWindow
    unstakeDelay = fixed.unstakeDelay
    feeBps = fixed.feeBps
    stakeBps = fixed.stakeBps
    noShowBps = fixed.noShowBps


@internal
@view
def _all() -> types.Policy:
    return types.Policy(
        receiptInterval=receiptInterval,
        grace=grace,
        challengeWindow=challengeWindow,
        arbitrationWindow=arbitrationWindow,
        unstakeDelay=unstakeDelay,
        feeBps=feeBps,
        stakeBps=stakeBps,
        noShowBps=noShowBps,
    )


@internal
@view
def _lock(escrow: uint256) -> uint256:
    # An escrow is below 2^88 where its lock counts, so nothing overflows.
    return unsafe_div(unsafe_mul(escrow, stakeBps), BASIS_POINTS)


@internal
@view
def _fee(old: uint256, new: uint256) -> uint256:
    # Of the totals and not of their difference, so that tiny receipts do not round the fee away.
    # Totals are below 2^88 and new >= old.
    before: uint256 = unsafe_div(unsafe_mul(old, feeBps), BASIS_POINTS)
    return unsafe_sub(unsafe_div(unsafe_mul(new, feeBps), BASIS_POINTS), before)
