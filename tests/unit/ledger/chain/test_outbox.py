"""The outbox against a chain in memory, with a crash possible on either side of every commit and send."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.calls import Call, market_call
from ledger.chain.client import Fees, MinedReceipt
from ledger.chain.keys import LocalKey, unsigned_of
from ledger.chain.outbox import Outbox, OutboxPolicy
from ledger.chain.outcomes import Outcome
from ledger.chain.typed_data import Domain, bid_id, keccak, offer_id
from ledger.market.bid import SignedBid
from ledger.market.errors import LostRace, Rejected, Unavailable
from ledger.market.events import (
    BidSkipped,
    BlockRef,
    ClaimDecided,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    OfferCancelled,
    OfferRegistered,
    ReceiptSkipped,
    ReplicasDecided,
    ResultCommitted,
    ResultRevealed,
    Unstaked,
    UsageSettled,
)
from ledger.market.identity import NO_DIGEST, Address, BidId, LeaseId, OfferId
from ledger.market.instructions import (
    CancelOffer,
    CloseLease,
    CommitResult,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    GangMember,
    Instruction,
    OpenGang,
    OpenLease,
    RegisterOffer,
    ReleaseLease,
    RevealResult,
    SettleReceipt,
    TerminateLease,
)
from ledger.market.lease import ClaimDecidedBy, ClosedBecause
from ledger.market.outbox import IntentState, TxAttempt
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt, UsageReceipt
from tests.factories import a_bid, a_digest, an_address, an_offer, some_terms
from tests.fakes.outbox_store import MemoryStore

KEY = LocalKey(sha256(b"node").digest())
MARKET, JURY = an_address("market"), an_address("jury")
DOMAIN = Domain(chain_id=7, market=MARKET)
GWEI = 10**9
DONE, FAILED, PENDING, SENT = IntentState.DONE, IntentState.FAILED, IntentState.PENDING, IntentState.SENT


class Killed(BaseException):
    """The process ends here; nothing may catch it."""


class CrashingStore(MemoryStore):
    """A store, or the road to the chain, at which the process dies at the next matching point."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at = ""

    def reach(self, point: str) -> None:
        if self.dies_at == point:
            self.dies_at = ""
            raise Killed(point)

    def record_attempt(self, attempt: TxAttempt) -> None:
        self.reach("before record")
        super().record_attempt(attempt)
        self.reach("after record")

    def settle_attempt(self, nonce: int, outcomes: Sequence[Outcome]) -> None:
        self.reach("before settle")
        super().settle_attempt(nonce, outcomes)
        self.reach("after settle")


POINTS = ["before record", "after record", "after send", "before settle", "after settle"]


