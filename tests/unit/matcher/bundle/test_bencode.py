"""Bencode: one spelling for each value, and a reader that takes no other."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from matcher.bundle.bencode import MOST_DEPTH, decode, encode

items = st.recursive(
    st.integers(-(1 << 256), 1 << 256) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)


@given(items)
def test_what_is_spelled_is_read_back(item: object) -> None:
    assert decode(encode(item)) == item  # type: ignore[arg-type]


@given(st.binary(max_size=60))
def test_whatever_is_read_has_just_that_spelling(raw: bytes) -> None:
    with suppress(Rejected):
        assert encode(decode(raw)) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"i",
        b"ie",
        b"i1",
        b"i01e",
        b"i-0e",
        b"i1.5e",
        b"i 1e",
        b"i" + b"9" * 200 + b"e",
        b"3:ab",
        b"03:abc",
        b"-1:",
        b"99999999999999:a",
        b"l",
        b"li1e",
        b"i1ei2e",
        b"d1:ai1ee",
        b"l" * (MOST_DEPTH + 1) + b"e" * (MOST_DEPTH + 1),
    ],
)
def test_any_other_spelling_is_refused(raw: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        decode(raw)
    assert refusal.value.code == "bundle-malformed"
