"""py-evm's key/value database over the store, holding a block's writes back until the block is whole.

Trie nodes and headers are keyed by their own keccak (32 bytes) and never change, so they may be cached
without asking who wrote them; every other key (canonical head, look-ups) is read afresh.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eth.abc import AtomicWriteBatchAPI
from eth.db.atomic import AtomicDBWriteBatch
from eth.db.backends.base import BaseAtomicDB

_HASH_LENGTH = 32


class NodeCache:
    """Committed content-addressed values, at most `limit` of them; emptied when full."""

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value, when cached."""
        return self._values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a committed value whose key is its hash; other keys are not kept."""
        if len(key) != _HASH_LENGTH:
            return
        if len(self._values) >= self._limit:
            self._values.clear()
        self._values[key] = value


class OverlayDatabase(BaseAtomicDB):
    """Reads fall through to committed data; writes stay in memory until `settle` or `discard`."""

    def __init__(self, read: Callable[[bytes], bytes | None], cache: NodeCache) -> None:
        self._read = read
        self._cache = cache
        self._written: dict[bytes, bytes | None] = {}

    def written(self) -> dict[bytes, bytes | None]:
        """What was written since the last `settle` or `discard`; None marks a deletion."""
        return self._written

    def settle(self) -> None:
        """The writes are on disk: forget them here and let the cache answer."""
        for key, value in self._written.items():
            if value is not None:
                self._cache.put(key, value)
        self._written = {}

    def discard(self) -> None:
        """Forget the writes of a block that was not committed."""
        self._written = {}

    def __getitem__(self, key: bytes) -> bytes:
        if key in self._written:
            value = self._written[key]
        else:
            value = self._cache.get(key)
            if value is None:
                value = self._read(key)
                if value is not None:
                    self._cache.put(key, value)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._written[key] = value

    def __delitem__(self, key: bytes) -> None:
        if not self._exists(key):
            raise KeyError(key)
        self._written[key] = None

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    @contextmanager
    def atomic_batch(self) -> Iterator[AtomicWriteBatchAPI]:
        """A batch that lands in the overlay whole or not at all (py-evm's contract)."""
        with AtomicDBWriteBatch._commit_unless_raises(self) as batch:
            yield batch