@dataclass
class MemoryChain:
    """One account's transactions: a pool by nonce, blocks of raw bytes, and the contract's idempotence."""

    store: CrashingStore
    market: Address = MARKET
    pool: dict[int, bytes] = field(default_factory=dict)
    blocks: list[list[bytes]] = field(default_factory=lambda: [[]])
    base_fee: int = GWEI
    down: bool = False
    coin: bool = True
    refuses: Callable[[Instruction], str] = lambda _: ""
    reverts: Callable[[Sequence[Instruction]], bool] = lambda _: False
    forks: int = 0

    def domain(self) -> Domain:
        return DOMAIN

    def jury(self) -> Address:
        return JURY

    def block(self, which: int | Literal["latest"]) -> BlockRef:
        self._up()
        number = len(self.blocks) - 1 if which == "latest" else which
        return BlockRef(number=number, hash=b"%32d" % (number + 1000 * self.forks), parent=bytes(32), at=0)

    def transaction_count(self, account: Address, which: int | Literal["latest"]) -> int:
        self._up()
        assert account == KEY.address
        last = len(self.blocks) - 1 if which == "latest" else which
        return sum(map(len, self.blocks[: last + 1]))

    def fees(self) -> Fees:
        self._up()
        return Fees(max_fee=2 * self.base_fee, tip=1)

    def simulate(self, call: Call, sender: Address) -> None:
        self._up()
        wish = next(
            one.instruction for one in self.store.all.values() if call_of(one.instruction) == call.data
        )
        if reason := self.refuses(wish):
            raise Rejected("reverted", reason, "Look.", reason=reason)

    def send_raw(self, raw: bytes) -> bytes:
        self._up()
        assert any(attempt.raw == raw for attempt in self.store.recorded), "sent before it was stored"
        fields = unsigned_of(raw)
        if not self.coin:
            raise Rejected("no-coin-for-gas", "No coin.", "Run bingwang wallet faucet.")
        if fields.nonce < self.transaction_count(KEY.address, "latest"):
            raise LostRace("nonce-too-low", "Used.", "Look.")
        if fields.max_fee < self.base_fee:
            raise LostRace("underpriced", "Too low.", "More.")
        known = self.pool.get(fields.nonce)
        if known not in (None, raw) and fields.max_fee * 10 < fee_of(known) * 11:
            raise LostRace("underpriced", "Replacement.", "More.")
        self.pool[fields.nonce] = raw
        self.store.reach("after send")
        return keccak(raw)

    def receipt(self, transaction: bytes) -> MinedReceipt | None:
        self._up()
        for number, block in enumerate(self.blocks):
            for raw in block:
                if keccak(raw) == transaction:
                    return self._receipt(raw, number)
        return None

    def mine(self) -> None:
        block = []
        nonce = self.transaction_count(KEY.address, "latest")
        while nonce in self.pool:
            block.append(self.pool.pop(nonce))
            nonce += 1
        self.blocks.append(block)

    def reorg(self, depth: int) -> None:
        """The last blocks give way to as many empty ones and one more; their transactions wait again."""
        self.forks += 1
        for _ in range(min(depth, len(self.blocks) - 1)):
            for raw in self.blocks.pop():
                self.pool[nonce_of(raw)] = raw
        self.blocks += [[] for _ in range(depth + 1)]

    def steal_nonce(self, serial: int) -> None:
        """Somebody else who has the key sends a transaction, and it is mined at once."""
        nonce = self.transaction_count(KEY.address, "latest")
        self.pool.pop(nonce, None)
        self.blocks.append([b"stranger %d %d" % (nonce, serial)])

    def carried(self) -> list[int]:
        """The intents of the mined transactions, in their order."""
        attempts = {attempt.raw: attempt.intents for attempt in self.store.recorded}
        return [one for block in self.blocks for raw in block for one in attempts.get(raw, ())]

    def _receipt(self, raw: bytes, number: int) -> MinedReceipt:
        wishes = self._wishes(raw)
        earlier = [one for block in self.blocks for one in block]
        done = [self._wishes(one) for one in earlier[: earlier.index(raw)]]
        before = [wish for batch in done if not self.reverts(batch) for wish in batch]
        succeeded = not self.reverts(wishes)
        return MinedReceipt(
            transaction=keccak(raw),
            block=self.block(number),
            succeeded=succeeded,
            gas_used=1,
            gas_price=1,
            events=tuple(effect(wish, wish in before) for wish in wishes) if succeeded else (),
        )

    def _wishes(self, raw: bytes) -> list[Instruction]:
        carried = (attempt.intents for attempt in self.store.recorded if attempt.raw == raw)
        return [self.store.all[one].instruction for one in next(carried, ())]

    def _up(self) -> None:
        if self.down:
            raise Unavailable("rpc-unreachable", "Down.", "Wait.")


def nonce_of(raw: bytes) -> int:
    return int(raw.split()[1]) if raw.startswith(b"stranger") else unsigned_of(raw).nonce


def fee_of(raw: bytes) -> int:
    return 2 * GWEI if raw.startswith(b"stranger") else unsigned_of(raw).max_fee


def call_of(wish: Instruction) -> bytes:
    return market_call(MARKET, [wish], jury=JURY).data


def an_opening(serial: int, limit: int = 5) -> OpenLease:
    signed = SignedBid(bid=a_bid(nonce=serial, limit_rate=limit), signature=bytes(64))
    return OpenLease(
        lease=LeaseId(a_digest(f"lease {serial}")),
        offer_id=OfferId(a_digest("offer")),
        offer=an_offer(),
        signed=signed,
        rate=5,
    )


