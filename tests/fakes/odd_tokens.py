"""Tokens that no honest issuer would deploy, for what a market must survive."""

from typing import Any

import boa

REFUSING = """
# pragma version 0.4.3
balanceOf: public(HashMap[address, uint256])

@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    return False
"""
"""pulls nothing"""
LYING = """
# pragma version 0.4.3
_told: uint256

@external
@view
def balanceOf(account: address) -> uint256:
    return self._told

@external
def tell(amount: uint256):
    self._told = amount

@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    self._told += amount
    return True

@external
def transfer(receiver: address, amount: uint256) -> bool:
    return False
"""
"""says that its holders have what it was told to say, and pays nothing out"""


def deploy_token(source: str) -> Any:
    """The deployed token, with its functions as methods."""
    return boa.loads(source)
