"""What may be paid for gas: first offers, raises that a mempool takes, and the operator's daily budget.

Pure; wei throughout. What a transaction may cost at most is its gas limit at its highest fee: that much is
reserved while it is in flight, and what it really cost counts once it is mined.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from ledger.chain.calls import Call
from ledger.chain.client import Fees
from ledger.chain.keys import UnsignedTransaction, unsigned_of
from ledger.market.errors import Unavailable
from ledger.market.outbox import TxAttempt

DAY_SECONDS: Final = 86_400
TRANSFER_GAS: Final = 21_000
"""what a transaction without a call costs"""


def capped(fees: Fees, highest: int) -> Fees:
    """The fees to offer at first, neither of them above the highest."""
    max_fee = min(fees.max_fee, highest)
    return Fees(max_fee=max_fee, tip=min(fees.tip, max_fee))


def unsigned(call: Call, fees: Fees, *, chain_id: int, nonce: int) -> UnsignedTransaction:
    """The call at these fees, with its own gas limit and without value."""
    return UnsignedTransaction(
        chain_id=chain_id,
        nonce=nonce,
        to=call.to,
        data=call.data,
        gas=call.gas,
        max_fee=fees.max_fee,
        tip=fees.tip,
    )


def dearer(before: UnsignedTransaction, fees: Fees, highest: int) -> UnsignedTransaction | None:
    """The same call with both fees at least an eighth higher, as mempools ask of a replacement; None where
    that is more than the highest."""
    least_fee, least_tip = _an_eighth_more(before.max_fee), _an_eighth_more(before.tip)
    if least_fee > highest:
        return None
    max_fee = min(max(fees.max_fee, least_fee), highest)
    return replace(before, max_fee=max_fee, tip=min(max(fees.tip, least_tip), max_fee))


def _an_eighth_more(fee: int) -> int:
    return fee + fee // 8 + 1


def worst_cost(fields: UnsignedTransaction) -> int:
    """The most that a transaction can cost."""
    return fields.gas * fields.max_fee


def reserved(in_flight: Sequence[TxAttempt], without: int) -> int:
    """The most that what is in flight can cost, one nonce left out: of each nonce its dearest attempt."""
    by_nonce: Iterable[Iterable[TxAttempt]] = (
        group for nonce, group in groupby(in_flight, lambda attempt: attempt.nonce) if nonce != without
    )
    return sum(max(worst_cost(unsigned_of(one.raw)) for one in group) for group in by_nonce)


def over_budget(budget: int, spent: int, flying: int, cost: int) -> Unavailable:
    """The refusal to send what might exceed the day's budget."""
    return Unavailable(
        "gas-budget-spent",
        f"The next transaction may cost {cost} wei; of the day's {budget} wei for gas {spent} are spent and "
        f"{flying} reserved.",
        "What is wished waits until midnight UTC; raise --gas-budget to go on at once.",
        budget=budget,
        spent=spent,
        reserved=flying,
        cost=cost,
    )