def a_settlement(serial: int) -> SettleReceipt:
    receipt = UsageReceipt(
        lease=LeaseId(a_digest(f"lease {serial}")), milliseconds=serial, evidence=NO_DIGEST, last=True
    )
    return SettleReceipt(
        terms=some_terms(rate=serial), signed=SignedReceipt(receipt=receipt, signature=bytes(64))
    )


def a_close(serial: int) -> CloseLease:
    return CloseLease(lease=LeaseId(a_digest(f"close {serial}")), terms=some_terms(rate=serial))


def a_registration(serial: int) -> RegisterOffer:
    return RegisterOffer(offer=an_offer(salt=serial))


def a_cancellation(serial: int) -> CancelOffer:
    return CancelOffer(offer=an_offer(salt=serial))


def a_release(serial: int) -> ReleaseLease:
    return ReleaseLease(lease=LeaseId(a_digest(f"release {serial}")), terms=some_terms(rate=serial))


def a_termination(serial: int) -> TerminateLease:
    return TerminateLease(lease=LeaseId(a_digest(f"end {serial}")), terms=some_terms(rate=serial))


def a_gang(serial: int, limit: int = 5) -> OpenGang:
    bid = a_bid(nonce=serial, limit_rate=limit, members=2)
    members = tuple(
        GangMember(
            lease=LeaseId(a_digest(f"member {serial} {number}")),
            offer_id=OfferId(a_digest("offer")),
            offer=an_offer(),
            rate=5,
        )
        for number in range(2)
    )
    signed = SignedBid(bid=bid, signature=bytes(64))
    return OpenGang(bid=bid_id(DOMAIN, bid), signed=signed, members=members, seed=NO_DIGEST)


def a_finalisation(serial: int) -> FinalizeClaim:
    return FinalizeClaim(lease=LeaseId(a_digest(f"claim {serial}")), terms=some_terms(rate=serial))


def an_unstaking(serial: int) -> FinishUnstake:
    return FinishUnstake(account=an_address(f"staker {serial}"))


def a_commitment(serial: int) -> CommitResult:
    lease = LeaseId(a_digest(f"replica {serial}"))
    return CommitResult(lease=lease, terms=some_terms(rate=serial), commitment=a_digest("commitment"))


def a_reveal(serial: int) -> RevealResult:
    lease, terms = LeaseId(a_digest(f"replica {serial}")), some_terms(rate=serial)
    return RevealResult(lease=lease, bid=a_bid(), terms=terms, result=a_digest("result"), salt=NO_DIGEST)


def a_judgement(serial: int) -> DecideReplicas:
    return DecideReplicas(bid_id=BidId(a_digest(f"bid {serial}")), bid=a_bid(nonce=serial), members=())


KINDS: list[Callable[[int], Instruction]] = [
    a_registration,
    a_cancellation,
    an_opening,
    a_gang,
    a_settlement,
    a_release,
    a_termination,
    a_close,
    a_finalisation,
    an_unstaking,
    a_commitment,
    a_reveal,
    a_judgement,
]
TIMED = [a_close, a_finalisation, an_unstaking, a_reveal, a_judgement]


