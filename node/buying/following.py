"""A job followed to its end while the buyer's own key agrees to its usage: `submit --attach`, `watch`.

The log is read on the caller's thread; co-signing goes on beside it, since a stalled log must not cost the
job its receipts. A node that restarts in between is waited for.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ledger.market.errors import MarketError, Unavailable
from ledger.market.identity import BidId
from ledger.market.receipt import SignedReceipt
from node.buying.buyer import FINAL_STATES, Buyer
from node.buying.client import Plain
from node.buying.cosigner import Cosigner

_PATIENCE_SECONDS = 60.0
_STEP_SECONDS = 0.5


def ignore_log(data: bytes) -> None:
    """For callers that show no log."""


def ignore_state(job: Plain) -> None:
    """For callers that show no states."""


def ignore_receipt(signed: SignedReceipt) -> None:
    """For callers that show no receipts."""


def ignore_problem(error: MarketError) -> None:
    """For callers that show no problems."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """What is told to the caller, from two threads: log bytes, a changed state, a signed receipt, and
    what the co-signer refused."""

    log: Callable[[bytes], None] = ignore_log
    state: Callable[[Plain], None] = ignore_state
    receipt: Callable[[SignedReceipt], None] = ignore_receipt
    problem: Callable[[MarketError], None] = ignore_problem


def follow(buyer: Buyer, job: BidId, observer: Observer, cosigner: Cosigner | None = None) -> Plain:
    """Follow until the job is final and its leases are closed; the node's last word on it.

    The last report comes after the job's end, so a co-signer that left then would leave its provider
    unpaid. A lease that is still open after a minute is left to the market's grace.
    """
    ended = threading.Event()
    side = threading.Thread(
        target=_beside, args=(buyer, job, observer, cosigner, ended), name="co-signing", daemon=True
    )
    side.start()
    try:
        _read_log(buyer, job, observer)
        return wait_settled(buyer, job)
    finally:
        ended.set()
        side.join(timeout=_STEP_SECONDS * 4)


def wait_settled(buyer: Buyer, job: BidId) -> Plain:
    """Look until the job is final and its leases are closed, which a last receipt does soon after; what is
    still open a minute later is left to the market's grace."""
    answer = buyer.wait(job)
    until = buyer.clock() + _PATIENCE_SECONDS
    while buyer.clock() < until and any(lease["state"] == "active" for lease in answer["leases"]):
        buyer.sleep(_STEP_SECONDS)
        answer = buyer.status(job)
    return answer


def _read_log(buyer: Buyer, job: BidId, observer: Observer) -> None:
    offset, until = 0, buyer.clock() + _PATIENCE_SECONDS
    while True:
        try:
            for piece in buyer.logs(job, follow=True, offset=offset):
                observer.log(piece.data)
                offset, until = piece.next_offset, buyer.clock() + _PATIENCE_SECONDS
            if buyer.status(job)["state"] in FINAL_STATES:
                return
        except Unavailable:
            if buyer.clock() > until:
                raise
        buyer.sleep(_STEP_SECONDS)


def _beside(
    buyer: Buyer,
    job: BidId,
    observer: Observer,
    cosigner: Cosigner | None,
    ended: threading.Event,
) -> None:
    """Look at the job each half second until told to end; a failure is told once, then tried again."""
    state, told = "", ""
    while not ended.wait(_STEP_SECONDS if state else 0):
        try:
            answer = buyer.status(job)
            if answer["state"] != state:
                state = str(answer["state"])
                observer.state(answer)
            for signed in [] if cosigner is None else cosigner.step(answer):
                observer.receipt(signed)
        except MarketError as error:
            if error.code != told:
                observer.problem(error)
            told = error.code
