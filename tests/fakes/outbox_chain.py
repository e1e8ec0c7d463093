"""A chain in memory for one account, and a process between it and a store that dies where it is told to."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from itertools import count
from typing import Literal

from ledger.chain import keys
from ledger.chain.calls import MAX_ITEMS, Call, market_call
from ledger.chain.client import Fees, MinedReceipt
from ledger.chain.keys import LocalKey, UnsignedTransaction
from ledger.chain.outbox import Outbox, OutboxPolicy
from ledger.chain.outcomes import Outcome, reason_against
from ledger.chain.typed_data import Domain, keccak
from ledger.market.errors import LostRace, Rejected, Unavailable
from ledger.market.events import BlockRef
from ledger.market.identity import Address
from ledger.market.instructions import (
    AnchorEpoch,
    CloseLease,
    Instruction,
    OpenGang,
    OpenLease,
    SettleReceipt,
)
from ledger.market.outbox import IntentState, Sighting, TxAttempt
from tests.fakes.chain_wishes import DOMAIN, JURY, MARKET, effect
from tests.fakes.outbox_store import MemoryStore

KEY = LocalKey(sha256(b"node").digest())
GWEI = 10**9
POINTS = ["before record", "after record", "after send", "before settle", "after settle", "before reopen"]


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

    def settle_attempt(self, nonce: int, outcomes: Sequence[Outcome], seen: Sighting) -> None:
        self.reach("before settle")
        super().settle_attempt(nonce, outcomes, seen)
        self.reach("after settle")

    def reopen(self, nonces: Sequence[int]) -> None:
        self.reach("before reopen")
        super().reopen(nonces)


@dataclass
class Block:
    """Raw transactions, what tells it from every other block, and what a unit of gas cost in it."""

    raws: list[bytes]
    serial: int
    base_fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One mined transaction: each intent that it carried, and whether that was done before."""

    raw: bytes
    succeeded: bool
    items: Sequence[tuple[int, bool]]


