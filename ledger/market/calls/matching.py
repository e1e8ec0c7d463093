"""Whether a bid may open on an offer, and its opening: one bid at a time, or a batch that never fails."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.market.bid import AGREE_SHIFT, DISTINCT, MAX_MEMBERS, MAX_REPLICAS, REPLICAS, Bid
from ledger.market.calls.registry import RegistryCalls, sound_quantities
from ledger.market.delegation import Role
from ledger.market.events import BatchMatched, BidSkipped, DelegateSet, LeaseOpened, MarketEvent
from ledger.market.identity import NO_DIGEST, NOBODY, Address, BidId, Digest, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.money import escrow_for, highest_rate, rate_of
from ledger.market.offer import Offer
from ledger.market.reasons import SkipReason

KNOWN_FLAGS = DISTINCT | REPLICAS | 0xF << AGREE_SHIFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One bid to be matched with one offer at `rate` (milli-base-units per hour).

    `authentic` says whether the signature over `bid_id` is the buyer's or, where one is named, that of
    `delegate`: a key which is not the buyer's.
    """

    offer_id: OfferId
    offer: Offer
    bid_id: BidId
    bid: Bid
    rate: int
    authentic: bool
    delegate: Address = NOBODY


def sound_flags(bid: Bid) -> bool:
    """Whether the flags are known, and a quorum of replicas is more than half of them."""
    if bid.flags & ~KNOWN_FLAGS:
        return False
    if not bid.replicated:
        return bid.agree == 0
    return bid.members <= MAX_REPLICAS and bid.members < 2 * bid.agree <= 2 * bid.members


def check_fields(bid: Bid) -> SkipReason:
    """Whether the bid's numbers mean something; ranges are the type's own business."""
    unusable = not sound_quantities(bid.want) or bid.signer == NOBODY or bid.duration == 0
    return SkipReason.BID_FIELD if unusable else SkipReason.NONE


def check_bid(bid: Bid) -> SkipReason:
    """What is wrong with a bid by itself, whichever call is to open it: the gate of an order book."""
    if reason := check_fields(bid):
        return reason
    if not sound_flags(bid):
        return SkipReason.FLAGS
    if not 1 <= bid.members <= MAX_MEMBERS:
        return SkipReason.MEMBERS
    if bid.members == 1 and bid.flags:
        return SkipReason.FLAGS
    if bid.continues != NO_DIGEST and bid.members != 1:
        return SkipReason.CONTINUES
    return SkipReason.NONE


def check_single(bid: Bid) -> SkipReason:
    """What `matchBid` demands: one member, no flags, nothing continued."""
    if reason := check_fields(bid):
        return reason
    if bid.flags:
        return SkipReason.FLAGS
    if bid.members != 1:
        return SkipReason.MEMBERS
    return SkipReason.CONTINUES if bid.continues != NO_DIGEST else SkipReason.NONE


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


