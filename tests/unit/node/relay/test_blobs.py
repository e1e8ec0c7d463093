from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.market.errors import LostRace, Rejected, Unavailable
from node.relay.blobs import BlobStore, OversizedUpload, Progress

DATA = bytes(range(256)) * 8
NAME = sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path, blob_limit=1 << 20, store_limit=1 << 21)


def read(store: BlobStore, name: str, start: int = 0) -> bytes:
    return b"".join(store.read(name, start))


def test_a_blob_arrives_in_pieces_and_is_read_from_anywhere(store: BlobStore) -> None:
    assert store.begin(NAME, len(DATA)) == Progress(offset=0, size=len(DATA))
    assert store.append(NAME, 0, DATA[:1_000]).offset == 1_000
    assert store.path(NAME) is None
    assert store.append(NAME, 1_000, DATA[1_000:]).offset == len(DATA)
    assert read(store, NAME) == DATA
    assert read(store, NAME, 2_000) == DATA[2_000:]


def test_an_upload_goes_on_where_it_stopped_after_a_restart(store: BlobStore, tmp_path: Path) -> None:
    store.begin(NAME, len(DATA))
    store.append(NAME, 0, DATA[:100])
    again = BlobStore(tmp_path, blob_limit=1 << 20, store_limit=1 << 21)
    assert again.begin(NAME, len(DATA)).offset == 100
    assert again.progress(NAME) == Progress(offset=100, size=len(DATA))
    again.append(NAME, 100, DATA[100:])
    assert read(again, NAME) == DATA


def test_a_crash_before_the_blob_got_its_name_is_repaired(store: BlobStore, tmp_path: Path) -> None:
    store.begin(NAME, len(DATA))
    (tmp_path / "parts" / f"{NAME}.part").write_bytes(DATA)
    assert store.begin(NAME, len(DATA)).offset == len(DATA)
    assert read(store, NAME) == DATA


def test_a_crash_before_the_size_was_kept_begins_anew(store: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "parts" / f"{NAME}.part").write_bytes(DATA[:7])
    assert store.begin(NAME, len(DATA)).offset == 0


def test_another_offset_names_the_right_one(store: BlobStore) -> None:
    store.begin(NAME, len(DATA))
    store.append(NAME, 0, DATA[:100])
    for offset in (0, 99, 101):
        with pytest.raises(LostRace) as caught:
            store.append(NAME, offset, DATA[:10])
        assert (caught.value.code, caught.value.facts["offset"]) == ("wrong-offset", 100)


def test_bytes_of_another_hash_are_dropped(store: BlobStore) -> None:
    store.begin(NAME, len(DATA))
    with pytest.raises(Rejected) as caught:
        store.append(NAME, 0, DATA[::-1])
    assert caught.value.code == "hash-mismatch"
    with pytest.raises(Rejected) as caught:
        store.progress(NAME)
    assert caught.value.code == "unknown-blob"
    store.begin(NAME, len(DATA))
    store.append(NAME, 0, DATA)
    assert read(store, NAME) == DATA


def test_a_whole_blob_takes_no_more(store: BlobStore) -> None:
    store.begin(NAME, len(DATA))
    store.append(NAME, 0, DATA)
    assert store.append(NAME, 0, DATA).offset == len(DATA)
    assert store.begin(NAME, 5).offset == len(DATA)


def test_the_empty_blob_is_whole_at_once(store: BlobStore) -> None:
    name = sha256(b"").hexdigest()
    store.begin(name, 0)
    assert read(store, name) == b""


def test_an_upload_is_bounded_by_the_limit_and_by_its_own_size(store: BlobStore) -> None:
    with pytest.raises(OversizedUpload):
        store.begin(NAME, (1 << 20) + 1)
    store.begin(NAME, 10)
    with pytest.raises(OversizedUpload):
        store.append(NAME, 0, DATA)


def test_a_full_store_says_so(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, blob_limit=1 << 20, store_limit=len(DATA) + 100)
    store.begin(NAME, len(DATA))
    store.append(NAME, 0, DATA)
    with pytest.raises(Unavailable) as caught:
        store.begin(sha256(b"other").hexdigest(), 101)
    assert caught.value.code == "blob-store-full"


@pytest.mark.parametrize("name", ["", "abc", "../" + "a" * 61, "A" * 64, "a" * 65])
def test_a_name_that_is_no_hash_reaches_no_file(store: BlobStore, name: str) -> None:
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.begin(name, 1),
        lambda: store.progress(name),
        lambda: store.append(name, 0, b""),
    )
    for call in calls:
        with pytest.raises(Rejected) as caught:
            call()
        assert caught.value.code == "malformed-blob-name"
    assert store.path(name) is None


def test_what_nobody_began_is_unknown(store: BlobStore) -> None:
    for call in (lambda: store.append(NAME, 0, b"x"), lambda: store.progress(NAME), lambda: store.read(NAME)):
        with pytest.raises(Rejected) as caught:
            call()
        assert caught.value.code == "unknown-blob"
