"""A block's writes are visible to the block and to nobody else until they are settled."""

import pytest

from ledger.chain.embedded.database import NodeCache, OverlayDatabase

NODE, OTHER = b"\x01" * 32, b"\x02" * 32


def over(disk: dict[bytes, bytes]) -> OverlayDatabase:
    return OverlayDatabase(disk.get, NodeCache())


def test_writes_are_read_back_and_discarded() -> None:
    database = over({NODE: b"node"})
    database[OTHER] = b"new"
    database.note_written(b"owner", OTHER, b"new")
    database.note_replaced(b"owner", NODE)
    assert (database[OTHER], database[NODE]) == (b"new", b"node")
    database.discard()
    assert OTHER not in database
    assert (database.written(), database.replaced()) == ({}, {})


def test_settled_writes_are_answered_without_the_disk() -> None:
    database = over({})
    database[NODE] = b"node"
    database.settle()
    assert database[NODE] == b"node"


def test_each_owner_has_its_own_nodes() -> None:
    database = over({})
    database.note_written(b"ana", NODE, b"node")
    database.note_written(b"ben", NODE, b"node")
    database.note_replaced(b"ana", OTHER)
    assert database.written() == {(b"ana", NODE): b"node", (b"ben", NODE): b"node"}
    assert database.replaced() == {b"ana": [OTHER]}


def test_nothing_is_deleted() -> None:
    database = over({NODE: b"node"})
    with pytest.raises(KeyError):
        del database[NODE]
    assert database[NODE] == b"node"


def test_what_was_read_once_is_not_read_again() -> None:
    disk = {NODE: b"node"}
    database = over(disk)
    assert database[NODE] == b"node"
    del disk[NODE]
    assert database[NODE] == b"node"


def test_a_failed_batch_leaves_nothing() -> None:
    database = over({})

    def fail() -> None:
        with database.atomic_batch() as batch:
            batch[NODE] = b"half"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert NODE not in database


def test_a_full_cache_forgets_what_nobody_asked_for_lately() -> None:
    cache = NodeCache(limit=4)
    keys = [number.to_bytes(32, "big") for number in range(6)]
    for key in keys[:3]:
        cache.put(key, b"x")
    assert cache.get(keys[0]) == b"x"
    for key in keys[3:]:
        cache.put(key, b"x")
    assert cache.get(keys[1]) is None
    assert cache.get(keys[5]) == b"x"
