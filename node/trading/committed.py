"""Committed: the capacity that leases hold, and the stake and money that planned ones will lock.

Each lease counts once, however often it is told. Between its plan and its opening the chain does not know of
it, so what it will lock is taken from what the chain says is free.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from ledger.market.identity import Address, BidId, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.money import escrow_for
from ledger.market.policy import Policy
from ledger.market.resource import Quantities
from matcher.book import Book, CapacityFreed, CapacityTaken, StakeChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Promise:
    """What a planned lease will lock of its provider's stake and of its buyer's money, in base units."""

    bid: BidId
    provider: Address
    buyer: Address
    lock: int
    escrow: int


class Committed:
    """Of one book, which it tells; `stir` is called where room or stake comes free. Under the exchange's
    lock."""

    def __init__(self, book: Book, policy: Policy, stir: Callable[[], None]) -> None:
        self._book = book
        self._policy = policy
        self._stir = stir
        self._holding: dict[LeaseId, tuple[OfferId, Quantities]] = {}
        self._promised: dict[LeaseId, _Promise] = {}
        self._gangs: dict[BidId, set[LeaseId]] = defaultdict(set)
        self._locks: dict[Address, int] = defaultdict(int)
        self._escrows: dict[Address, int] = defaultdict(int)
        self._stakes: dict[Address, int] = {}

    @property
    def staked(self) -> Container[Address]:
        """The accounts whose stake was told."""
        return self._stakes.keys()

    def stake(self, free: Mapping[Address, int]) -> None:
        """The chain says that so much of these providers' stake is free."""
        self._stakes.update(free)
        for provider in free:
            self._tell_stake(provider)

    def promised(self, buyer: Address) -> int:
        """Base units that the buyer's planned leases will lock."""
        return self._escrows.get(buyer, 0)

    def plan(self, lease: LeaseId, terms: LeaseTerms, *, continues: bool = False) -> None:
        """A lease was planned: it takes capacity, and stake until the chain says so itself. One that
        continues another takes over that one's stake."""
        self._keep_promise(lease)
        self._promise(lease, terms, locks=not continues)
        self._tell_stake(terms.provider)
        self._hold(lease, terms.offer, terms.want)

    def open(self, lease: LeaseId, terms: LeaseTerms) -> None:
        """A lease is open on the chain, which counts its stake itself."""
        self._keep_promise(lease)
        self._hold(lease, terms.offer, terms.want)

    def free(self, lease: LeaseId) -> None:
        """A lease gives its capacity back; a second time changes nothing."""
        self._keep_promise(lease)
        held = self._holding.pop(lease, None)
        if held is not None:
            self._book.apply(CapacityFreed(offer=held[0], want=held[1]))
            self._stir()

    def fail(self, lease: LeaseId) -> None:
        """A plan failed, of this lease and of those that its gang planned beside it."""
        promise = self._promised.get(lease)
        for one in () if promise is None else tuple(self._gangs.get(promise.bid, ())):
            self.free(one)

    def _hold(self, lease: LeaseId, offer: OfferId, want: Quantities) -> None:
        if lease not in self._holding:
            self._holding[lease] = (offer, want)
            self._book.apply(CapacityTaken(offer=offer, want=want))

    def _promise(self, lease: LeaseId, terms: LeaseTerms, *, locks: bool) -> None:
        escrow = escrow_for(terms.rate, terms.duration)
        lock = self._policy.lock_for(escrow) if locks else 0
        promise = _Promise(
            bid=terms.bid, provider=terms.provider, buyer=terms.buyer, lock=lock, escrow=escrow
        )
        self._promised[lease] = promise
        self._gangs[promise.bid].add(lease)
        self._locks[promise.provider] += lock
        self._escrows[promise.buyer] += escrow

    def _keep_promise(self, lease: LeaseId) -> None:
        promise = self._promised.pop(lease, None)
        if promise is None:
            return
        self._gangs[promise.bid].discard(lease)
        if not self._gangs[promise.bid]:
            del self._gangs[promise.bid]
        _take(self._locks, promise.provider, promise.lock)
        _take(self._escrows, promise.buyer, promise.escrow)
        self._tell_stake(promise.provider)

    def _tell_stake(self, provider: Address) -> None:
        """What the chain says is free, less the locks of leases that are planned and not open yet."""
        free = max(0, self._stakes.get(provider, 0) - self._locks.get(provider, 0))
        before = self._book.stake(provider)
        if before != free:
            self._book.apply(StakeChanged(provider=provider, free=free))
            if free > before:
                self._stir()


def _take(sums: dict[Address, int], account: Address, amount: int) -> None:
    sums[account] -= amount
    if not sums[account]:
        del sums[account]
