"""The market contract in Python: what it must do for every call, against which the real one is tested.

A call is decided on the present state and answered with the events that the contract logs; the state is
the fold of those events and nothing else, so a contract that agrees with this model is one whose events
rebuild its storage. What needs keccak-256 or a signature's recovery comes in: ids as bytes, and whether
a signature is by whom it must be. A call that reverts raises `Rejected` and changes nothing.
"""

from ledger.market.calls.claims import ClaimCalls
from ledger.market.calls.continuing import ContinuingCalls
from ledger.market.calls.gangs import GangCalls, GangFill
from ledger.market.calls.jury import JuryCalls, Revelation
from ledger.market.calls.market import MAX_AMOUNT
from ledger.market.calls.matching import Fill, check_bid, check_single
from ledger.market.calls.money import PAUSE_SECONDS, MoneyCalls
from ledger.market.calls.registry import sound_offer
from ledger.market.calls.settling import Settlement

__all__ = [
    "MAX_AMOUNT",
    "PAUSE_SECONDS",
    "Fill",
    "GangFill",
    "MarketModel",
    "Revelation",
    "Settlement",
    "check_bid",
    "check_single",
    "sound_offer",
]


class MarketModel(MoneyCalls, GangCalls, ContinuingCalls, ClaimCalls, JuryCalls):
    """All calls of the market and of its jury."""

    __slots__ = ()
