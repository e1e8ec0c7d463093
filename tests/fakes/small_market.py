"""A market of a few accounts that logs what the contract would: facts for tests without a chain."""

from hashlib import sha256

from ledger.market.bid import SignedBid
from ledger.market.delegation import Role
from ledger.market.events import (
    BlockRef,
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    DelegateSet,
    Deposited,
    FeePaid,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    Logged,
    MarketDeployed,
    MarketEvent,
    OfferRegistered,
    StakeBurned,
    Staked,
    Unstaked,
    UnstakeQueued,
    UsageSettled,
    Withdrawn,
)
from ledger.market.facts import (
    BidAccepted,
    ChainObserved,
    ChainRewound,
    LeasePlanned,
    ReceiptCosigned,
    UsageReported,
)
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.instructions import OpenLease
from ledger.market.lease import ClaimDecidedBy, ClosedBecause, LeaseTerms
from ledger.market.money import escrow_for
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED, Policy
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.state import MarketState
from tests.factories import NOW, a_bid, a_digest, an_address, an_offer

OFFER = OfferId(a_digest("offer"))
BUYER = an_address("buyer")
PROVIDER = an_address("provider")
MATCHER = an_address("node")
RATE = 1_102_400
GENESIS = BlockRef(number=0, hash=sha256(b"genesis").digest(), parent=bytes(32), at=NOW)


def offer_of(name: str) -> Offer:
    return an_offer(provider=an_address(name))


def accepted(name: str, attempts: int = 1) -> BidAccepted:
    """An order of `attempts` bids, named after its job."""
    bids = tuple(
        SignedBid(bid=a_bid(nonce=number, job=a_digest(f"document {name}")), signature=bytes(64))
        for number in range(attempts)
    )
    return BidAccepted(
        job=job_id(name),
        document=a_digest(f"document {name}"),
        attempts=bids,
        attempt_ids=tuple(bid_id(name, number) for number in range(attempts)),
        accepted_at=NOW,
        wait_until=NOW + 600,
    )


def job_id(name: str) -> BidId:
    return bid_id(name, 0)


def bid_id(name: str, attempt: int) -> BidId:
    return BidId(a_digest(f"bid {name} {attempt}"))


def lease_id(name: str, attempt: int = 0) -> LeaseId:
    return LeaseId(a_digest(f"lease {name} {attempt}"))


def terms_of(name: str, attempt: int = 0) -> LeaseTerms:
    """`a_bid` of this name on the one offer, at its ask."""
    bid = a_bid()
    return LeaseTerms(
        offer=OFFER,
        bid=bid_id(name, attempt),
        member=0,
        provider=PROVIDER,
        buyer=BUYER,
        signer=bid.signer,
        matcher=MATCHER,
        want=bid.want,
        rate=RATE,
        duration=bid.duration,
    )


def planned(name: str, attempt: int = 0, at: int = NOW) -> LeasePlanned:
    terms = terms_of(name, attempt)
    wish = OpenLease(
        lease=lease_id(name, attempt),
        offer_id=OFFER,
        offer=an_offer(),
        signed=accepted(name, attempt + 1).attempts[attempt],
        rate=terms.rate,
    )
    return LeasePlanned(job=job_id(name), attempt=attempt, wish=wish, terms=terms, at=at)


def used_for(name: str, milliseconds: int, *, last: bool = False) -> UsageReported:
    return UsageReported(
        lease=lease_id(name),
        milliseconds=milliseconds,
        cpu_ns=milliseconds * 1_000,
        peak_bytes=1 << 20,
        evidence=a_digest("evidence"),
        last=last,
        at=NOW,
    )


def cosigned(name: str, milliseconds: int, *, last: bool = False) -> ReceiptCosigned:
    receipt = UsageReceipt(
        lease=lease_id(name), milliseconds=milliseconds, evidence=a_digest("evidence"), last=last
    )
    return ReceiptCosigned(signed=SignedReceipt(receipt=receipt, signature=bytes(64)), at=NOW)


