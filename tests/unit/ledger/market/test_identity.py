"""Names of things: exact lengths, and one text form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.identity import address, digest, from_text, text


@given(raw=st.binary(max_size=40))
def test_the_text_form_comes_back_as_the_same_bytes(raw: bytes) -> None:
    assert from_text(text(raw), len(raw)) == raw
    with pytest.raises(Rejected):
        from_text(text(raw), len(raw) + 1)


def test_upper_case_digits_are_read() -> None:
    assert from_text("0XAbCd", 2) == b"\xab\xcd"


@pytest.mark.parametrize(
    "value", ["", "abcd", "0x", "0xabc", "0xabcg", "0xab cd", "0x ab", "0xab\n", "0xabcdef"]
)
def test_what_is_not_exactly_hexadecimal_is_refused(value: str) -> None:
    with pytest.raises(Rejected, match="hexadecimal"):
        from_text(value, 2)


def test_addresses_and_digests_have_their_lengths() -> None:
    assert address(bytes(20)) == bytes(20)
    assert digest(bytes(32)) == bytes(32)
    with pytest.raises(Rejected):
        address(bytes(32))
    with pytest.raises(Rejected):
        digest(bytes(20))
