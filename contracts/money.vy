# pragma version 0.4.3
"""
@title The token's door: the only place where the market calls another contract after its deployment
@notice What counts is what arrived, not what was asked for. Paying out is the last thing that a call does.
"""

from ethereum.ercs import IERC20

from . import accounts
from . import errors
from . import events
from . import signatures
from . import types

uses: accounts
uses: errors
uses: signatures

interface IPermit:
    def permit(
        owner: address,
        spender: address,
        amount: uint256,
        deadline: uint256,
        v: uint8,
        r: bytes32,
        s: bytes32,
    ): nonpayable

token: immutable(address)


@deploy
def __init__(paid_in: address):
    assert paid_in != empty(address), "market: no token"
    token = paid_in


@internal
@view
def _held() -> uint256:
    return staticcall IERC20(token).balanceOf(self)


@internal
def _pull(owner: address, amount: uint256):
    before: uint256 = self._held()
    moved: bool = extcall IERC20(token).transferFrom(owner, self, amount, default_return_value=True)
    errors._require(moved, errors.TOKEN_REFUSED)
    held: uint256 = self._held()
    # All that the market owes is held, so below this bound no amount can outgrow its 88 bits.
    errors._require(held <= accounts.AMOUNT, errors.HOLDS_TOO_MUCH)
    received: uint256 = min(amount, held - before)
    errors._require(received != 0, errors.NO_AMOUNT)
    accounts._add(convert(owner, bytes32), received)
    log events.Deposited(account=owner, amount=received)


@internal
def _permit(owner: address, amount: uint256, deadline: uint256, r: bytes32, vs: bytes32):
    # A permit that somebody else delivered first has left exactly this allowance and can be used on.
    allowed: uint256 = staticcall IERC20(token).allowance(owner, self)
    if allowed == amount:
        return
    v: uint8 = convert(27 + (convert(vs, uint256) >> 255), uint8)
    s: bytes32 = convert(convert(vs, uint256) & signatures.LOW_255, bytes32)
    extcall IPermit(token).permit(owner, self, amount, deadline, v, r, s)


@internal
def _pay_out(account: address, to: address, amount: uint256):
    errors._require(amount != 0, errors.NO_AMOUNT)
    accounts._debit(convert(account, bytes32), amount)
    log events.Withdrawn(account=account, to=to, amount=amount)
    moved: bool = extcall IERC20(token).transfer(to, amount, default_return_value=True)
    errors._require(moved, errors.TOKEN_REFUSED)


@internal
def _use_withdrawal(item: types.Withdrawal, r: bytes32, vs: bytes32):
    beyond: uint256 = (item.nonce >> 64) | (item.deadline >> 40)
    errors._require(item.to != empty(address) and beyond == 0, errors.WITHDRAWAL_FIELD)
    errors._require(block.timestamp <= item.deadline, errors.WITHDRAWAL_EXPIRED)
    account: bytes32 = convert(item.account, bytes32)
    used: bool = accounts._nonce_used(account, accounts._words[account], item.nonce)
    errors._require(not used, errors.NONCE_USED)
    signer: address = signatures._signer_of(signatures._withdrawal_digest(item), r, vs)
    errors._require(signer == item.account and signer != empty(address), errors.WRONG_SIGNATURE)
    self._cancel_nonces(item.account, item.nonce >> 8, 1 << (item.nonce & 255))


@internal
def _cancel_nonces(account: address, index: uint256, mask: uint256):
    accounts._cancel_nonces(convert(account, bytes32), index, mask)
    log events.NoncesCancelled(account=account, word=index, mask=mask)
