"""A bloom filter never denies what a block holds (checked against the one that py-evm fills)."""

from eth_bloom.bloom import BloomFilter
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.blooms import may_hold
from ledger.market.identity import Address

addresses = st.binary(min_size=20, max_size=20).map(Address)


@given(st.lists(addresses, max_size=5), addresses)
def test_it_says_what_the_filter_says(held: list[Address], asked: Address) -> None:
    bloom = BloomFilter.from_iterable(held)
    raw = int(bloom).to_bytes(256, "big")
    assert all(may_hold(raw, one) for one in held)
    assert may_hold(raw, asked) == (asked in bloom)


def test_an_empty_filter_holds_nothing() -> None:
    assert not may_hold(bytes(256), Address(bytes(20)))
    assert not may_hold(b"", Address(bytes(20)))
