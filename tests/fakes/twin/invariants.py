"""What must hold of every call on the market, whoever makes it: PROTOCOL's invariants by their number.

1, 2, 6, 12 and 13 are read off the state (`comparison`); the others off the events of each call, here.
"""

from collections import Counter
from collections.abc import Sequence

from ledger.market.bid import Bid
from ledger.market.events import (
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    FeePaid,
    LeaseClosed,
    LeaseJudged,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    NoncesCancelled,
    StakeBurned,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import NOBODY, Address, BidId, LeaseId
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.policy import MAX_FEE_BPS
from ledger.market.state import MarketState
from tests.fakes.in_process_market import NAMES, party, words_of
from tests.fakes.market_twin import MarketTwin

BLOCK_GAS = 16_777_216
"""what one transaction may use (EIP-7825)"""
GAS = {
    "matchBids": (60_000, 110_000),
    "matchGang": (60_000, 80_000),
    "settleMany": (60_000, 60_000),
    "closeMany": (60_000, 45_000),
    "registerOffers": (40_000, 35_000),
}
"""a and b of invariant 16: a batch of n uses at most a + b x n gas"""


class Invariants:
    """Sees each call's events; `wealth` is what an account could take out if all its leases closed."""

    def __init__(self, twin: MarketTwin) -> None:
        self.twin = twin
        self.bids: dict[BidId, Bid] = {}
        self.leases: dict[LeaseId, LeaseOpened] = {}
        self.nonces: dict[tuple[Address, int], tuple[BidId, int]] = {}
        self.ends: dict[LeaseId, int] = {}
        self.paid: Counter[LeaseId] = Counter()
        self.fees: Counter[LeaseId] = Counter()
        self.earned: Counter[LeaseId] = Counter()
        self.matchers: Counter[Address] = Counter()

    @property
    def terms(self) -> list[LeaseTerms]:
        """Of every lease that ever opened."""
        return [lease.terms for lease in self.leases.values()]

    def knows(self, bid: Bid) -> BidId:
        """Remember a bid before it is matched; 17: eth-account's digest is the contract's."""
        bid_id = self.twin.chain.bid_id(bid)
        assert self.twin.chain.view("market", "bidDigest", words_of(bid)) == bid_id
        self.bids[bid_id] = bid
        return bid_id

    def wealth(self) -> dict[Address, int]:
        """Balance, free, locked and queued stake of everybody, by the model: the contract's are compared
        with it after every step."""
        state = self.twin.model.state
        return {
            party(name): state.balances.get(party(name), 0)
            + state.stakes.get(party(name), 0)
            + state.unstaking.get(party(name), (0, 0))[0]
            + state.locked(party(name))
            for name in NAMES
        }

    def see(self, sender: str, before: dict[Address, int], events: Sequence[MarketEvent]) -> None:
        """15: nobody's wealth fell but by its own will, or by what its lease was liable to."""
        spent: Counter[Address] = Counter()
        nonces_before = dict(self.nonces)
        for fact in events:
            self._follow(fact, nonces_before)
            spent.update(self._liable(sender, fact, events))
        after = self.wealth()
        assert all(after[who] >= before[who] - spent[who] for who in after)

    def _liable(self, sender: str, fact: MarketEvent, events: Sequence[MarketEvent]) -> dict[Address, int]:
        state = self.twin.model.state
        match fact:
            case Withdrawn(account=owner, amount=amount):
                signed = any(isinstance(e, NoncesCancelled) and e.account == owner for e in events)
                assert owner == party(sender) or signed
                return {owner: amount}
            case LeaseOpened(terms=terms, escrow=escrow):
                return {terms.buyer: escrow}
            case StakeBurned(provider=provider, amount=amount):
                return {provider: amount}
            case ClaimOpened(provider=provider, bond=bond):
                assert may_operate(state, party(sender), provider)
                return {provider: bond}
            case ClaimContested(buyer=buyer, bond=bond):
                assert buyer == party(sender)
                return {buyer: bond}
            case _:
                return {}

    def _follow(self, fact: MarketEvent, nonces_before: dict[tuple[Address, int], tuple[BidId, int]]) -> None:
        match fact:
            case LeaseOpened():
                self._opens_once(fact, nonces_before)
                self._opens_inside_its_limits(fact)
                self.leases[fact.id] = fact
            case UsageSettled(lease=lease, milliseconds=milliseconds, amount=amount, fee=fee, paid=paid):
                self._inside_bounds(lease, milliseconds)
                self._pays(lease, amount, fee, paid)
            case ClaimOpened(lease=lease, claimed=claimed):
                reach = -(-self.leases[lease].terms.rate * 2 * self._interval() * 1_000 // 3_600_000_000)
                assert self.paid[lease] < claimed <= self.paid[lease] + reach
            case ClaimDecided(lease=lease, amount=amount, fee=fee, paid=paid):
                self._pays(lease, amount, fee, paid)
            case LeaseTerminated(lease=lease, ended_after=seconds):
                self.ends[lease] = seconds
            case LeaseJudged(lease=lease, ended_after=seconds) if seconds:
                self.ends[lease] = seconds
            case FeePaid(matcher=matcher, amount=amount):
                self.matchers[matcher] -= amount
                assert self.matchers[matcher] == 0
            case LeaseClosed():
                self._closes_whole(fact)
            case _:
                return

    def _interval(self) -> int:
        return self.twin.model.policy.receipt_interval

    def _opens_once(self, fact: LeaseOpened, before: dict[tuple[Address, int], tuple[BidId, int]]) -> None:
        """7: a nonce opens once, with all its members together."""
        nonce = (fact.terms.buyer, fact.nonce)
        assert nonce not in before
        expected = (fact.terms.bid, fact.terms.member)
        bid, following = self.nonces.get(nonce, (fact.terms.bid, 0))
        assert (bid, following) == expected
        self.nonces[nonce] = (bid, following + 1)
        # 17 and 18: the id is the hash of the terms, whoever computes it, in whichever block.
        assert self.twin.chain.view("market", "leaseId", words_of(fact.terms)) == fact.id
        assert fact.id not in self.leases

    def _opens_inside_its_limits(self, fact: LeaseOpened) -> None:
        """8: price, traits, validity and roles are those that buyer and provider signed."""
        terms, at = fact.terms, self.twin.at
        bid, offer = self.bids[terms.bid], self.twin.model.state.offers[terms.offer]
        ask = rate_of(offer.ask, bid.want)
        chosen = bid.matcher == terms.matcher
        over = bid.max_over_ask_bps if chosen else 0
        assert ask <= terms.rate <= bid.limit_rate
        assert terms.rate * 10_000 <= ask * (10_000 + over)
        assert not bid.traits.unmet_by(offer.traits)
        assert at <= min(bid.valid_until, bid.start_by)
        assert offer.min_seconds <= bid.duration <= offer.max_seconds
        assert at + bid.duration <= offer.valid_until
        assert chosen or bid.matcher == NOBODY or at >= bid.open_after
        assert terms.provider == offer.provider != terms.buyer
        assert (terms.buyer, terms.signer, terms.want) == (bid.buyer, bid.signer, bid.want)
        assert fact.escrow == -(-terms.rate * terms.duration * 1_000 // 3_600_000_000)

    def _inside_bounds(self, lease: LeaseId, milliseconds: int) -> None:
        """5: no receipt beyond the clock, the duration or the end."""
        opened = self.leases[lease]
        assert milliseconds <= (self.twin.at - opened.start + 15) * 1_000
        seconds = min(opened.terms.duration, self.ends.get(lease, opened.terms.duration))
        assert milliseconds <= seconds * 1_000

    def _pays(self, lease: LeaseId, amount: int, fee: int, paid: int) -> None:
        """2 and 14: the total grows by the amount, and the fee is a bounded share of it alone."""
        assert paid == self.paid[lease] + amount <= self.leases[lease].escrow
        assert 0 <= fee <= amount
        self.paid[lease] = paid
        self.fees[lease] += fee
        self.earned[lease] += amount - fee
        self.matchers[self.leases[lease].terms.matcher] += fee
        bps = self.twin.model.policy.fee_bps
        assert self.fees[lease] == paid * bps // 10_000 <= paid * MAX_FEE_BPS // 10_000

    def _closes_whole(self, fact: LeaseClosed) -> None:
        """3: provider + fee + refund = escrow."""
        parts = self.earned[fact.lease] + self.fees[fact.lease] + fact.refunded
        assert parts == self.leases[fact.lease].escrow

    def cheap(self, function: str, items: int) -> None:
        """16: the last batch used at most a + b x n gas, and fits a transaction at its largest n."""
        fixed, each = GAS[function]
        assert self.twin.chain.gas <= fixed + each * items
        assert fixed + each * 32 < BLOCK_GAS


def may_operate(state: MarketState, caller: Address, provider: Address) -> bool:
    """Whether the caller is the provider, or a key that it named at all."""
    held = state.delegations.get((provider, caller))
    return caller == provider or held is not None
