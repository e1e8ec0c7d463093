"""Chains: blocks of offers in buckets of one kind, and the room they need as offers come.

A bucket's key says what its offers have in common: the side, model tag, region, the lane whose ask orders
them, and a band of that ask; below 0 where it may be any.
"""

from typing import NamedTuple

import numpy as np

from matcher.index.blocks import clear_summary, insert, remove, rename
from matcher.index.layout import (
    BLOCK,
    H_BLOCKS,
    H_SPARE,
    HEADER,
    K_HEAD,
    K_LANE,
    K_MODEL,
    K_REGION,
    K_SIDE,
    LONGS,
    META,
    SIDES,
    WORDS,
    Array,
)

_FIRST_BLOCKS = 8
_FIRST_ROWS = 64


class BucketKey(NamedTuple):
    """What the offers of a bucket have in common."""

    side: int
    lane: int
    band: int
    model: int
    region: int


class Chains:
    """Rows are the owner's; a row is put once on each side and dropped before it is put again."""

    def __init__(self) -> None:
        self.words: Array = np.zeros((_FIRST_BLOCKS, WORDS, BLOCK), dtype=np.uint32)
        self.longs: Array = np.zeros((_FIRST_BLOCKS, LONGS, BLOCK), dtype=np.int64)
        self.blocks: Array = np.zeros((_FIRST_BLOCKS, META), dtype=np.int64)
        self.buckets: Array = np.zeros((_FIRST_BLOCKS, META), dtype=np.int64)
        self.places: Array = np.full((_FIRST_ROWS, SIDES), -1, dtype=np.int64)
        self.named: dict[BucketKey, int] = {}
        self._header: Array = np.zeros(HEADER, dtype=np.int64)
        self._header[H_SPARE] = -1

    def put(self, row: int, key: BucketKey, word: Array, long: Array) -> None:
        """Add a row: its columns in the order of `layout`."""
        if row >= len(self.places):
            self.places = np.concatenate((self.places, np.full_like(self.places, -1)))
        bucket = self.named.get(key)
        if bucket is None:
            bucket = self._new_bucket(key)
        if self._header[H_BLOCKS] + 2 > len(self.blocks):
            self._grow()
        insert(
            self.words,
            self.longs,
            self.blocks,
            self.buckets,
            self._header,
            self.places,
            bucket,
            word,
            long,
        )

    def drop(self, row: int, last: int) -> None:
        """Take a row out of both sides; the last one takes its number."""
        for side in range(SIDES):
            remove(
                self.words,
                self.longs,
                self.blocks,
                self.buckets,
                self._header,
                self.places,
                side,
                row,
            )
        if row != last:
            rename(self.words, self.places, last, row)

    def _grow(self) -> None:
        """By a half: an insertion needs a block for a new bucket, or one for a split."""
        more = max(_FIRST_BLOCKS, len(self.blocks) // 2)
        self.words = np.concatenate((self.words, np.zeros((more, WORDS, BLOCK), dtype=np.uint32)))
        self.longs = np.concatenate((self.longs, np.zeros((more, LONGS, BLOCK), dtype=np.int64)))
        self.blocks = np.concatenate((self.blocks, np.zeros((more, META), dtype=np.int64)))

    def _new_bucket(self, key: BucketKey) -> int:
        bucket = len(self.named)
        self.named[key] = bucket
        if bucket == len(self.buckets):
            self.buckets = np.concatenate((self.buckets, np.zeros_like(self.buckets)))
        clear_summary(self.buckets[bucket])
        self.buckets[bucket, K_HEAD] = -1
        self.buckets[bucket, [K_SIDE, K_LANE, K_MODEL, K_REGION]] = key.side, key.lane, key.model, key.region
        return bucket
