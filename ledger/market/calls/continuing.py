"""Continuing: one call closes a lease with its receipt and opens the next, so that a job goes on."""

from copy import deepcopy

from ledger.market.bid import Bid
from ledger.market.calls.market import require
from ledger.market.calls.matching import Fill, MatchingCalls, check_fields
from ledger.market.calls.settling import Settlement, SettlingCalls
from ledger.market.errors import Rejected
from ledger.market.events import LeaseContinued, LeaseOpened, MarketEvent
from ledger.market.identity import Address
from ledger.market.lease import ClosedBecause
from ledger.market.money import escrow_for
from ledger.market.reasons import SkipReason


def check_next(bid: Bid) -> SkipReason:
    """What `continueLease` demands of a bid by itself; which lease it names comes beside."""
    if reason := check_fields(bid):
        return reason
    if bid.flags:
        return SkipReason.FLAGS
    return SkipReason.MEMBERS if bid.members != 1 else SkipReason.NONE


class ContinuingCalls(MatchingCalls, SettlingCalls):
    """The call that continues a lease; it takes effect whole, or is refused whole."""

    __slots__ = ()

    def continue_lease(self, caller: Address, item: Settlement, fill: Fill, at: int) -> list[MarketEvent]:
        before = deepcopy(self.state)
        try:
            return self._continue(caller, item, fill, at)
        except Rejected:
            self.state = before
            raise

    def _continue(self, caller: Address, item: Settlement, fill: Fill, at: int) -> list[MarketEvent]:
        self._not_paused(at)
        previous, bid = self.lease_id(item.terms), fill.bid
        same = bytes(bid.continues) == bytes(previous) and bid.buyer == item.terms.buyer
        same = same and fill.offer_id == item.terms.offer
        require(same, "not-its-next", "The bid does not continue this lease of its buyer and offer.")
        payable = item.receipt.last and not self.check_settlement(item, at)
        require(payable, "receipt", "The receipt does not close the lease.")
        events = self.pay_receipt(item)
        events += self.close_lease(previous, ClosedBecause.CONTINUED)
        events += self.pay_fees(item.terms.matcher)
        reason = check_next(bid) or self.check_opening(caller, fill, at)
        require(not reason, "cannot-continue", f"The next lease may not open: {reason.name}.")
        events += self.spend_allowance(fill, escrow_for(fill.rate, bid.duration))
        (opened,) = self.open_member(caller, fill, 0, at)
        assert isinstance(opened, LeaseOpened)
        return [*events, opened, *self._log(LeaseContinued(lease=opened.id, previous=previous))]