class SmallMarket:
    """Blocks as they are sealed; `rewind` forgets the newest ones, as a reorganisation does."""

    def __init__(self) -> None:
        self.blocks: list[ChainObserved] = []
        self._pending: list[MarketEvent] = []
        self._forks = 0

    def log(self, *events: MarketEvent) -> None:
        self._pending.extend(events)

    def deposit(self, amount: int, account: Address = BUYER) -> None:
        self.log(Deposited(account=account, amount=amount))

    def withdraw(self, amount: int, account: Address = BUYER) -> None:
        self.log(Withdrawn(account=account, to=account, amount=amount))

    def deploy(self, policy: Policy = EMBEDDED) -> None:
        """From here on leases lock stake and receipts pay fees; without it the market knows neither."""
        parts = {name: an_address(name) for name in ("token", "guardian", "arbiter", "jury")}
        self.log(MarketDeployed(**parts, policy=policy))

    def stake(self, amount: int, account: Address = PROVIDER) -> None:
        """Deposit, and stake it."""
        self.deposit(amount, account)
        self.log(Staked(account=account, amount=amount))

    def unstake(self, amount: int, unlock_at: int, account: Address = PROVIDER) -> None:
        self.log(UnstakeQueued(account=account, amount=amount, unlock_at=unlock_at))

    def finish_unstake(self, account: Address = PROVIDER) -> None:
        self.log(Unstaked(account=account, amount=self.state().unstaking[account][0]))

    def delegate(
        self, key: Address, roles: Role, allowance: int = 5, until: int = NOW, account: Address = BUYER
    ) -> None:
        """Without roles: revoke."""
        if not roles:
            allowance = until = 0
        self.log(DelegateSet(account=account, key=key, roles=int(roles), allowance=allowance, until=until))

    def register(self) -> None:
        self.log(OfferRegistered(id=OFFER, offer=an_offer()))

    def open(self, name: str, attempt: int = 0) -> int:
        """Open the lease of that name; its escrow."""
        terms = terms_of(name, attempt)
        escrow = escrow_for(terms.rate, terms.duration)
        document: Digest = a_digest(f"document {name}")
        self.log(
            LeaseOpened(
                id=lease_id(name, attempt), terms=terms, start=NOW, escrow=escrow, nonce=0, job=document
            )
        )
        return escrow

    def settle(self, lease: LeaseId, milliseconds: int) -> int:
        """Pay an open lease up to `milliseconds`; its total."""
        held = self.state().leases[lease]
        due = max(held.paid, held.due(milliseconds))
        fee = self._fee(held.paid, due)
        self.log(
            UsageSettled(
                lease=lease,
                buyer=BUYER,
                provider=PROVIDER,
                milliseconds=milliseconds,
                amount=due - held.paid,
                fee=fee,
                paid=due,
                evidence=a_digest("evidence"),
            )
        )
        self._pay_fee(fee)
        return due

    def claim(self, lease: LeaseId, amount: int, bond: int = 0) -> None:
        """The provider claims `amount` more than the lease has paid."""
        claimed = self.state().leases[lease].paid + amount
        self.log(
            ClaimOpened(
                lease=lease, buyer=BUYER, provider=PROVIDER, claimed=claimed, bond=bond, until=NOW + 60
            )
        )

    def contest(self, lease: LeaseId) -> None:
        held = self.state().leases[lease]
        assert held.claim is not None
        bond = held.claim.claimed - held.paid
        self.log(ClaimContested(lease=lease, buyer=BUYER, provider=PROVIDER, bond=bond, until=NOW + 300))

    def decide(self, lease: LeaseId, amount: int, burned: int = 0, slash: int = 0) -> None:
        """The claim brings `amount` more; of both bonds the provider gets what is not `burned`."""
        held = self.state().leases[lease]
        assert held.claim is not None
        fee = self._fee(held.paid, held.paid + amount)
        bonds = held.claim.provider_bond + held.claim.buyer_bond
        self.log(
            ClaimDecided(
                lease=lease,
                buyer=BUYER,
                provider=PROVIDER,
                amount=amount,
                fee=fee,
                paid=held.paid + amount,
                to_provider=bonds - burned,
                to_buyer=0,
                burned=burned,
                by=ClaimDecidedBy.ARBITER,
            )
        )
        self._pay_fee(fee)
        self.close(lease, ClosedBecause.CLAIMED)
        self.burn(lease, slash)

    def burn(self, lease: LeaseId, amount: int) -> None:
        """Of the lock of a lease that was just closed."""
        if amount:
            self.log(StakeBurned(provider=PROVIDER, lease=lease, amount=amount))

    def _fee(self, before: int, after: int) -> int:
        policy = self.state().policy
        return policy.fee_on(after) - policy.fee_on(before) if policy else 0

    def _pay_fee(self, fee: int) -> None:
        if fee:
            self.log(FeePaid(matcher=MATCHER, amount=fee))

    def terminate(self, lease: LeaseId, after: int) -> None:
        self.log(LeaseTerminated(lease=lease, buyer=BUYER, provider=PROVIDER, ended_after=after))

    def close(self, lease: LeaseId, because: ClosedBecause = ClosedBecause.LAST_RECEIPT) -> None:
        held = self.state().leases[lease]
        self.log(
            LeaseClosed(
                lease=lease,
                buyer=BUYER,
                provider=PROVIDER,
                paid=held.paid,
                refunded=held.escrow - held.paid,
                because=because,
            )
        )

    def seal(self) -> ChainObserved:
        """What was logged since the last block, as one block."""
        parent = self.head()
        seed = parent.hash + self._forks.to_bytes(4) + repr(self._pending).encode()
        block = BlockRef(
            number=parent.number + 1, hash=sha256(seed).digest(), parent=parent.hash, at=parent.at + 1
        )
        events = tuple(
            Logged(
                event=event, block=block, log_index=index, transaction=sha256(seed + bytes([index])).digest()
            )
            for index, event in enumerate(self._pending)
        )
        self._pending = []
        self.blocks.append(ChainObserved(block=block, events=events))
        return self.blocks[-1]

    def rewind(self, depth: int) -> ChainRewound:
        """The newest `depth` blocks vanish, and what follows has other hashes."""
        self._pending = []
        self._forks += 1
        self.blocks = self.blocks[: max(0, len(self.blocks) - depth)]
        return ChainRewound(to=self.head())

    def head(self) -> BlockRef:
        return self.blocks[-1].block if self.blocks else GENESIS

    def state(self) -> MarketState:
        """The fold of the surviving events and of what is not sealed yet."""
        state = MarketState()
        for fact in self.blocks:
            for logged in fact.events:
                state.apply(logged.event, logged.block.at)
        for event in self._pending:
            state.apply(event)
        return state
