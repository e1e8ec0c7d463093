"""A block's writes are visible to the block and to nobody else until they are settled."""

import pytest

from ledger.chain.embedded.database import NodeCache, OverlayDatabase

NODE = b"\x01" * 32


def test_writes_are_read_back_and_discarded() -> None:
    disk = {b"head": b"old"}
    database = OverlayDatabase(disk.get, NodeCache())
    database[b"head"] = b"new"
    assert database[b"head"] == b"new"
    database.discard()
    assert database[b"head"] == b"old"


def test_a_deleted_key_is_gone_and_marked() -> None:
    database = OverlayDatabase({NODE: b"value"}.get, NodeCache())
    del database[NODE]
    assert NODE not in database
    assert database.written() == {NODE: None}
    with pytest.raises(KeyError):
        del database[NODE]


def test_a_key_that_is_not_a_hash_is_never_cached() -> None:
    disk = {b"head": b"one", NODE: b"node"}
    database = OverlayDatabase(disk.get, NodeCache())
    assert (database[b"head"], database[NODE]) == (b"one", b"node")
    disk[b"head"] = b"two"
    del disk[NODE]
    assert (database[b"head"], database[NODE]) == (b"two", b"node")


def test_a_failed_batch_leaves_nothing() -> None:
    database = OverlayDatabase(lambda _: None, NodeCache())

    def fail() -> None:
        with database.atomic_batch() as batch:
            batch[NODE] = b"half"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert database.written() == {}


def test_the_cache_is_emptied_when_full() -> None:
    cache = NodeCache(limit=2)
    for number in range(3):
        cache.put(number.to_bytes(32, "big"), b"x")
    assert [cache.get(number.to_bytes(32, "big")) for number in range(3)] == [None, None, b"x"]