class MatchingCalls(RegistryCalls):
    """Calls that open leases of one member."""

    __slots__ = ()

    def check_fill(self, matcher: Address, fill: Fill, at: int) -> SkipReason:
        """The reason for which `matchBid` would skip this fill; the first one in its order."""
        return check_single(fill.bid) or self.check_opening(matcher, fill, at)

    def check_opening(self, matcher: Address, fill: Fill, at: int) -> SkipReason:
        """All that one lease needs, the bid's shape apart."""
        if reason := self.check_seat(matcher, fill, at):
            return reason
        return self.check_buyer(fill, escrow_for(fill.rate, fill.bid.duration), at)

    def check_seat(self, matcher: Address, fill: Fill, at: int, seated: Sequence[Fill] = ()) -> SkipReason:
        """Whether offer and provider have a place for one member of the bid beside those `seated`."""
        offer, bid = fill.offer, fill.bid
        if reason := self.check_standing(fill.offer_id, offer):
            return reason
        if bid.buyer == offer.provider:
            return SkipReason.SELF_TRADE
        if bid.provider not in (NOBODY, offer.provider):
            return SkipReason.PROVIDER
        if reason := check_time(offer, bid, at):
            return reason
        if bid.traits.unmet_by(offer.traits):
            return SkipReason.TRAITS
        seats = 1 + sum(other.offer_id == fill.offer_id for other in seated)
        lanes = zip(self.state.used[fill.offer_id], bid.want, offer.capacity, strict=True)
        if any(used + seats * want > capacity for used, want, capacity in lanes):
            return SkipReason.CAPACITY
        return check_price(offer, bid, fill.rate, matcher, at) or self._check_stake(fill, seated)

    def _check_stake(self, fill: Fill, seated: Sequence[Fill]) -> SkipReason:
        provider = fill.offer.provider
        locks = [self._lock_of(other) for other in (*seated, fill) if other.offer.provider == provider]
        enough = sum(locks) <= self.state.stakes.get(provider, 0)
        return SkipReason.NONE if enough else SkipReason.STAKE

    def _lock_of(self, fill: Fill) -> int:
        return self.policy.lock_for(escrow_for(fill.rate, fill.bid.duration))

    def check_buyer(self, fill: Fill, escrow: int, at: int) -> SkipReason:
        """Whether the buyer can pay the escrow, once, and has signed for it."""
        return (
            self._check_nonce(fill.bid)
            or self._check_funds(fill.bid.buyer, escrow)
            or self._check_signature(fill, escrow, at)
        )

    def _check_nonce(self, bid: Bid) -> SkipReason:
        if bid.epoch != self.state.epochs.get(bid.buyer, 0):
            return SkipReason.BID_EPOCH
        used = bid.nonce in self.state.nonces.get(bid.buyer, ())
        return SkipReason.NONCE_USED if used else SkipReason.NONE

    def _check_funds(self, buyer: Address, escrow: int) -> SkipReason:
        enough = escrow <= self.state.balances.get(buyer, 0)
        return SkipReason.NONE if enough else SkipReason.FUNDS

    def _check_signature(self, fill: Fill, escrow: int, at: int) -> SkipReason:
        """The buyer's own, or that of a key which may spend so much."""
        if not fill.authentic:
            return SkipReason.SIGNATURE
        if fill.delegate in (NOBODY, fill.bid.buyer):
            return SkipReason.NONE
        held = self.state.delegations.get((fill.bid.buyer, fill.delegate))
        if held is None or Role.SPEND not in held.roles:
            return SkipReason.SIGNATURE
        able = held.may(Role.SPEND, at) and held.allowance >= escrow
        return SkipReason.NONE if able else SkipReason.DELEGATE

    def match_bid(self, matcher: Address, fill: Fill, at: int) -> list[MarketEvent]:
        """One bid; a batch of one without the `BatchMatched`."""
        self._not_paused(at)
        if reason := self.check_fill(matcher, fill, at):
            return self._log(BidSkipped(bid=fill.bid_id, reason=reason))
        escrow = escrow_for(fill.rate, fill.bid.duration)
        return self.spend_allowance(fill, escrow) + self.open_member(matcher, fill, 0, at)

    def match_bids(self, matcher: Address, fills: Sequence[Fill], root: Digest, at: int) -> list[MarketEvent]:
        """Every fill in order, each on the state that those before it left."""
        self._not_paused(at)
        events: list[MarketEvent] = []
        for fill in fills:
            events += self.match_bid(matcher, fill, at)
        opened = sum(isinstance(event, LeaseOpened) for event in events)
        skipped = len(fills) - opened
        batch = BatchMatched(matcher=matcher, root=root, opened=opened, skipped=skipped)
        return events + self._log(batch)

    def spend_allowance(self, fill: Fill, escrow: int) -> list[MarketEvent]:
        """Take the escrow from what the key that signed may still commit."""
        held = self.state.delegations.get((fill.bid.buyer, fill.delegate))
        if held is None:
            return []
        return self._log(
            DelegateSet(
                account=fill.bid.buyer,
                key=held.key,
                roles=held.roles,
                allowance=held.allowance - escrow,
                until=held.until,
            )
        )

    def open_member(self, matcher: Address, fill: Fill, member: int, at: int) -> list[MarketEvent]:
        """Open the lease of one member, checked before."""
        bid = fill.bid
        terms = LeaseTerms(
            offer=fill.offer_id,
            bid=fill.bid_id,
            member=member,
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
