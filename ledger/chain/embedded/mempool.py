"""Transactions that wait for a block, in an order that a block can execute.

Pure: it knows no chain; account nonces come in as arguments. The pool is memory only. A raw transaction
is idempotent and its sender keeps the bytes and sends them again, so a kill loses nothing that was
promised: only a sealed block is a promise.
"""

import heapq
from collections import deque
from collections.abc import Callable, Mapping

from ledger.chain.embedded.transactions import PooledTransaction
from ledger.market.errors import LostRace, Rejected, Unavailable

_BUMP_PERCENT = 10


class Mempool:
    """Pooled transactions by account and nonce, first come first served between accounts."""

    def __init__(self, *, capacity: int = 16_384, per_account: int = 4_096) -> None:
        self._capacity = capacity
        self._per_account = per_account
        self._accounts: dict[bytes, dict[int, PooledTransaction]] = {}
        self._arrivals: dict[bytes, int] = {}
        self._by_hash: dict[bytes, PooledTransaction] = {}
        self._counter = 0
        self._recent: deque[bytes] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._by_hash)

    def get(self, transaction: bytes) -> PooledTransaction | None:
        """The waiting transaction of that hash."""
        return self._by_hash.get(transaction)

    @property
    def arrived(self) -> int:
        """How many transactions were ever pooled here."""
        return self._counter

    def arrivals_since(self, arrived: int) -> list[bytes]:
        """Hashes pooled after `arrived` stood at that count, sealed ones included; the oldest of very many
        are forgotten.
        """
        new = min(self._counter - arrived, len(self._recent))
        return list(self._recent)[len(self._recent) - new :]

    def by_account(self) -> Mapping[bytes, Mapping[int, PooledTransaction]]:
        """A copy of all that wait: sender, then nonce in rising order."""
        return {sender: dict(sorted(waiting.items())) for sender, waiting in self._accounts.items()}

    def add(self, transaction: PooledTransaction, next_nonce: int) -> None:
        """Pool a transaction whose account stands at `next_nonce`.

        A second one for the same nonce replaces the first if both its fees are 10 % higher. Raises
        `LostRace` (already known, nonce used), `Rejected` (underpriced) or `Unavailable` (full).
        """
        if transaction.hash in self._by_hash:
            raise LostRace("already-known", "already known.", "Wait for its receipt.")
        if transaction.nonce < next_nonce:
            raise LostRace(
                "nonce-too-low",
                f"nonce too low: next nonce {next_nonce}, tx nonce {transaction.nonce}.",
                "Read the pending transaction count and sign again.",
                next_nonce=next_nonce,
            )
        waiting = self._accounts.setdefault(transaction.sender, {})
        replaced = waiting.get(transaction.nonce)
        if replaced is not None:
            _check_replacement(replaced, transaction)
            self._forget(replaced)
        else:
            self._check_room(waiting)
        self._counter += 1
        self._recent.append(transaction.hash)
        self._arrivals[transaction.hash] = self._counter
        self._by_hash[transaction.hash] = transaction
        self._accounts.setdefault(transaction.sender, {})[transaction.nonce] = transaction

    def remove(self, transaction: bytes) -> None:
        """Drop a transaction that was sealed or found invalid; unknown ones are ignored."""
        known = self._by_hash.get(transaction)
        if known is not None:
            self._forget(known)

    def next_nonce(self, sender: bytes, account_nonce: int) -> int:
        """The nonce a new transaction of `sender` should carry: after its unbroken run of waiting ones."""
        return after_run(self._accounts.get(sender, {}), account_nonce)

    def spending(self, sender: bytes, without_nonce: int) -> int:
        """Wei that the waiting transactions of `sender` may cost together, one nonce left out."""
        waiting = self._accounts.get(sender, {})
        return sum(tx.cost for tx in waiting.values() if tx.nonce != without_nonce)

    def ready(
        self, account_nonce: Callable[[bytes], int], base_fee: int, limit: int
    ) -> list[PooledTransaction]:
        """Up to `limit` executable transactions: nonces without gaps, arrival order between accounts.

        Ones whose nonce was used meanwhile are forgotten; ones that offer less than `base_fee` wait.
        """
        heads: list[tuple[int, bytes, int]] = []
        for sender in list(self._accounts):
            nonce = account_nonce(sender)
            self._forget_used(sender, nonce)
            self._push(heads, sender, nonce, base_fee)
        chosen: list[PooledTransaction] = []
        while heads and len(chosen) < limit:
            _, sender, nonce = heapq.heappop(heads)
            chosen.append(self._accounts[sender][nonce])
            self._push(heads, sender, nonce + 1, base_fee)
        return chosen

    def _push(self, heads: list[tuple[int, bytes, int]], sender: bytes, nonce: int, base_fee: int) -> None:
        transaction = self._accounts.get(sender, {}).get(nonce)
        if transaction is not None and transaction.max_fee >= base_fee:
            heapq.heappush(heads, (self._arrivals[transaction.hash], sender, nonce))

    def _forget_used(self, sender: bytes, account_nonce: int) -> None:
        for nonce in [n for n in self._accounts.get(sender, {}) if n < account_nonce]:
            self._forget(self._accounts[sender][nonce])

    def _forget(self, transaction: PooledTransaction) -> None:
        del self._by_hash[transaction.hash]
        del self._arrivals[transaction.hash]
        waiting = self._accounts[transaction.sender]
        del waiting[transaction.nonce]
        if not waiting:
            del self._accounts[transaction.sender]

    def _check_room(self, waiting: dict[int, PooledTransaction]) -> None:
        if len(self._by_hash) >= self._capacity or len(waiting) >= self._per_account:
            raise Unavailable("txpool-full", "txpool is full.", "Send it again after the next block.")


def after_run(waiting: Mapping[int, PooledTransaction], nonce: int) -> int:
    """The first nonce from `nonce` on at which nothing waits."""
    while nonce in waiting:
        nonce += 1
    return nonce


def _check_replacement(old: PooledTransaction, new: PooledTransaction) -> None:
    def bumped(fee: int) -> int:
        return fee + -(-fee * _BUMP_PERCENT // 100)

    if new.max_fee < bumped(old.max_fee) or new.tip < bumped(old.tip):
        raise Rejected(
            "replacement-underpriced",
            "replacement transaction underpriced.",
            f"Raise both fees by {_BUMP_PERCENT} % or more.",
        )
