"""The lease that most attacks are about: an hour of two cores and 1 GiB at the ask, and its figures."""

from collections.abc import Sequence

from ledger.market.events import BidSkipped, LeaseOpened, MarketEvent, ReceiptSkipped
from ledger.market.money import escrow_for, pay_for, rate_of
from ledger.market.policy import EMBEDDED
from tests.fakes.in_process_market import Order, a_bid, an_offer
from tests.fakes.market_twin import MarketTwin

ASK = rate_of(an_offer().ask, a_bid().want)
DURATION = a_bid().duration
ESCROW = escrow_for(ASK, DURATION)
LOCK = EMBEDDED.lock_for(ESCROW)


def an_hour_lease(twin: MarketTwin) -> LeaseOpened:
    """The lease that the matcher opened for the buyer on the provider's offer."""
    twin.register(an_offer())
    return twin.open(an_offer(), Order(bid=a_bid(), rate=ASK))


def reasons(events: Sequence[MarketEvent]) -> list[int]:
    """Of the skipped ones."""
    return [event.reason for event in events if isinstance(event, BidSkipped | ReceiptSkipped)]


def pay(milliseconds: int) -> int:
    """Base units that the lease pays for so much time."""
    return pay_for(ASK, milliseconds, DURATION)
