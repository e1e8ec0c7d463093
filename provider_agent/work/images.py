"""Keeps the images that buyers sent within the space that the owner lends for them.

The agent may only drop what it loaded itself, so what it loaded is written down, beside the time of last
use. What the owner had before is used and never dropped, and nothing is dropped while a lease needs it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ledger.market.errors import MarketError, Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedImage:
    """One image that this agent loaded: its unpacked bytes, and when a lease last used it (seconds)."""

    size: int
    used_at: int


def plan_eviction(
    images: Mapping[str, CachedImage], *, budget: int, in_use: frozenset[str]
) -> tuple[str, ...]:
    """Digests to drop, least recently used first, until the rest fits `budget` bytes or is in use."""
    excess = sum(image.size for image in images.values()) - budget
    dropped: list[str] = []
    for digest, image in sorted(images.items(), key=lambda item: (item[1].used_at, item[0])):
        if excess <= 0:
            break
        if digest not in in_use:
            dropped.append(digest)
            excess -= image.size
    return tuple(dropped)


class ImageStore(Protocol):
    """The part of a `Runtime` that this module needs."""

    def has_image(self, digest: str) -> bool:
        """Tell whether the image is there."""

    def image_size(self, digest: str) -> int:
        """Its unpacked bytes."""

    def load_image(self, archive: Path, digest: str) -> None:
        """Load and verify an archive."""

    def remove_image(self, digest: str) -> None:
        """Drop what `load_image` loaded."""


class ImageCache:
    """Images by config digest; `record` is the file that remembers them between runs."""

    def __init__(self, store: ImageStore, *, record: Path, budget: int) -> None:
        self._store = store
        self._record = record
        self._budget = budget
        self._images = _load(record)

    def has(self, digest: str) -> bool:
        """Tell whether a job with this image can start without a transfer."""
        return self._store.has_image(digest)

    def add(self, archive: Path, digest: str, *, at: int, in_use: frozenset[str]) -> None:
        """Load an archive, then drop others until the budget holds.

        `Rejected("image-too-large")` where the archive alone is beyond the budget.
        """
        if archive.stat().st_size > self._budget:
            raise Rejected(
                "image-too-large",
                f"The image archive is larger than the {self._budget} bytes kept for images.",
                "Send a smaller image, or lend more space for images.",
            )
        # Written down first: an image loaded just before a crash must not be kept for ever.
        self._note(digest, archive.stat().st_size, at)
        try:
            self._store.load_image(archive, digest)
        except MarketError:
            self._forget(digest)
            raise
        self._note(digest, self._store.image_size(digest), at)
        self.shrink(in_use | {digest})

    def touch(self, digest: str, *, at: int) -> None:
        """Note that a lease uses the image; of no effect for the owner's own images."""
        if digest in self._images:
            self._note(digest, self._images[digest].size, at)

    def shrink(self, in_use: frozenset[str]) -> tuple[str, ...]:
        """Drop what the budget does not hold; says what was dropped."""
        dropped = plan_eviction(self._images, budget=self._budget, in_use=in_use)
        for digest in dropped:
            self._store.remove_image(digest)
            self._forget(digest)
        return dropped

    def _note(self, digest: str, size: int, at: int) -> None:
        self._images[digest] = CachedImage(size=size, used_at=at)
        self._save()

    def _forget(self, digest: str) -> None:
        del self._images[digest]
        self._save()

    def _save(self) -> None:
        text = json.dumps({digest: [image.size, image.used_at] for digest, image in self._images.items()})
        unfinished = self._record.with_suffix(".new")
        unfinished.write_text(text)
        os.replace(unfinished, self._record)


def _load(record: Path) -> dict[str, CachedImage]:
    try:
        rows = json.loads(record.read_text())
        return {
            str(digest): CachedImage(size=int(size), used_at=int(used_at))
            for digest, (size, used_at) in rows.items()
        }
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        # Lost, the record costs disk space and nothing else: unknown images are never dropped.
        return {}
