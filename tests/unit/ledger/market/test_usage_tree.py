"""One root stands for all lines of a lease, and for no others."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import NO_DIGEST, LeaseId
from ledger.market.usage_tree import (
    LONGEST_PATH,
    NO_LINES,
    UsageLine,
    UsageProof,
    UsageTree,
    leaf,
    prove,
)
from tests.factories import a_digest

LEASE = LeaseId(a_digest("lease"))
LENGTHS = st.integers(1, 70)


def hashed(data: bytes) -> bytes:
    """Any hash does; the chain's is not in the standard library."""
    return sha256(data).digest()


def a_line(sequence: int = 0, **changes: Any) -> UsageLine:
    line = UsageLine(
        lease=LEASE,
        sequence=sequence,
        milliseconds=sequence * 1_000,
        cpu_ns=sequence * 7,
        peak_bytes=9,
        last=False,
    )
    return replace(line, **changes)


def some_lines(count: int) -> list[UsageLine]:
    return [a_line(number) for number in range(count)]


def tree_of(lines: list[UsageLine]) -> UsageTree:
    tree = NO_LINES
    for line in lines:
        tree = tree.followed_by(line, hashed)
    return tree


def textbook_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashed(b"\1" + textbook_root(leaves[:split]) + textbook_root(leaves[split:]))


def test_a_line_is_fixed_to_the_byte() -> None:
    line = a_line(3, milliseconds=5, cpu_ns=6, peak_bytes=7, last=True)
    numbers = b"".join(number.to_bytes(8, "big") for number in (3, 5, 6, 7))
    assert line.encoded() == b"bingwang/usage/2" + LEASE + numbers + b"\1"
    assert leaf(line, hashed) == hashed(b"\0" + line.encoded())


@pytest.mark.parametrize("field", ["sequence", "milliseconds", "cpu_ns", "peak_bytes"])
@pytest.mark.parametrize("value", [-1, 1 << 63, True])
def test_a_line_out_of_range_cannot_be_built(field: str, value: int) -> None:
    with pytest.raises(Rejected):
        a_line(**{field: value})


@pytest.mark.parametrize("changes", [{"last": 1}, {"lease": b"short"}])
def test_a_line_of_another_form_cannot_be_built(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        a_line(**changes)


def test_no_lines_have_no_evidence() -> None:
    assert NO_LINES.root(hashed) == NO_DIGEST


@given(count=LENGTHS)
def test_a_root_that_grew_line_by_line_is_the_textbooks(count: int) -> None:
    lines = some_lines(count)
    assert tree_of(lines).root(hashed) == textbook_root([leaf(line, hashed) for line in lines])


@given(count=LENGTHS, data=st.data())
def test_every_line_is_proven_to_the_root(count: int, data: st.DataObject) -> None:
    lines = some_lines(count)
    sequence = data.draw(st.integers(0, count - 1))
    proof = prove(lines, sequence, hashed)
    assert proof.line == lines[sequence]
    assert proof.root(hashed) == tree_of(lines).root(hashed)


CHANGES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"milliseconds": st.integers(10**6, 10**7)}),
    st.fixed_dictionaries({"cpu_ns": st.integers(10**6, 10**7)}),
    st.fixed_dictionaries({"peak_bytes": st.integers(10**6, 10**7)}),
    st.fixed_dictionaries({"last": st.just(True)}),
    st.fixed_dictionaries({"lease": st.just(LeaseId(a_digest("other")))}),
)


@given(count=LENGTHS, changes=CHANGES, data=st.data())
def test_an_altered_line_is_not(count: int, changes: dict[str, Any], data: st.DataObject) -> None:
    lines = some_lines(count)
    proof = prove(lines, data.draw(st.integers(0, count - 1)), hashed)
    forged = replace(proof, line=replace(proof.line, **changes))
    assert forged.root(hashed) != tree_of(lines).root(hashed)