def effect(wish: Instruction, again: bool) -> MarketEvent:
    """What the contract logs for one wish, the second time a skip where it can."""
    buyer, provider = an_address("buyer"), an_address("provider")
    match wish:
        case OpenLease() if again or wish.signed.bid.limit_rate < wish.rate:
            reason = SkipReason.NONCE_USED if again else SkipReason.ABOVE_LIMIT
            return BidSkipped(bid=bid_id(DOMAIN, wish.signed.bid), reason=reason)
        case OpenLease():
            return LeaseOpened(id=wish.lease, terms=some_terms(), start=0, escrow=0, nonce=0, job=NO_DIGEST)
        case OpenGang() if again or wish.signed.bid.limit_rate < wish.members[0].rate:
            return BidSkipped(bid=wish.bid, reason=SkipReason.NONCE_USED if again else SkipReason.ABOVE_LIMIT)
        case OpenGang(members=members):
            lease = members[0].lease
            return LeaseOpened(id=lease, terms=some_terms(), start=0, escrow=0, nonce=0, job=NO_DIGEST)
        case SettleReceipt(signed=signed) if again:
            return ReceiptSkipped(lease=signed.receipt.lease, reason=SkipReason.NOT_MONOTONE)
        case SettleReceipt(signed=signed):
            return UsageSettled(
                lease=signed.receipt.lease,
                buyer=buyer,
                provider=provider,
                milliseconds=signed.receipt.milliseconds,
                amount=0,
                fee=0,
                paid=0,
                evidence=NO_DIGEST,
            )
        case TerminateLease(lease=lease):
            return LeaseTerminated(lease=lease, buyer=buyer, provider=provider, ended_after=1)
        case ReleaseLease(lease=lease) | CloseLease(lease=lease):
            return LeaseClosed(
                lease=lease,
                buyer=buyer,
                provider=provider,
                paid=0,
                refunded=0,
                because=ClosedBecause.RELEASED,
            )
        case RegisterOffer(offer=offer):
            return OfferRegistered(id=offer_id(DOMAIN, offer), offer=offer)
        case CancelOffer(offer=offer):
            return OfferCancelled(id=offer_id(DOMAIN, offer), provider=offer.provider)
        case _:
            return later_effect(wish)


def later_effect(wish: Instruction) -> MarketEvent:
    """What is logged for a wish about a claim, a stake or a replica."""
    provider = an_address("provider")
    match wish:
        case FinalizeClaim(lease=lease):
            return ClaimDecided(
                lease=lease,
                buyer=an_address("buyer"),
                provider=provider,
                by=ClaimDecidedBy.NOBODY_CONTESTED,
                **dict.fromkeys(("amount", "fee", "paid", "to_provider", "to_buyer", "burned"), 0),
            )
        case FinishUnstake(account=account):
            return Unstaked(account=account, amount=1)
        case CommitResult(lease=lease, commitment=commitment):
            return ResultCommitted(lease=lease, provider=provider, commitment=commitment)
        case RevealResult(lease=lease, result=result):
            return ResultRevealed(lease=lease, provider=provider, result=result)
        case DecideReplicas(bid_id=bid):
            return ReplicasDecided(bid=bid, result=NO_DIGEST, agreed=0)
        case _:
            raise AssertionError(wish)


@dataclass
class Scene:
    """A store, a chain and the process between them, which can be started anew."""

    policy: OutboxPolicy = field(default_factory=OutboxPolicy)
    at: int = 0

    def __post_init__(self) -> None:
        self.store = CrashingStore()
        self.chain = MemoryChain(store=self.store)
        self.restart()

    def restart(self) -> None:
        self.outbox = Outbox(self.store, self.chain, KEY, self.policy)

    def step(self) -> int:
        return self.outbox.step(self.at)

    def step_and_die(self, point: str) -> None:
        self.store.dies_at = point
        try:
            self.step()
        except Killed:
            self.restart()
        self.store.dies_at = ""

    def round(self) -> None:
        self.step()
        self.chain.mine()
        self.at += 10

    def finish(self) -> None:
        for _ in range(60):
            self.round()
            if not self.store.pending(1) and not self.store.attempts_in_flight():
                return
        pytest.fail("the outbox never came to rest")


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_wish_is_done_when_its_event_is_mined(
    scene: Scene, kind: Callable[[int], Instruction]
) -> None:
    scene.store.wish(kind(1), kind(2))
    scene.step()
    assert scene.store.states() == [SENT, SENT]
    scene.chain.mine()
    scene.step()
    assert scene.store.states() == [DONE, DONE]


def test_wishes_of_a_kind_share_a_transaction_and_others_do_not(scene: Scene) -> None:
    scene.store.wish(an_opening(1), a_registration(2), an_opening(3), a_registration(4))
    scene.step()
    assert [attempt.intents for attempt in scene.store.recorded] == [(1, 3), (2, 4)]
    assert [attempt.nonce for attempt in scene.store.recorded] == [0, 1]


