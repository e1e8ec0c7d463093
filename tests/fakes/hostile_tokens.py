"""A token that does whatever an attacker may write into one, on demand: takes a fee, answers nothing, says
no, reverts, lies about balances, and calls the market back while the market calls it."""

from dataclasses import dataclass
from typing import Any

import boa

SOURCE = """
# pragma version 0.4.3
# What is armed strikes once, in the middle of the next call of its hook.
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
nonces: public(HashMap[address, uint256])
struck: public(uint256)
through: public(uint256)
_fee: uint256
_mood: uint256
_hook: uint256
_target: address
_call: Bytes[12288]

HONEST: constant(uint256) = 0
REVERTS: constant(uint256) = 1
SAYS_NO: constant(uint256) = 2
MOVES_AND_SAYS_NO: constant(uint256) = 3
MOVES_NOTHING: constant(uint256) = 4

@deploy
def __init__():
    self.balanceOf[msg.sender] = 10**15

@external
def be(mood: uint256, fee: uint256):
    self._mood = mood
    self._fee = fee

@external
def tell(account: address, amount: uint256):
    self.balanceOf[account] = amount

@external
def arm(hook: uint256, target: address, data: Bytes[12288]):
    self._hook = hook
    self._target = target
    self._call = data

@external
def act(target: address, data: Bytes[12288]):
    raw_call(target, data)

@internal
def _strike(hook: uint256):
    if self._hook != hook:
        return
    self._hook = 0
    self.struck += 1
    done: bool = raw_call(self._target, self._call, revert_on_failure=False)
    if done:
        self.through += 1

@internal
def _move(owner: address, receiver: address, amount: uint256):
    assert self._mood != REVERTS, "hostile: no"
    if self._mood == SAYS_NO or self._mood == MOVES_NOTHING:
        return
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount - amount * self._fee // 10_000

@internal
def _answer() -> bool:
    return self._mood != SAYS_NO and self._mood != MOVES_AND_SAYS_NO

@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True

@external
def permit(
    owner: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
):
    self._strike(3)
    self.allowance[owner][spender] = amount

@external
def transferFrom(owner: address, receiver: address, amount: uint256)%(returns)s:
    assert self.allowance[owner][msg.sender] >= amount, "hostile: allowance"
    self._strike(1)
    self._move(owner, receiver, amount)
    self._strike(4)
    %(answer)s

@external
def transfer(receiver: address, amount: uint256)%(returns)s:
    self._strike(2)
    self._move(msg.sender, receiver, amount)
    self._strike(5)
    %(answer)s
"""
MOODS = {"honest": 0, "reverts": 1, "says no": 2, "moves and says no": 3, "moves nothing": 4}
HOOKS = {
    "transferFrom": 1,
    "transfer": 2,
    "permit": 3,
    "transferFrom, afterwards": 4,
    "transfer, afterwards": 5,
}


@dataclass(frozen=True, slots=True)
class HostileToken:
    """The deployed token, in plain words."""

    contract: Any

    def be(self, mood: str, fee_bps: int = 0) -> None:
        """How it behaves from now on, and what it takes of each transfer."""
        self.contract.be(MOODS[mood], fee_bps)

    def arm(self, hook: str, target: str, data: bytes) -> None:
        """Have it make a call, once, in the midst of the next call of `hook`."""
        self.contract.arm(HOOKS[hook], target, data)

    def act(self, target: str, data: bytes) -> None:
        """Have it make a call now; reverts with it."""
        self.contract.act(target, data)

    def tell(self, account: str, amount: int) -> None:
        """What it says that somebody has."""
        self.contract.tell(account, amount)

    def strikes(self) -> tuple[int, int]:
        """How often it called back, and how often that went through."""
        return int(self.contract.struck()), int(self.contract.through())


def a_hostile_token(*, answers: bool = True) -> HostileToken:
    """Honest at first; without `answers` it returns nothing, as some old tokens do."""
    parts = {
        "returns": " -> bool" if answers else "",
        "answer": "return self._answer()" if answers else "pass",
    }
    return HostileToken(boa.loads(SOURCE % parts))
