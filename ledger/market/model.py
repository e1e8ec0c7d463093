"""The market contract in Python: what it must do for every call, against which the real one is tested.

A call is decided on the present state and answered with the events that the contract logs; the state is
the fold of those events and nothing else, so a contract that agrees with this model is one whose events
rebuild its storage. What needs keccak-256 or a signature's recovery comes in: ids as bytes, and whether
a signature is by whom it must be. A call that reverts raises `Rejected` and changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger.market.bid import Bid
from ledger.market.errors import Rejected
from ledger.market.events import (
    BatchMatched,
    BidSkipped,
    Deposited,
    EpochBumped,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
    ReceiptSkipped,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import NO_DIGEST, NOBODY, Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import ClosedBecause, Lease, LeaseTerms
from ledger.market.money import MILLISECONDS, escrow_for, highest_rate, rate_of
from ledger.market.offer import Offer
from ledger.market.policy import CLOCK_SLACK_SECONDS, Policy
from ledger.market.reasons import SkipReason
from ledger.market.receipt import UsageReceipt
from ledger.market.resource import Quantities
from ledger.market.state import MarketState

MAX_AMOUNT = (1 << 88) - 1
"""base units that the market holds at most: what one balance field can count"""
NONCE_WORDS = 1 << 56


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One bid to be matched with one offer at `rate` (milli-base-units per hour).

    `authentic` says whether the signature over `bid_id` is the buyer's.
    """

    offer_id: OfferId
    offer: Offer
    bid_id: BidId
    bid: Bid
    rate: int
    authentic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A receipt with the terms of its lease; `authentic`: the signature is by `terms.signer`."""

    terms: LeaseTerms
    receipt: UsageReceipt
    authentic: bool


def _require(holds: bool, code: str, cause: str) -> None:
    if not holds:
        raise Rejected(code, cause, "Look at the market's state before the call.")


def _sound_quantities(lanes: Quantities) -> bool:
    return lanes.reserved == 0 and lanes != Quantities()


def sound_offer(offer: Offer) -> bool:
    """Whether the contract takes an offer with these fields; ranges are the type's own business."""
    one_vendor = offer.traits.vendors.bit_count() == 1
    one_region = offer.traits.regions.bit_count() == 1
    priced = offer.ask.reserved == 0
    return (
        _sound_quantities(offer.capacity)
        and priced
        and one_vendor
        and one_region
        and offer.provider != NOBODY
    )


def check_bid(bid: Bid) -> SkipReason:
    """What is wrong with a bid by itself."""
    if not _sound_quantities(bid.want) or bid.signer == NOBODY or bid.duration == 0:
        return SkipReason.BID_FIELD
    if bid.flags:
        return SkipReason.FLAGS
    if bid.members != 1:
        return SkipReason.MEMBERS
    if bid.continues != NO_DIGEST:
        return SkipReason.CONTINUES
    return SkipReason.NONE


def check_time(offer: Offer, bid: Bid, at: int) -> SkipReason:
    """Whether bid, duration and offer allow a lease that starts at `at`."""
    if at > bid.valid_until:
        return SkipReason.BID_EXPIRED
    if at > bid.start_by:
        return SkipReason.START_BY
    if not offer.min_seconds <= bid.duration <= offer.max_seconds:
        return SkipReason.DURATION
    if offer.valid_until < at + bid.duration:
        return SkipReason.OFFER_EXPIRES
    return SkipReason.NONE


def check_price(offer: Offer, bid: Bid, rate: int, matcher: Address, at: int) -> SkipReason:
    """The chosen matcher may take a margin over the ask; anybody else matches late, and at the ask."""
    chosen = bid.matcher != NOBODY and matcher == bid.matcher
    if bid.matcher != NOBODY and not chosen and at < bid.open_after:
        return SkipReason.MATCHER
    ask = rate_of(offer.ask, bid.want)
    if rate < ask:
        return SkipReason.BELOW_ASK
    if rate > bid.limit_rate:
        return SkipReason.ABOVE_LIMIT
    if rate > highest_rate(ask, bid.max_over_ask_bps if chosen else 0):
        return SkipReason.OVER_ASK
    return SkipReason.NONE