@given(count=st.integers(2, 70), data=st.data())
def test_nor_is_a_line_under_another_number(count: int, data: st.DataObject) -> None:
    lines = some_lines(count)
    proof = prove(lines, data.draw(st.integers(0, count - 1)), hashed)
    other = data.draw(st.integers(0, count - 1).filter(lambda number: number != proof.line.sequence))
    assert not holds(replace(proof, line=replace(proof.line, sequence=other)), lines)


@given(count=st.integers(2, 70), data=st.data())
def test_nor_with_an_altered_path(count: int, data: st.DataObject) -> None:
    lines = some_lines(count)
    proof = prove(lines, data.draw(st.integers(0, count - 1)), hashed)
    at = data.draw(st.integers(0, len(proof.path) - 1))
    flipped = bytes([proof.path[at][0] ^ 1]) + proof.path[at][1:]
    for path in (
        (*proof.path[:at], flipped, *proof.path[at + 1 :]),
        (*proof.path[:at], *proof.path[at + 1 :]),
        (*proof.path, bytes(32)),
    ):
        assert not holds(replace(proof, path=path), lines)


def holds(proof: UsageProof, lines: list[UsageLine]) -> bool:
    try:
        return proof.root(hashed) == tree_of(lines).root(hashed)
    except Rejected:
        return False


def test_a_node_cannot_pass_for_a_line() -> None:
    lines = some_lines(4)
    proof = prove(lines, 0, hashed)
    beside, above = proof.path
    inner = hashed(b"\1" + leaf(lines[0], hashed) + beside)
    assert hashed(b"\1" + inner + above) == tree_of(lines).root(hashed)
    assert hashed(b"\0" + leaf(lines[0], hashed) + beside) != inner


@pytest.mark.parametrize(
    "changes",
    [{"lines": 0}, {"lines": -1}, {"path": (b"short",)}, {"path": (bytes(32),) * (LONGEST_PATH + 1)}],
)
def test_a_proof_of_another_form_cannot_be_built(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        replace(prove(some_lines(2), 0, hashed), **changes)


@given(count=st.integers(1, 40), kept=st.integers(0, 39), changes=CHANGES)
def test_a_later_root_binds_every_line_before_it(count: int, kept: int, changes: dict[str, Any]) -> None:
    """Who changes a line that was signed for comes to another root, however the lines go on."""
    lines = some_lines(count)
    at = min(kept, count - 1)
    forged = [*lines[:at], replace(lines[at], **changes), *lines[at + 1 :]]
    roots = [textbook_root([leaf(line, hashed) for line in some[: at + 1]]) for some in (lines, forged)]
    assert roots[0] != roots[1]
    assert textbook_root([leaf(x, hashed) for x in forged]) != tree_of(lines).root(hashed)


@pytest.mark.parametrize("sequence", [0, 1, 3])
def test_only_the_next_line_follows(sequence: int) -> None:
    tree = tree_of(some_lines(2))
    with pytest.raises(LostRace) as caught:
        tree.followed_by(a_line(sequence), hashed)
    assert (caught.value.code, caught.value.facts["held"]) == ("usage-lines-differ", 2)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"milliseconds": 999}, "usage-falls"),
        ({"lease": LeaseId(a_digest("other"))}, "other-lease"),
    ],
)
def test_what_no_lease_would_report_does_not_follow(changes: dict[str, Any], code: str) -> None:
    tree = tree_of(some_lines(2))
    with pytest.raises(Rejected) as caught:
        tree.followed_by(a_line(2, **changes), hashed)
    assert caught.value.code == code


def test_nothing_follows_a_last_line() -> None:
    tree = tree_of([a_line(0, last=True)])
    with pytest.raises(Rejected) as caught:
        tree.followed_by(a_line(1), hashed)
    assert caught.value.code == "usage-ended"


def test_a_last_line_may_say_what_a_termination_left() -> None:
    tree = tree_of(some_lines(2)).followed_by(a_line(2, milliseconds=10, last=True), hashed)
    assert tree.newest == a_line(2, milliseconds=10, last=True)