def test_gangs_are_called_one_by_one(scene: Scene) -> None:
    scene.store.wish(a_gang(1), a_gang(2))
    scene.step()
    assert [attempt.intents for attempt in scene.store.recorded] == [(1,), (2,)]


def test_what_the_jury_is_asked_goes_to_the_jury(scene: Scene) -> None:
    scene.store.wish(a_commitment(1), a_reveal(1), a_judgement(1), a_close(1))
    scene.step()
    called = [unsigned_of(attempt.raw).to for attempt in scene.store.recorded]
    assert called == [JURY, JURY, JURY, MARKET]


def test_a_skipped_gang_fails_with_its_reason(scene: Scene) -> None:
    scene.store.wish(a_gang(1, limit=1))
    scene.finish()
    assert (scene.store.states(), scene.store.details()) == ([FAILED], ["ABOVE_LIMIT"])


def test_one_bad_offer_does_not_keep_the_others_from_the_market(scene: Scene) -> None:
    """A batch of offers reverts whole, so its offers are tried one by one."""
    poison = a_registration(2)
    scene.chain.reverts = lambda wishes: poison in wishes
    scene.store.wish(a_registration(1), poison, a_registration(3))
    scene.step()
    scene.chain.refuses = lambda wish: "market: offer known" if wish == poison else ""
    scene.finish()
    assert scene.store.states() == [DONE, FAILED, DONE]


def test_an_offer_that_would_be_refused_is_not_sent_with_the_others(scene: Scene) -> None:
    scene.chain.refuses = lambda wish: "market: offer known" if wish == a_registration(2) else ""
    scene.store.wish(a_registration(1), a_registration(2), a_registration(3))
    scene.step()
    assert scene.store.details()[1] == "market: offer known"
    assert [attempt.intents for attempt in scene.store.recorded] == [(1, 3)]


def test_no_transaction_carries_more_than_the_contract_takes(scene: Scene) -> None:
    scene.store.wish(*map(a_settlement, range(40)))
    scene.step()
    assert [len(attempt.intents) for attempt in scene.store.recorded] == [32, 8]


