"""py-evm's key/value database over the store, holding a block's writes back until the block is whole.

What py-evm keeps here is trie nodes and code, keyed by their own keccak: they never change, so they may be
cached without asking who wrote them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from eth.abc import AtomicWriteBatchAPI
from eth.db.atomic import AtomicDBWriteBatch
from eth.db.backends.base import BaseAtomicDB


class NodeCache:
    """Committed content-addressed values, at most `limit`; the half not asked for lately goes first."""

    def __init__(self, limit: int = 100_000) -> None:
        self._half = max(1, limit // 2)
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value, when cached."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a committed value whose key is its hash."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = value


class OverlayDatabase(BaseAtomicDB):
    """Reads fall through to committed data; writes stay in memory until `settle` or `discard`."""

    def __init__(self, read: Callable[[bytes], bytes | None], cache: NodeCache) -> None:
        self._read = read
        self._cache = cache
        self._written: dict[bytes, bytes] = {}
        self._owned: dict[tuple[bytes, bytes], bytes] = {}
        self._replaced: dict[bytes, list[bytes]] = {}

    def note_written(self, owner: bytes, key: bytes, value: bytes) -> None:
        """`owner`'s trie has this node from now on."""
        self._owned[owner, key] = value

    def note_replaced(self, owner: bytes, key: bytes) -> None:
        """`owner`'s trie no longer has this node."""
        self._replaced.setdefault(owner, []).append(key)

    def written(self) -> Mapping[tuple[bytes, bytes], bytes]:
        """The nodes noted since the last `settle` or `discard`, by owner and hash."""
        return self._owned

    def replaced(self) -> Mapping[bytes, Sequence[bytes]]:
        """The nodes noted as replaced since then, by owner."""
        return self._replaced

    def settle(self) -> None:
        """The writes are on disk: forget them here and let the cache answer."""
        for key, value in self._written.items():
            self._cache.put(key, value)
        self.discard()

    def discard(self) -> None:
        """Forget the writes of a block that was not committed."""
        self._written, self._owned, self._replaced = {}, {}, {}

    def __getitem__(self, key: bytes) -> bytes:
        value = self._written.get(key)
        if value is None:
            value = self._cache.get(key)
        if value is None:
            value = self._read(key)
            if value is None:
                raise KeyError(key)
            self._cache.put(key, value)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._written[key] = value

    def __delitem__(self, key: bytes) -> None:
        raise KeyError(key)

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