@dataclass(slots=True, kw_only=True)
class MarketModel:
    """The contract's calls; `lease_id` hashes terms with the market's domain, times are seconds."""

    policy: Policy
    lease_id: Callable[[LeaseTerms], LeaseId]
    state: MarketState = field(default_factory=MarketState)

    def _log(self, event: MarketEvent) -> list[MarketEvent]:
        self.state.apply(event)
        return [event]

    def deposit(self, account: Address, amount: int) -> list[MarketEvent]:
        """`amount` is what arrived at the market, at most what the account asked to deposit."""
        _require(amount > 0, "nothing-deposited", "No tokens arrived.")
        fits = self.state.held() + amount <= MAX_AMOUNT
        _require(fits, "holds-too-much", "The market holds as much as it can count.")
        return self._log(Deposited(account=account, amount=amount))

    def withdraw(self, account: Address, amount: int) -> list[MarketEvent]:
        _require(amount > 0, "nothing-to-withdraw", "The amount is zero.")
        enough = self.state.balances.get(account, 0) >= amount
        _require(enough, "balance-too-small", "The free balance is below the amount.")
        return self._log(Withdrawn(account=account, amount=amount))

    def register_offer(self, caller: Address, offer_id: OfferId, offer: Offer, at: int) -> list[MarketEvent]:
        _require(caller == offer.provider, "not-the-provider", "The caller is not the provider.")
        _require(sound_offer(offer), "offer-field", "The offer has a field out of range.")
        _require(offer.valid_until > at, "offer-expired", "The offer's validity has passed.")
        current = offer.epoch == self.state.epochs.get(caller, 0)
        _require(current, "offer-epoch", "The offer is not of the provider's epoch.")
        known = offer_id in self.state.offers
        _require(not known, "offer-known", "The offer was registered before.")
        return self._log(OfferRegistered(id=offer_id, offer=offer))

    def cancel_offer(self, caller: Address, offer_id: OfferId, offer: Offer) -> list[MarketEvent]:
        _require(caller == offer.provider, "not-the-provider", "The caller is not the provider.")
        standing = offer_id in self.state.offers and offer_id not in self.state.cancelled
        _require(standing, "offer-not-open", "The offer is unknown or cancelled.")
        return self._log(OfferCancelled(id=offer_id, provider=caller))

    def bump_epoch(self, caller: Address) -> list[MarketEvent]:
        epoch = self.state.epochs.get(caller, 0) + 1
        return self._log(EpochBumped(account=caller, epoch=epoch))

    def cancel_nonces(self, caller: Address, word: int, mask: int) -> list[MarketEvent]:
        _require(word < NONCE_WORDS, "no-such-nonces", "Nonces have 64 bits.")
        return self._log(NoncesCancelled(account=caller, word=word, mask=mask))

    def check_fill(self, matcher: Address, fill: Fill, at: int) -> SkipReason:
        """The reason for which the contract would skip this fill; the first one in its order."""
        offer, bid = fill.offer, fill.bid
        if reason := check_bid(bid) or self._check_standing(fill.offer_id, offer):
            return reason
        if bid.buyer == offer.provider:
            return SkipReason.SELF_TRADE
        if bid.provider not in (NOBODY, offer.provider):
            return SkipReason.PROVIDER
        if reason := check_time(offer, bid, at):
            return reason
        if bid.traits.unmet_by(offer.traits):
            return SkipReason.TRAITS
        used = self.state.used[fill.offer_id]
        if any(u + w > c for u, w, c in zip(used, bid.want, offer.capacity, strict=True)):
            return SkipReason.CAPACITY
        return check_price(offer, bid, fill.rate, matcher, at) or self._check_buyer(fill)

    def _check_standing(self, offer_id: OfferId, offer: Offer) -> SkipReason:
        if offer_id not in self.state.offers:
            return SkipReason.OFFER_UNKNOWN if sound_offer(offer) else SkipReason.OFFER_FIELD
        if offer_id in self.state.cancelled:
            return SkipReason.OFFER_CANCELLED
        if offer.epoch != self.state.epochs.get(offer.provider, 0):
            return SkipReason.OFFER_EPOCH
        return SkipReason.NONE

    def _check_buyer(self, fill: Fill) -> SkipReason:
        bid = fill.bid
        if bid.epoch != self.state.epochs.get(bid.buyer, 0):
            return SkipReason.BID_EPOCH
        if bid.nonce in self.state.nonces.get(bid.buyer, ()):
            return SkipReason.NONCE_USED
        if escrow_for(fill.rate, bid.duration) > self.state.balances.get(bid.buyer, 0):
            return SkipReason.FUNDS
        return SkipReason.NONE if fill.authentic else SkipReason.SIGNATURE

    def match_bid(self, matcher: Address, fill: Fill, at: int) -> list[MarketEvent]:
        """One bid; a batch of one without the `BatchMatched`."""
        reason = self.check_fill(matcher, fill, at)
        if reason:
            return self._log(BidSkipped(bid=fill.bid_id, reason=reason))
        bid = fill.bid
        terms = LeaseTerms(
            offer=fill.offer_id,
            bid=fill.bid_id,
            member=0,
            provider=fill.offer.provider,
            buyer=bid.buyer,
            signer=bid.signer,
            matcher=matcher,
            want=bid.want,
            rate=fill.rate,
            duration=bid.duration,
        )
        opened = LeaseOpened(
            id=self.lease_id(terms),
            terms=terms,
            start=at,
            escrow=escrow_for(fill.rate, bid.duration),
            nonce=bid.nonce,
            job=bid.job,
        )
        return self._log(opened)

    def match_bids(self, matcher: Address, fills: Sequence[Fill], root: Digest, at: int) -> list[MarketEvent]:
        """Every fill in order, each on the state that those before it left."""
        events: list[MarketEvent] = []
        for fill in fills:
            events += self.match_bid(matcher, fill, at)
        opened = sum(isinstance(event, LeaseOpened) for event in events)
        skipped = len(fills) - opened
        batch = BatchMatched(matcher=matcher, root=root, opened=opened, skipped=skipped)
        return events + self._log(batch)

    def check_settlement(self, item: Settlement, at: int) -> SkipReason:
        """The reason for which the contract would skip this receipt; the first one in its order."""
        lease = self.state.leases.get(self.lease_id(item.terms))
        if lease is None:
            return SkipReason.LEASE_UNKNOWN
        claimed = item.receipt.milliseconds
        if claimed > (at - lease.start + CLOCK_SLACK_SECONDS) * MILLISECONDS:
            return SkipReason.BEYOND_ELAPSED
        if claimed > lease.terms.duration * MILLISECONDS:
            return SkipReason.BEYOND_DURATION
        if claimed > lease.seconds() * MILLISECONDS:
            return SkipReason.BEYOND_TERMINATION
        due = lease.due(claimed)
        if due < lease.paid or (due == lease.paid and not item.receipt.last):
            return SkipReason.NOT_MONOTONE
        return SkipReason.NONE if item.authentic else SkipReason.RECEIPT_SIGNATURE

    def settle(self, item: Settlement, at: int) -> list[MarketEvent]:
        """Pays up to the receipt; the last one closes and refunds."""
        lease_id = self.lease_id(item.terms)
        reason = self.check_settlement(item, at)
        if reason:
            return self._log(ReceiptSkipped(lease=lease_id, reason=reason))
        lease = self.state.leases[lease_id]
        due = lease.due(item.receipt.milliseconds)
        settled = UsageSettled(
            lease=lease_id,
            buyer=lease.terms.buyer,
            provider=lease.terms.provider,
            milliseconds=item.receipt.milliseconds,
            amount=due - lease.paid,
            paid=due,
            evidence=item.receipt.evidence,
        )
        events = self._log(settled)
        if item.receipt.last:
            events += self._close(lease_id, ClosedBecause.LAST_RECEIPT)
        return events

    def settle_many(self, items: Sequence[Settlement], at: int) -> list[MarketEvent]:
        return [event for item in items for event in self.settle(item, at)]

    def release(self, caller: Address, terms: LeaseTerms) -> list[MarketEvent]:
        lease_id, lease = self._open_lease(terms)
        _require(caller == lease.terms.provider, "not-the-provider", "The caller is not it.")
        return self._close(lease_id, ClosedBecause.RELEASED)

    def terminate(self, caller: Address, terms: LeaseTerms, at: int) -> list[MarketEvent]:
        lease_id, lease = self._open_lease(terms)
        _require(caller == lease.terms.buyer, "not-the-buyer", "The caller is not the buyer.")
        _require(lease.ended_after is None, "terminated-before", "It was terminated before.")
        terminated = LeaseTerminated(
            lease=lease_id,
            buyer=caller,
            provider=lease.terms.provider,
            ended_after=min(max(at - lease.start, 1), lease.terms.duration),
        )
        return self._log(terminated)

    def check_close(self, terms: LeaseTerms, at: int) -> SkipReason:
        """Why anybody may not close the lease yet."""
        lease = self.state.leases.get(self.lease_id(terms))
        if lease is None:
            return SkipReason.LEASE_UNKNOWN
        ripe = at >= lease.closable_at(self.policy.grace)
        return SkipReason.NONE if ripe else SkipReason.NOT_YET

    def close(self, terms: LeaseTerms, at: int) -> list[MarketEvent]:
        reason = self.check_close(terms, at)
        _require(not reason, "not-closable", f"The lease cannot be closed: {reason.name}.")
        return self._close(self.lease_id(terms), ClosedBecause.EXPIRED)

    def close_many(self, items: Sequence[LeaseTerms], at: int) -> list[MarketEvent]:
        events: list[MarketEvent] = []
        for terms in items:
            reason = self.check_close(terms, at)
            if reason:
                skipped = ReceiptSkipped(lease=self.lease_id(terms), reason=reason)
                events += self._log(skipped)
            else:
                events += self.close(terms, at)
        return events

    def _open_lease(self, terms: LeaseTerms) -> tuple[LeaseId, Lease]:
        lease_id = self.lease_id(terms)
        lease = self.state.leases.get(lease_id)
        if lease is None:
            raise Rejected(
                "no-such-lease",
                "No lease with these terms is open.",
                "Look at the market's state before the call.",
            )
        return lease_id, lease

    def _close(self, lease_id: LeaseId, because: ClosedBecause) -> list[MarketEvent]:
        lease = self.state.leases[lease_id]
        closed = LeaseClosed(
            lease=lease_id,
            buyer=lease.terms.buyer,
            provider=lease.terms.provider,
            paid=lease.paid,
            refunded=lease.escrow - lease.paid,
            because=because,
        )
        return self._log(closed)