@dataclass
class MemoryChain:
    """One account's transactions: a pool by nonce, blocks of raw bytes, and the contract's idempotence.

    Blocks `finality` behind the head are final; `reorg` leaves them alone.
    """

    store: CrashingStore
    market: Address = MARKET
    pool: dict[int, bytes] = field(default_factory=dict)
    base_fee: int = GWEI
    down: bool = False
    coin: bool = True
    lags: int = 0
    """newest blocks that the endpoint does not show when asked for one by number"""
    finality: int = 64
    refuses: Callable[[Instruction], str] = lambda _: ""
    reverts: Callable[[Sequence[Instruction]], bool] = lambda _: False
    handed: list[bytes] = field(default_factory=list)
    """every transaction that was handed over, as often as it was"""

    def __post_init__(self) -> None:
        self._serials = count()
        self._names: dict[int, bytes] = {}
        self.blocks = [self._block()]

    # what the outbox asks

    def domain(self) -> Domain:
        return DOMAIN

    def jury(self) -> Address:
        return JURY

    def block(self, which: int | Literal["latest", "finalized"]) -> BlockRef:
        self._up()
        head = len(self.blocks) - 1
        if which == "latest":
            return self._ref(head)
        if which == "finalized":
            return self._ref(self.final)
        if which > head - self.lags:
            raise LostRace("not-on-chain", "No such block.", "Look again.")
        return self._ref(which)

    @property
    def final(self) -> int:
        return max(0, len(self.blocks) - 1 - self.finality)

    def transaction_count(self, account: Address, which: int | Literal["latest", "pending"]) -> int:
        self._up()
        assert account == KEY.address
        last = which if isinstance(which, int) else len(self.blocks) - 1
        used = sum(len(block.raws) for block in self.blocks[: last + 1])
        while which == "pending" and used in self.pool:
            used += 1
        return used

    def fees(self) -> Fees:
        self._up()
        return Fees(max_fee=2 * self.base_fee, tip=1)

    def simulate(self, call: Call, sender: Address) -> None:
        """A call of several is refused where each of them is."""
        self._up()
        reasons = [
            self.refuses(self.store.all[one].instruction) or self._done_before(one)
            for one in self._called(call)
        ]
        if all(reasons):
            raise Rejected("reverted", reasons[0], "Look.", reason=reasons[0])

    def send_raw(self, raw: bytes) -> bytes:
        self._up()
        assert any(attempt.raw == raw for attempt in self.store.recorded), "sent before it was stored"
        self.handed.append(raw)
        fields = unsigned_of(raw)
        if not self.coin:
            raise Rejected("no-coin-for-gas", "No coin.", "Run bingwang wallet faucet.")
        if fields.nonce < self.transaction_count(KEY.address, "latest"):
            raise LostRace("nonce-too-low", "Used.", "Look.")
        if fields.max_fee < self.base_fee:
            raise LostRace("underpriced", "Too low.", "More.")
        known = self.pool.get(fields.nonce)
        if known is not None and known != raw and fields.max_fee * 10 < fee_of(known) * 11:
            raise LostRace("underpriced", "Replacement.", "More.")
        self.pool[fields.nonce] = raw
        self.store.reach("after send")
        return keccak(raw)

    def receipt(self, transaction: bytes) -> MinedReceipt | None:
        self._up()
        for number, block in enumerate(self.blocks):
            for raw in block.raws:
                if keccak(raw) == transaction:
                    return self._receipt(raw, number)
        return None

    # what happens to it

    def mine(self) -> None:
        """One block with every transaction that can be executed at its fee."""
        raws: list[bytes] = []
        nonce = self.transaction_count(KEY.address, "latest")
        while nonce in self.pool and fee_of(self.pool[nonce]) >= self.base_fee:
            raws.append(self.pool.pop(nonce))
            nonce += 1
        self.blocks.append(self._block(raws))

    def reorg(self, depth: int) -> None:
        """The last blocks give way to as many empty ones and one more; their transactions wait again."""
        depth = min(depth, len(self.blocks) - 1 - self.final)
        for _ in range(depth):
            for raw in self.blocks.pop().raws:
                self.pool[nonce_of(raw)] = raw
        self.blocks += [self._block() for _ in range(depth + 1)]

    def steal_nonce(self, serial: int) -> None:
        """Somebody else who has the key sends a transaction, and it is mined at once."""
        nonce = self.transaction_count(KEY.address, "latest")
        self.pool.pop(nonce, None)
        self.blocks.append(self._block([b"stranger %d %d" % (nonce, serial)]))

    # what came of it

    def mined(self) -> list[bytes]:
        return [raw for block in self.blocks for raw in block.raws]

    def carried(self) -> list[int]:
        """The intents of the mined transactions, in their order."""
        attempts = {attempt.raw: attempt.intents for attempt in self.store.recorded}
        return [one for raw in self.mined() for one in attempts.get(raw, ())]

    def effects(self) -> Counter[bytes]:
        """How often each wish took effect, by `name`."""
        taken = (item for run in self._executed() if run.succeeded for item in run.items)
        return Counter(self.name(one) for one, again in taken if self._fulfils(one, again))

    def _fulfils(self, intent: int, again: bool) -> bool:
        wish = self.store.all[intent].instruction
        return reason_against(wish, [effect(wish, again)], DOMAIN) is None

    def _receipt(self, raw: bytes, number: int) -> MinedReceipt:
        run = next(one for one in self._executed() if one.raw == raw)
        logged = [effect(self.store.all[intent].instruction, again) for intent, again in run.items]
        return MinedReceipt(
            transaction=keccak(raw),
            block=self._ref(number),
            succeeded=run.succeeded,
            gas_used=unsigned_of(raw).gas // 2,
            gas_price=self.blocks[number].base_fee,
            events=tuple(logged) if run.succeeded else (),
        )

    def _executed(self) -> Iterator[Run]:
        """Every mined transaction, in order, and what it did."""
        attempts = {attempt.raw: attempt.intents for attempt in self.store.recorded}
        done: set[bytes] = set()
        for raw in self.mined():
            intents = attempts.get(raw, ())
            items = [(intent, self.name(intent) in done) for intent in intents]
            succeeded = self._succeeds(items)
            if succeeded:
                done.update(map(self.name, intents))
            yield Run(raw=raw, succeeded=succeeded, items=items)

    def _succeeds(self, items: Sequence[tuple[int, bool]]) -> bool:
        wishes = [self.store.all[intent].instruction for intent, _ in items]
        twice = (again and not _skips(self.store.all[one].instruction, len(items)) for one, again in items)
        return not (any(twice) or self.reverts(wishes))

    def _done_before(self, intent: int) -> str:
        if _skips(self.store.all[intent].instruction, 1):
            return ""
        done = {self.name(one) for run in self._executed() if run.succeeded for one, _ in run.items}
        return "market: done before" if self.name(intent) in done else ""

    def _called(self, call: Call) -> list[int]:
        """Whichever wishes make this call: one, or the oldest of a kind, matches with all epochs' roots."""
        for number in self.store.all:
            if self.name(number) == call.data:
                return [number]
        waiting = self.store.pending(MAX_ITEMS * 16)
        anchors = [one for one in waiting if isinstance(one.instruction, AnchorEpoch)]
        for first in waiting:
            alike = [one for one in waiting if type(one.instruction) is type(first.instruction)]
            tail = anchors if isinstance(first.instruction, OpenLease) else []
            for size in range(min(len(alike), MAX_ITEMS), 0, -1):
                batch = alike[:size] + tail
                if market_call(MARKET, [one.instruction for one in batch], jury=JURY).data == call.data:
                    return [one.id for one in batch]
        raise AssertionError("a call of wishes that nobody has")

    def name(self, intent: int) -> bytes:
        """What is the same of two wishes for the same thing."""
        if intent not in self._names:
            wish = self.store.all[intent].instruction
            self._names[intent] = market_call(MARKET, [wish], jury=JURY).data
        return self._names[intent]

    def _block(self, raws: Sequence[bytes] = ()) -> Block:
        return Block(raws=list(raws), serial=next(self._serials), base_fee=self.base_fee)

    def _ref(self, number: int) -> BlockRef:
        parent = b"%032d" % self.blocks[number - 1].serial if number else bytes(32)
        return BlockRef(number=number, hash=b"%032d" % self.blocks[number].serial, parent=parent, at=0)

    def _up(self) -> None:
        if self.down:
            raise Unavailable("rpc-unreachable", "Down.", "Wait.")


