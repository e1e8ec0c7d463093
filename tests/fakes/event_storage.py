"""The raw storage of market and jury, folded from their events alone, slot by slot.

Written from the contracts' README and not from their sources: what it needs beyond an event's own fields is
an earlier event, or the time of the block that holds it.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from eth_utils.crypto import keccak

from contracts.loader import artifact
from tests.fakes.market_bench import Log

Slots = dict[int, int]
PAGES = 2**16
BASIS_POINTS = 10_000
ACTIVE, CLAIMED, CONTESTED, UNDECIDED = 1, 2, 3, 128


@dataclass
class Account:
    """balance88 | stake88 | epoch32 | window48, and the bitmap of the nonces outside the window."""

    balance: int = 0
    stake: int = 0
    epoch: int = 0
    page: int = 0
    bits: int = 0
    bitmap: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def word(self) -> int:
        window = self.page << 32 | self.bits
        return self.balance | self.stake << 88 | self.epoch << 176 | window << 208

    def use(self, nonce: int) -> None:
        page = nonce >> 5
        if self.page < page < PAGES:
            if self.bits:
                self.bitmap[self.page >> 3] |= self.bits << (self.page % 8 * 32)
            self.page, self.bits = page, self.bitmap[page >> 3] >> (page % 8 * 32) & (2**32 - 1)
        if page == self.page:
            self.bits |= 1 << nonce % 32
        else:
            self.bitmap[nonce >> 8] |= 1 << nonce % 256

    def cancel(self, index: int, mask: int) -> None:
        self.bitmap[index] |= mask
        if self.page >> 3 == index:
            self.bits |= mask >> (self.page % 8 * 32) & (2**32 - 1)


@dataclass
class Lease:
    """escrow88 | paid88 | start40 | endOffset32 | state8, and what else its opening told."""

    opened: dict[str, Any]
    paid: int = 0
    end: int = 0
    state: int = ACTIVE
    claim: int = 0

    def word(self) -> int:
        times = self.opened["start"] << 176 | self.end << 216 | self.state << 248
        return int(self.opened["escrow"] | self.paid << 88 | times)


class EventStorage:
    """What the logs say that the slots hold; logs are applied in the order of the chain."""

    def __init__(self) -> None:
        self.fixed: dict[str, Any] = {}
        self.guardian = self.paused_until = self.burned = 0
        self.accounts: dict[str, Account] = defaultdict(Account)
        self.queues: dict[str, tuple[int, int]] = {}
        self.delegates: dict[tuple[str, str], int] = {}
        self.offers: dict[bytes, int] = defaultdict(int)
        self.leases: dict[bytes, Lease] = {}
        self.bids: dict[bytes, bytes] = {}
        self.commitments: dict[bytes, bytes] = {}
        self.results: dict[bytes, bytes] = {}
        self.commits: dict[bytes, int] = defaultdict(int)

    def apply(self, log: Log, at: int) -> None:
        """`at` is the time of the log's block."""
        if log.source == "token":
            return
        handler = getattr(self, f"_on_{log.name}", None)
        if handler is not None:
            handler(at=at, **log.fields)

    def _lock(self, escrow: int) -> int:
        return int(escrow * self.fixed["stakeBps"] // BASIS_POINTS)

    def _on_MarketDeployed(self, at: int, **fixed: Any) -> None:  # noqa: N802 - the event's name
        self.fixed = fixed
        self.guardian = int(fixed["guardian"], 16)

    def _on_Deposited(self, at: int, account: str, amount: int) -> None:  # noqa: N802
        self.accounts[account].balance += amount

    def _on_Withdrawn(self, at: int, account: str, to: str, amount: int) -> None:  # noqa: N802
        self.accounts[account].balance -= amount

    def _on_NoncesCancelled(self, at: int, account: str, word: int, mask: int) -> None:  # noqa: N802
        self.accounts[account].cancel(word, mask)

    def _on_EpochBumped(self, at: int, account: str, epoch: int) -> None:  # noqa: N802
        self.accounts[account].epoch = epoch

    def _on_Staked(self, at: int, account: str, amount: int) -> None:  # noqa: N802
        self.accounts[account].balance -= amount
        self.accounts[account].stake += amount

    def _on_UnstakeQueued(self, at: int, account: str, amount: int, unlockAt: int) -> None:  # noqa: N802, N803
        self.accounts[account].stake -= amount
        self.queues[account] = (self.queues.get(account, (0, 0))[0] + amount, unlockAt)

    def _on_Unstaked(self, at: int, account: str, amount: int) -> None:  # noqa: N802
        self.accounts[account].balance += amount
        self.queues[account] = (0, 0)

    def _on_DelegateSet(  # noqa: N802
        self, at: int, account: str, key: str, roles: int, allowance: int, until: int
    ) -> None:
        self.delegates[account, key] = allowance | until << 128 | roles << 168

    def _on_OfferRegistered(self, at: int, offer: bytes, **_: Any) -> None:  # noqa: N802
        self.offers[offer] = 1 << 224

    def _on_OfferCancelled(self, at: int, offer: bytes, provider: str) -> None:  # noqa: N802
        self.offers[offer] |= 2 << 224

    def _on_LeaseOpened(self, at: int, **opened: Any) -> None:  # noqa: N802
        self.leases[opened["lease"]] = Lease(opened)
        self.bids[opened["lease"]] = opened["bid"]
        buyer = self.accounts[opened["buyer"]]
        buyer.balance -= opened["escrow"]
        buyer.use(opened["nonce"])
        self.accounts[opened["provider"]].stake -= self._lock(opened["escrow"])
        self.offers[opened["offer"]] += opened["want"]

    def _on_ReplicasOpened(self, at: int, bid: bytes, **_: Any) -> None:  # noqa: N802
        for lease in self.leases.values():
            if lease.opened["bid"] == bid:
                lease.state |= UNDECIDED

    def _on_UsageSettled(  # noqa: N802
        self, at: int, lease: bytes, provider: str, amount: int, fee: int, paid: int, **_: Any
    ) -> None:
        self.accounts[provider].balance += amount - fee
        self.leases[lease].paid = paid

    def _on_FeePaid(self, at: int, matcher: str, amount: int) -> None:  # noqa: N802
        self.accounts[matcher].balance += amount

    def _on_LeaseTerminated(self, at: int, lease: bytes, endOffset: int, **_: Any) -> None:  # noqa: N802, N803
        self.leases[lease].end = endOffset

    def _on_LeaseClosed(self, at: int, lease: bytes, buyer: str, refunded: int, **_: Any) -> None:  # noqa: N802
        opened = self.leases.pop(lease).opened
        self.accounts[buyer].balance += refunded
        self.accounts[opened["provider"]].stake += self._lock(opened["escrow"])
        self.offers[opened["offer"]] -= opened["want"]

    def _on_StakeBurned(self, at: int, provider: str, lease: bytes, amount: int) -> None:  # noqa: N802
        self.accounts[provider].stake -= amount
        self.burned += amount

    def _on_ClaimOpened(  # noqa: N802
        self, at: int, lease: bytes, provider: str, claimed: int, bond: int, until: int, **_: Any
    ) -> None:
        self.accounts[provider].balance -= bond
        self.leases[lease].state = CLAIMED
        self.leases[lease].claim = claimed | bond << 88 | until << 176

    def _on_ClaimContested(  # noqa: N802
        self, at: int, lease: bytes, buyer: str, bond: int, until: int, **_: Any
    ) -> None:
        self.accounts[buyer].balance -= bond
        self.leases[lease].state = CONTESTED
        self.leases[lease].claim = self.leases[lease].claim % 2**176 | until << 176

    def _on_ClaimDecided(self, at: int, buyer: str, provider: str, **moved: Any) -> None:  # noqa: N802
        self.accounts[provider].balance += moved["amount"] - moved["fee"] + moved["toProvider"]
        self.accounts[buyer].balance += moved["toBuyer"]
        self.burned += moved["burned"]

    def _on_LeaseJudged(self, at: int, lease: bytes, guilty: bool, start: int, endOffset: int) -> None:  # noqa: N802, N803
        if not guilty:
            self.leases[lease].state = ACTIVE
            self.leases[lease].opened = self.leases[lease].opened | {"start": start}
            self.leases[lease].end = endOffset

    def _on_Paused(self, at: int, until: int) -> None:  # noqa: N802
        self.paused_until = until

    def _on_Unpaused(self, at: int, guardian: str) -> None:  # noqa: N802
        self.paused_until = at

    def _on_GuardianRenounced(self, at: int, guardian: str) -> None:  # noqa: N802
        self.guardian = 0

    def _on_ResultCommitted(self, at: int, lease: bytes, provider: str, commitment: bytes) -> None:  # noqa: N802
        self.commitments[lease] = commitment
        self.commits[self.bids[lease]] += 1

    def _on_ResultRevealed(self, at: int, lease: bytes, provider: str, result: bytes) -> None:  # noqa: N802
        self.results[lease] = result

    def market_slots(self) -> Slots:
        """Every slot of the market that is not zero."""
        layout = artifact("ComputeMarket").storage_layout
        accounts, leases = layout["accounts"], layout["leases"]
        slots: Slots = {
            layout["pausing"]["guardian"]["slot"]: self.guardian,
            layout["pausing"]["pausedUntil"]["slot"]: self.paused_until,
            layout["staking"]["burned"]["slot"]: self.burned,
        }
        for name, one in self.accounts.items():
            slots[_at(accounts["_words"], _key(name))] = one.word()
            inner = _at(accounts["_bitmaps"], _key(name))
            slots |= {_at({"slot": inner}, index): bits for index, bits in one.bitmap.items()}
        for (name, key), word in self.delegates.items():
            inner = _at(layout["delegates"]["_words"], _key(name))
            slots[_at({"slot": inner}, _key(key))] = word
        for name, (amount, unlock_at) in self.queues.items():
            slots[_at(layout["staking"]["_queues"], _key(name))] = amount | unlock_at << 128
        for digest, word in self.offers.items():
            slots[_at(layout["registry"]["_words"], digest)] = word
        for lease, opened in self.leases.items():
            slots[_at(leases["_words"], lease)] = opened.word()
            slots[_at(layout["claims"]["_words"], lease)] = opened.claim
        return {slot: value for slot, value in slots.items() if value}

    def jury_slots(self, market: str) -> Slots:
        """Every slot of the jury that is not zero; `market` is who logged `MarketDeployed`."""
        layout = artifact("ReplicaJury").storage_layout
        slots: Slots = {layout["_market"]["slot"]: int(market, 16)}
        for name, words in (("_commitments", self.commitments), ("_results", self.results)):
            slots |= {_at(layout[name], k): int.from_bytes(v, "big") for k, v in words.items()}
        slots |= {_at(layout["_commits"], bid): count for bid, count in self.commits.items()}
        return slots


def _key(address: str) -> int:
    return int(address, 16)


def _at(mapping: dict[str, Any], key: int | bytes) -> int:
    """The slot of a mapping's value: keccak256(slot . key)."""
    word = key if isinstance(key, bytes) else key.to_bytes(32, "big")
    return int.from_bytes(keccak(mapping["slot"].to_bytes(32, "big") + word), "big")
