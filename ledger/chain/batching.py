"""Which wishes share a transaction, and when: full calls for many, no waiting for one.

A wish that meets no transaction of its account on its way goes at once. Those that come while one waits for
its block gather, and go together as soon as they fill a call, or the chain has a new block: so a burst costs
one call a block and kind instead of one a step, and nothing waits longer than until the next block. Order is
kept: what must gather keeps back what was wished after it.

Pure, but for the number of the block in which was sent last.
"""

from collections.abc import Collection, Sequence
from typing import Final

from ledger.chain.calls import BATCHED, MAX_ITEMS
from ledger.market.instructions import (
    AnchorEpoch,
    CloseLease,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    Instruction,
    OpenLease,
    RevealResult,
    SettleReceipt,
)
from ledger.market.outbox import TxIntent

NOT_YET: Final = ("not yet", "too early")
"""what the contracts say of a call whose time has not come"""
_SKIPPED_ALONE: Final = (OpenLease, SettleReceipt, AnchorEpoch)
"""kinds of which a bad one costs the others nothing and is explained by its event"""
_TIMED: Final = (CloseLease, FinalizeClaim, FinishUnstake, DecideReplicas, RevealResult)
"""kinds that the contract refuses before their time"""


class Gathering:
    """Remembers the head on which was sent last."""

    def __init__(self) -> None:
        self._head: int | None = None

    def sent(self, head: int) -> None:
        """Something was sent while the chain stood at block `head`."""
        self._head = head

    def waits(self, head: int) -> bool:
        """Whether no block came since then, so that what is on its way may still be joined by more."""
        return self._head is not None and head <= self._head

    @staticmethod
    def has_room(batch: Sequence[TxIntent], alone: Collection[int]) -> bool:
        """Whether more wishes would fit the call."""
        first = batch[0]
        together = isinstance(first.instruction, (*BATCHED, AnchorEpoch)) and first.id not in alone
        return together and sum(not isinstance(one.instruction, AnchorEpoch) for one in batch) < MAX_ITEMS


def next_batch(waiting: Sequence[TxIntent], alone: Collection[int]) -> list[TxIntent]:
    """The oldest intent and those that may share its call; those in `alone` share none. The roots of epochs
    go with the matches, behind them."""
    first = waiting[0]
    if not isinstance(first.instruction, (*BATCHED, AnchorEpoch)) or first.id in alone:
        return [first]
    if isinstance(first.instruction, (OpenLease, AnchorEpoch)):
        return [*_alike(OpenLease, waiting, alone)[:MAX_ITEMS], *_alike(AnchorEpoch, waiting, alone)]
    return _alike(type(first.instruction), waiting, alone)[:MAX_ITEMS]


def _alike(kind: type[Instruction], waiting: Sequence[TxIntent], alone: Collection[int]) -> list[TxIntent]:
    return [one for one in waiting if type(one.instruction) is kind and one.id not in alone]


def is_batch_of_skips(batch: Sequence[TxIntent]) -> bool:
    """Whether a bad one among them only skips itself, so that one look at the whole call is enough."""
    return len(batch) > 1 and isinstance(batch[0].instruction, _SKIPPED_ALONE)


def is_timed(wish: Instruction) -> bool:
    """Whether its time may not have come: then it waits for as long as a refusal `is_early`."""
    return isinstance(wish, _TIMED)


def is_early(reason: str) -> bool:
    """Whether the contract refuses for now, not for good."""
    return any(phrase in reason for phrase in NOT_YET)