def _skips(wish: Instruction, together: int) -> bool:
    """Whether the contract passes it over where it cannot be done, instead of reverting."""
    return isinstance(wish, OpenLease | OpenGang | SettleReceipt) or (
        isinstance(wish, CloseLease) and together > 1
    )


@cache
def unsigned_of(raw: bytes) -> UnsignedTransaction:
    return keys.unsigned_of(raw)


def nonce_of(raw: bytes) -> int:
    return int(raw.split()[1]) if raw.startswith(b"stranger") else unsigned_of(raw).nonce


def fee_of(raw: bytes) -> int:
    return 2 * GWEI if raw.startswith(b"stranger") else unsigned_of(raw).max_fee


@dataclass
class Scene:
    """A store, a chain and the process between them, which can be started anew."""

    policy: OutboxPolicy = field(default_factory=OutboxPolicy)
    at: int = 0
    finality: int = 64

    def __post_init__(self) -> None:
        self.store = CrashingStore()
        self.chain = MemoryChain(store=self.store, finality=self.finality)
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
        finally:
            self.store.dies_at = ""

    def round(self) -> None:
        self.step()
        self.chain.mine()
        self.at += 10

    def rests(self) -> bool:
        """Whether nothing waits, nothing is in flight, and nothing that was settled can vanish any more."""
        waits = any(state in (IntentState.PENDING, IntentState.SENT) for state in self.store.states())
        return not (waits or self.store.attempts_in_flight() or self.store.settled())

    def finish(self) -> None:
        for _ in range(120):
            self.round()
            waits = self.store.pending(1) or self.store.attempts_in_flight()
            if not waits:
                return
        raise AssertionError("the outbox never came to rest")
