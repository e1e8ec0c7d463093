"""The market as its events tell it: a fold that an auditor, the books and the agent all share.

`MarketState.apply` accepts the facts of one chain in order; it never asks the contract. An event that
contradicts the state is `Broken`: either a log was lost, or the contract is not the one we know.
"""

from dataclasses import dataclass, field

from ledger.market.events import (
    BatchMatched,
    BidSkipped,
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    DelegateSet,
    Deposited,
    EpochBumped,
    FeePaid,
    GuardianRenounced,
    LeaseClosed,
    LeaseContinued,
    LeaseJudged,
    LeaseOpened,
    LeaseTerminated,
    MarketDeployed,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
    Paused,
    ReceiptSkipped,
    ReplicasDecided,
    ReplicasOpened,
    ResultCommitted,
    ResultRevealed,
    StakeBurned,
    Staked,
    Unpaused,
    Unstaked,
    UnstakeQueued,
    UsageSettled,
    Withdrawn,
)
from ledger.market.folding.leases import LeasesFold
from ledger.market.identity import NOBODY, Address, BidId, Digest, LeaseId, OfferId
from ledger.market.offer import Offer
from ledger.market.resource import Quantities

Money = Deposited | Withdrawn | Staked | UnstakeQueued | Unstaked | FeePaid | StakeBurned
Keys = EpochBumped | NoncesCancelled | DelegateSet
LeaseCourse = LeaseOpened | ReplicasOpened | UsageSettled | LeaseTerminated | LeaseClosed
Judgement = ClaimOpened | ClaimContested | ClaimDecided | LeaseJudged
JuryFact = ResultCommitted | ResultRevealed | ReplicasDecided


@dataclass(slots=True, kw_only=True)
class MarketState(LeasesFold):
    """Everything that the market's storage says, and the jury's: amounts in base units, times in
    seconds. `commits` counts them by bid, `verdicts` are the jury's decisions."""

    offers: dict[OfferId, Offer] = field(default_factory=dict)
    cancelled: set[OfferId] = field(default_factory=set)
    guardian: Address = NOBODY
    paused_until: int = 0
    replicas: dict[BidId, ReplicasOpened] = field(default_factory=dict)
    commitments: dict[LeaseId, Digest] = field(default_factory=dict)
    commits: dict[BidId, int] = field(default_factory=dict)
    results: dict[LeaseId, Digest] = field(default_factory=dict)
    verdicts: dict[BidId, ReplicasDecided] = field(default_factory=dict)

    def apply(self, event: MarketEvent, at: int = 0) -> None:
        """Take one fact into account, in the chain's order and once. `at`, its block's time, is needed
        only to know from when on a guardian who unpaused may pause again."""
        match event:
            case (
                Deposited()
                | Withdrawn()
                | Staked()
                | UnstakeQueued()
                | Unstaked()
                | FeePaid()
                | StakeBurned()
            ):
                self._move(event)
            case EpochBumped() | NoncesCancelled() | DelegateSet():
                self._note_keys(event)
            case LeaseOpened() | ReplicasOpened() | UsageSettled() | LeaseTerminated() | LeaseClosed():
                self._follow_lease(event)
            case ClaimOpened() | ClaimContested() | ClaimDecided() | LeaseJudged():
                self._follow_judgement(event)
            case ResultCommitted() | ResultRevealed() | ReplicasDecided():
                self._follow_jury(event)
            case OfferRegistered() | OfferCancelled():
                self._follow_offer(event)
            case MarketDeployed() | Paused() | Unpaused() | GuardianRenounced():
                self._follow_guardian(event, at)
            case BatchMatched() | BidSkipped() | ReceiptSkipped() | LeaseContinued():
                return

    def _move(self, event: Money) -> None:
        match event:
            case Deposited(account=account, amount=amount):
                self._credit(account, amount)
            case Withdrawn(account=account, amount=amount):
                self._credit(account, -amount)
            case Staked(account=account, amount=amount):
                self._credit(account, -amount)
                self._add_stake(account, amount)
            case UnstakeQueued():
                self._queue(event)
            case Unstaked(account=account, amount=amount):
                self._unstake(account, amount)
            case FeePaid(matcher=matcher, amount=amount):
                self._pay_fee(matcher, amount)
            case StakeBurned():
                self._burn(event)

    def _note_keys(self, event: Keys) -> None:
        match event:
            case EpochBumped(account=account, epoch=epoch):
                self.epochs[account] = epoch
            case NoncesCancelled(account=account, word=word, mask=mask):
                self._spend_nonces(account, word, mask)
            case DelegateSet():
                self._delegate(event)

    def _follow_lease(self, event: LeaseCourse) -> None:
        match event:
            case LeaseOpened():
                self._open(event)
            case ReplicasOpened(bid=bid):
                self._open_replicas(event)
                self.replicas[bid] = event
            case UsageSettled():
                self._settle(event)
            case LeaseTerminated(lease=lease, ended_after=seconds):
                self._terminate(lease, seconds)
            case LeaseClosed():
                self._close(event)

    def _follow_judgement(self, event: Judgement) -> None:
        match event:
            case ClaimOpened():
                self._claim(event)
            case ClaimContested():
                self._contest(event)
            case ClaimDecided():
                self._decide(event)
            case LeaseJudged():
                self._judge(event)

    def _follow_jury(self, event: JuryFact) -> None:
        match event:
            case ResultCommitted(lease=lease, commitment=commitment):
                bid = self._lease(lease).terms.bid
                self.commitments[lease] = commitment
                self.commits[bid] = self.commits.get(bid, 0) + 1
            case ResultRevealed(lease=lease, result=result):
                self.results[lease] = result
            case ReplicasDecided(bid=bid):
                self.verdicts[bid] = event

    def _follow_offer(self, event: OfferRegistered | OfferCancelled) -> None:
        match event:
            case OfferRegistered(id=offer_id, offer=offer):
                self.offers[offer_id] = offer
                self.used.setdefault(offer_id, Quantities())
            case OfferCancelled(id=offer_id):
                self.cancelled.add(offer_id)

    def _follow_guardian(
        self, event: MarketDeployed | Paused | Unpaused | GuardianRenounced, at: int
    ) -> None:
        match event:
            case MarketDeployed(guardian=guardian, policy=policy):
                self.guardian, self.policy = guardian, policy
            case Paused(until=until):
                self.paused_until = until
            case Unpaused():
                self.paused_until = at
            case GuardianRenounced():
                self.guardian = NOBODY
