"""The image cache drops the least recently used, and never what is in use or not its own."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from provider_agent.work.images import CachedImage, ImageCache, plan_eviction


class Store:
    """An engine's images in memory; every image has 10 bytes."""

    def __init__(self, *owned: str) -> None:
        self.images = set(owned)

    def has_image(self, digest: str) -> bool:
        return digest in self.images

    def image_size(self, digest: str) -> int:
        return 10

    def load_image(self, archive: Path, digest: str) -> None:
        if archive.read_text() != digest:
            raise Rejected("image-digest", "Another image.", "Send the right one.")
        self.images.add(digest)

    def remove_image(self, digest: str) -> None:
        self.images.discard(digest)


def _add(cache: ImageCache, tmp_path: Path, digest: str, at: int, *in_use: str) -> None:
    archive = tmp_path / "archive"
    archive.write_text(digest)
    cache.add(archive, digest, at=at, in_use=frozenset(in_use))


def test_the_least_recently_used_image_makes_room(tmp_path: Path) -> None:
    store = Store("owners")
    cache = ImageCache(store, record=tmp_path / "images", budget=25)
    _add(cache, tmp_path, "a", 1)
    _add(cache, tmp_path, "b", 2)
    cache.touch("a", at=3)
    _add(cache, tmp_path, "c", 4)
    assert store.images == {"owners", "a", "c"}
    assert cache.has("owners")
    assert not cache.has("b")


def test_an_image_in_use_stays_even_beyond_the_budget(tmp_path: Path) -> None:
    store = Store()
    cache = ImageCache(store, record=tmp_path / "images", budget=15)
    _add(cache, tmp_path, "a", 1)
    _add(cache, tmp_path, "b", 2, "a")
    assert store.images == {"a", "b"}
    assert cache.shrink(frozenset({"b"})) == ("a",)


def test_the_cache_remembers_over_a_restart(tmp_path: Path) -> None:
    store = Store()
    _add(ImageCache(store, record=tmp_path / "images", budget=25), tmp_path, "a", 1)
    again = ImageCache(store, record=tmp_path / "images", budget=5)
    assert again.shrink(frozenset()) == ("a",)
    assert store.images == set()


def test_an_archive_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    store = Store()
    record = tmp_path / "images"
    cache = ImageCache(store, record=record, budget=25)
    archive = tmp_path / "archive"
    archive.write_text("other")
    with pytest.raises(Rejected):
        cache.add(archive, "a", at=1, in_use=frozenset())
    assert json.loads(record.read_text()) == {}


def test_an_archive_beyond_the_budget_is_refused(tmp_path: Path) -> None:
    cache = ImageCache(Store(), record=tmp_path / "images", budget=3)
    with pytest.raises(Rejected) as refused:
        _add(cache, tmp_path, "four", 1)
    assert refused.value.code == "image-too-large"


def test_a_broken_record_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("{")
    assert ImageCache(Store(), record=tmp_path / "images", budget=5).shrink(frozenset()) == ()


@given(
    images=st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3),
        st.builds(CachedImage, size=st.integers(1, 100), used_at=st.integers(0, 50)),
    ),
    budget=st.integers(0, 300),
    in_use=st.frozensets(st.text("abcdef", min_size=1, max_size=3)),
)
def test_eviction_fits_the_budget_or_leaves_only_what_is_in_use(
    images: dict[str, CachedImage], budget: int, in_use: frozenset[str]
) -> None:
    dropped = plan_eviction(images, budget=budget, in_use=in_use)
    left = {digest: image for digest, image in images.items() if digest not in dropped}
    assert not in_use & set(dropped)
    assert sum(image.size for image in left.values()) <= budget or set(left) <= in_use
