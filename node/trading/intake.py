"""Intake: whether an order may be taken, answered from memory and with one question to the books for all.

What the buyer's account allows is judged by what was followed of the chain (`node.trading.followed`). A
refusal that rests on that alone is *doubtful*: the submitter then asks the chain itself, outside every lock,
and comes back once with what it said. Orders of one epoch are judged in their turn, each beside those before
it; one that only those stand in the way of waits for the next epoch, since they may yet find nothing.
"""

from collections import defaultdict
from collections.abc import Sequence

from ledger.books.queries import Queries
from ledger.market.delegation import Role
from ledger.market.errors import LostRace, MarketError, Rejected, Unavailable
from ledger.market.identity import NO_DIGEST, NOBODY, Address, BidId, text
from node.trading.admission import Order, bad_signature, replayed
from node.trading.followed import AccountView, Followed
from node.trading.funds import needed_by, uncovered
from node.trading.gathering import Ticket
from node.trading.open_orders import OpenOrders
from node.trading.resting import INCLUSION_SECONDS

MOST_RESTING = 1_000
"""orders of one buyer that may rest at once"""


class Intake:
    """Checks the orders of one epoch; `judge` may be called anew for the next one."""

    def __init__(self, queries: Queries, orders: OpenOrders, followed: Followed) -> None:
        self._queries = queries
        self._orders = orders
        self._followed = followed

    def judge(self, tickets: Sequence[Ticket], paused_until: int) -> tuple[list[Ticket], list[Ticket]]:
        """Refuse what must be refused; the tickets that are admitted, and those for the next epoch."""
        known = self._queries.jobs_of_bids([name for ticket in tickets for name in ticket.order.ids])
        epoch = _Epoch(self._orders)
        admitted: list[Ticket] = []
        later: list[Ticket] = []
        for ticket in tickets:
            if epoch.stands_in_the_way(ticket.order):
                later.append(ticket)
                continue
            try:
                self._check(ticket, known, paused_until)
                if ticket.order.bid.continues == NO_DIGEST and epoch.leaves_too_little(
                    ticket.order, self._view(ticket)
                ):
                    later.append(ticket)
                    continue
            except MarketError as error:
                ticket.refuse(error, doubtful=_is_doubtful(error) and ticket.told is None)
                continue
            epoch.add(ticket.order)
            admitted.append(ticket)
        return admitted, later

    def check_may_rest(self, buyer: Address, more: int) -> None:
        """`Rejected` where the buyer's orders that rest, and `more` beside them, are too many."""
        if self._orders.resting_of(buyer) + more >= MOST_RESTING:
            raise Rejected(
                "too-many-resting",
                f"{MOST_RESTING} orders of {text(buyer)} rest already.",
                "Withdraw some, or wait until they match or lapse.",
                most=MOST_RESTING,
            )

    def _view(self, ticket: Ticket) -> AccountView:
        return self._followed if ticket.told is None else ticket.told

    def _check(self, ticket: Ticket, known: dict[BidId, BidId], paused_until: int) -> None:
        order, view = ticket.order, self._view(ticket)
        for bid in order.ids:
            if bid in known:
                raise replayed(known[bid])
        if ticket.at < paused_until:
            raise _paused(paused_until)
        _check_signed_now(order, view)
        self._check_delegate(order, view, ticket.at)
        if order.bid.continues != NO_DIGEST:
            return
        held = max(0, view.balance_of(order.bid.buyer) - self._orders.reserved(order.bid.buyer))
        if held < needed_by(order):
            raise uncovered(needed_by(order), held)

    def _check_delegate(self, order: Order, view: AccountView, at: int) -> None:
        """`Rejected` where the key that signed may not spend so much for the buyer, or not long enough for
        a match to be mined."""
        if order.delegate == NOBODY:
            return
        buyer, key, needed = order.bid.buyer, order.delegate, needed_by(order)
        given = view.delegation_of(buyer, key)
        if Role.SPEND not in given.roles:
            raise bad_signature(buyer)
        if not given.may(Role.SPEND, at + INCLUSION_SECONDS):
            raise Rejected(
                "delegate-expired",
                f"The key {text(key)} may spend for {text(buyer)} until {given.until}; it is {at}.",
                "Let the buyer name the key again (bingwang wallet delegate).",
                until=given.until,
            )
        left = max(0, given.allowance - self._orders.reserved(buyer, key))
        if left < needed:
            raise Rejected(
                "allowance-too-small",
                f"The bid may lock up to {needed} base units, the key's allowance leaves {left}.",
                "Let the buyer raise the allowance (bingwang wallet delegate), or lower the limit.",
                needed=str(needed),
                left=str(left),
            )


class _Epoch:
    """What the orders that were admitted so far in this epoch may yet take."""

    def __init__(self, orders: OpenOrders) -> None:
        self._orders = orders
        self._bids: set[BidId] = set()
        self._nonces: set[tuple[Address, int]] = set()
        self._needed: dict[Address, int] = defaultdict(int)
        self._by_delegate: dict[tuple[Address, Address], int] = defaultdict(int)

    def add(self, order: Order) -> None:
        """An order is admitted."""
        buyer, needed = order.bid.buyer, needed_by(order)
        self._bids.update(order.ids)
        self._nonces.update(_nonces(order))
        self._needed[buyer] += needed
        if order.delegate != NOBODY:
            self._by_delegate[(buyer, order.delegate)] += needed

    def stands_in_the_way(self, order: Order) -> bool:
        """Whether one of these has a bid or a nonce of this order."""
        return not self._bids.isdisjoint(order.ids) or not self._nonces.isdisjoint(_nonces(order))

    def leaves_too_little(self, order: Order, view: AccountView) -> bool:
        """Whether an order that is covered alone is not, beside these."""
        buyer, needed, key = order.bid.buyer, needed_by(order), order.delegate
        reserved = self._orders.reserved(buyer) + self._needed.get(buyer, 0)
        if view.balance_of(buyer) < reserved + needed:
            return True
        if key == NOBODY:
            return False
        given = self._orders.reserved(buyer, key) + self._by_delegate.get((buyer, key), 0)
        return view.delegation_of(buyer, key).allowance < given + needed


def _nonces(order: Order) -> list[tuple[Address, int]]:
    return [(signed.bid.buyer, signed.bid.nonce) for signed in order.ways[0].attempts]


def _check_signed_now(order: Order, view: AccountView) -> None:
    buyer = order.bid.buyer
    if view.epoch_of(buyer) != order.bid.epoch:
        raise LostRace("bid-epoch", "The buyer has moved to another epoch.", "Sign the bid again.")
    for signed in order.ways[0].attempts:
        if view.nonce_used(buyer, signed.bid.nonce):
            raise LostRace(
                "nonce-used",
                f"The nonce {signed.bid.nonce} of {text(buyer)} has been used.",
                "Sign the bid again with a fresh nonce.",
            )


def _is_doubtful(error: MarketError) -> bool:
    return error.code not in ("replayed-bid", "market-paused")


def _paused(until: int) -> Unavailable:
    return Unavailable(
        "market-paused",
        f"The market's guardian paused new business until {until} at the latest.",
        "Try again later; jobs that run go on, and every exit stays open.",
        until=until,
    )