def test_a_wish_is_sent_once_however_often_it_is_stepped(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    assert [scene.step() for _ in range(3)] == [1, 0, 0]
    assert len(scene.store.recorded) == 1


def test_a_skipped_bid_fails_with_its_reason_and_its_neighbour_opens(scene: Scene) -> None:
    scene.store.wish(an_opening(1, limit=1), an_opening(2))
    scene.finish()
    assert scene.store.states() == [FAILED, DONE]
    assert scene.store.details() == ["ABOVE_LIMIT", ""]


def test_the_same_receipt_wished_twice_pays_once(scene: Scene) -> None:
    scene.store.wish(a_settlement(1))
    scene.finish()
    scene.store.wish(a_settlement(1))
    scene.finish()
    assert scene.store.states() == [DONE, FAILED]
    assert scene.store.details()[1] == "NOT_MONOTONE"


def test_a_reverted_batch_is_tried_one_by_one(scene: Scene) -> None:
    poison = an_opening(2)
    scene.chain.reverts = lambda wishes: poison in wishes
    scene.store.wish(an_opening(1), poison, an_opening(3))
    scene.finish()
    assert scene.store.states() == [DONE, FAILED, DONE]
    assert scene.store.details()[1] == "reverted"
    assert [attempt.intents for attempt in scene.store.recorded] == [(1, 2, 3), (1,), (2,), (3,)]


def test_matches_of_a_paused_market_cost_one_transaction(scene: Scene) -> None:
    scene.chain.reverts = lambda _: True
    scene.store.wish(*map(an_opening, range(1, 9)))
    scene.step()
    scene.chain.mine()
    scene.chain.refuses = lambda _: "market: paused"
    scene.finish()
    assert scene.store.details() == ["market: paused"] * 8
    assert len(scene.store.recorded) == 1


def test_what_would_revert_fails_without_a_transaction(scene: Scene) -> None:
    scene.chain.refuses = lambda _: "market: no such lease"
    scene.store.wish(a_release(1))
    scene.step()
    assert (scene.store.states(), scene.store.details()) == ([FAILED], ["market: no such lease"])
    assert scene.store.recorded == []


def test_what_an_earlier_wish_may_make_right_is_sent_all_the_same(scene: Scene) -> None:
    """A cancellation right behind its registration would revert now, and will not once both are mined."""
    scene.chain.refuses = lambda wish: "market: offer not open" if isinstance(wish, CancelOffer) else ""
    scene.store.wish(a_registration(1), a_cancellation(1))
    scene.finish()
    assert scene.store.states() == [DONE, DONE]


@pytest.mark.parametrize("kind", TIMED)
@pytest.mark.parametrize("reason", ["market: not yet", "jury: too early"])
def test_what_comes_before_its_time_waits(
    scene: Scene, kind: Callable[[int], Instruction], reason: str
) -> None:
    scene.chain.refuses = lambda _: reason
    scene.store.wish(kind(1))
    assert scene.step() == 0
    assert scene.store.states() == [PENDING]
    scene.chain.refuses = lambda _: ""
    scene.finish()
    assert scene.store.states() == [DONE]


@pytest.mark.parametrize("kind", TIMED)
def test_what_comes_too_late_fails_without_a_transaction(
    scene: Scene, kind: Callable[[int], Instruction]
) -> None:
    scene.chain.refuses = lambda _: "market: no such lease"
    scene.store.wish(kind(1))
    scene.step()
    assert (scene.store.states(), scene.store.recorded) == ([FAILED], [])


def test_a_silent_chain_loses_nothing(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.chain.down = True
    with pytest.raises(Unavailable):
        scene.step()
    scene.chain.down = False
    scene.finish()
    assert scene.store.states() == [DONE]


def test_without_coin_the_wish_waits_for_some(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.chain.coin = False
    for _ in range(2):
        with pytest.raises(Rejected) as refusal:
            scene.step()
        assert refusal.value.code == "no-coin-for-gas"
    scene.chain.coin = True
    scene.finish()
    assert scene.store.states() == [DONE]
    assert len(scene.store.recorded) == 1


def test_a_transaction_that_is_forgotten_is_sent_again_with_the_same_bytes(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.pool.clear()
    scene.at += scene.policy.resend_after
    scene.step()
    assert list(scene.chain.pool.values()) == [scene.store.recorded[0].raw]


def test_a_stuck_transaction_offers_an_eighth_more_under_the_same_nonce(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    scene.at += scene.policy.bump_after
    scene.step()
    first, second = (unsigned_of(attempt.raw) for attempt in scene.store.recorded)
    assert (second.nonce, second.data, second.gas) == (first.nonce, first.data, first.gas)
    assert second.max_fee * 8 >= first.max_fee * 9
    assert second.tip * 8 >= first.tip * 9
    scene.finish()
    assert scene.store.states() == [DONE]


def test_whichever_of_two_attempts_is_mined_settles_both(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    first = scene.chain.pool[0]
    scene.at += scene.policy.bump_after
    scene.step()
    scene.chain.pool[0] = first
    scene.finish()
    assert scene.store.states() == [DONE]
    assert scene.chain.carried() == [1]


def test_a_fee_that_became_too_low_is_raised_soon(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.pool.clear()
    scene.chain.base_fee *= 10
    for _ in range(2):
        scene.at += scene.policy.resend_after
        scene.step()
    assert len(scene.store.recorded) == 2
    assert unsigned_of(scene.chain.pool[0]).max_fee >= scene.chain.base_fee


def test_a_fee_never_rises_above_the_highest() -> None:
    scene = Scene(policy=OutboxPolicy(highest_fee=2 * GWEI))
    scene.store.wish(an_opening(1))
    scene.step()
    scene.at += 10 * scene.policy.bump_after
    scene.step()
    assert len(scene.store.recorded) == 1


def test_nothing_is_settled_before_it_is_deep_enough() -> None:
    scene = Scene(policy=OutboxPolicy(confirmations=3))
    scene.store.wish(an_opening(1))
    seen = []
    for _ in range(4):
        scene.round()
        seen.append(scene.store.states()[0])
    assert seen == [SENT, SENT, SENT, DONE]


def test_a_transaction_that_a_reorganisation_drops_is_sent_again() -> None:
    """At once: that it was sent long ago, or just now, says nothing after it was seen mined."""
    scene = Scene(policy=OutboxPolicy(confirmations=3, resend_after=1_000))
    scene.store.wish(an_opening(1))
    scene.round()
    scene.step()
    scene.chain.reorg(1)
    scene.chain.pool.clear()
    scene.step()
    assert list(scene.chain.pool.values()) == [scene.store.recorded[0].raw]
    scene.finish()
    assert scene.store.states() == [DONE]


def test_a_nonce_that_a_stranger_took_is_replaced(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.steal_nonce(1)
    scene.finish()
    assert scene.store.states() == [DONE]
    assert [attempt.nonce for attempt in scene.store.recorded] == [0, 1]


def test_a_nonce_counts_as_taken_only_when_that_is_deep_enough() -> None:
    """Until then a reorganisation may give it back, and the first transaction may yet be mined."""
    scene = Scene(policy=OutboxPolicy(confirmations=3))
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.steal_nonce(1)
    scene.step()
    assert [attempt.nonce for attempt in scene.store.recorded] == [0]
    scene.chain.mine()
    scene.chain.mine()
    scene.step()
    assert [attempt.nonce for attempt in scene.store.recorded] == [0, 1]


def test_a_gap_that_a_stranger_left_is_filled() -> None:
    scene = Scene(policy=OutboxPolicy(confirmations=3))
    scene.chain.steal_nonce(1)
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.reorg(1)
    scene.chain.pool = {nonce: raw for nonce, raw in scene.chain.pool.items() if nonce == 1}
    scene.finish()
    assert scene.store.states() == [DONE]
    assert () in [attempt.intents for attempt in scene.store.recorded]


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_point_carries_the_wish_out_once(scene: Scene, point: str) -> None:
    scene.store.wish(an_opening(1), a_registration(2))
    for _ in range(3):
        scene.step_and_die(point)
        scene.chain.mine()
    scene.finish()
    assert scene.store.states() == [DONE, DONE]
    assert sorted(scene.chain.carried()) == [1, 2]


actions = st.one_of(
    st.tuples(st.just("step"), st.just("")),
    st.tuples(st.just("die"), st.sampled_from(POINTS)),
    st.tuples(st.just("mine"), st.just("")),
    st.tuples(st.just("wish"), st.just("")),
    st.tuples(st.just("wait"), st.sampled_from(["1", "10", "100"])),
    st.tuples(st.just("forget"), st.just("")),
    st.tuples(st.just("reorg"), st.sampled_from(["1", "2"])),
    st.tuples(st.just("steal"), st.just("")),
)


def act(scene: Scene, serial: int, action: tuple[str, str]) -> None:
    match action:
        case ("step", _):
            scene.step()
        case ("die", point):
            scene.step_and_die(point)
        case ("mine", _):
            scene.chain.mine()
        case ("wish", _):
            scene.store.wish(KINDS[serial % len(KINDS)](serial + 1))
        case ("wait", seconds):
            scene.at += int(seconds)
        case ("forget", _):
            scene.chain.pool.clear()
        case ("reorg", depth):
            scene.chain.reorg(int(depth))
        case _:
            scene.chain.steal_nonce(serial)


@settings(max_examples=150, deadline=None)
@given(st.lists(actions, max_size=30))
def test_whatever_dies_vanishes_or_moves_each_wish_takes_effect_once(
    history: list[tuple[str, str]],
) -> None:
    scene = Scene(policy=OutboxPolicy(confirmations=3))
    for serial, action in enumerate(history):
        act(scene, serial, action)
    scene.finish()
    assert set(scene.store.states()) <= {DONE}
    assert sorted(scene.chain.carried()) == sorted(scene.store.all)
