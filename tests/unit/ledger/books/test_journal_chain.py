"""The journal's digests: each stands for its entry and for every one before it."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.books.journal_chain import BEGINNING, digest_of

Entry = tuple[int, int, str, str, str]
entries = st.tuples(
    st.integers(0, 1 << 53),
    st.integers(0, 1 << 53),
    st.text(max_size=9),
    st.text(max_size=9),
    st.text(max_size=9),
)


def chained(told: list[Entry]) -> bytes:
    digest = BEGINNING
    for entry in told:
        digest = digest_of(digest, *entry)
    return digest


@given(st.lists(entries, min_size=1, max_size=5), entries)
def test_another_entry_anywhere_gives_another_digest(told: list[Entry], other: Entry) -> None:
    for place, entry in enumerate(told):
        changed = [*told[:place], other, *told[place + 1 :]]
        assert (chained(changed) == chained(told)) == (entry == other)


@given(st.lists(entries, min_size=2, max_size=5, unique=True))
def test_a_lost_or_moved_entry_gives_another_digest(told: list[Entry]) -> None:
    assert chained(told[1:]) != chained(told)
    assert chained(told[::-1]) != chained(told)


def test_a_field_does_not_grow_into_the_next() -> None:
    assert digest_of(BEGINNING, 1, 2, "ab", "c", "d") != digest_of(BEGINNING, 1, 2, "a", "bc", "d")
    assert digest_of(BEGINNING, 1, 23, "a", "b", "c") != digest_of(BEGINNING, 12, 3, "a", "b", "c")


def test_the_digest_is_the_one_that_older_journals_were_sealed_with() -> None:
    """A release that computes another would call every journal tampered with."""
    found = digest_of(BEGINNING, 1, 2, "Kind", "slot", "{}")
    assert found.hex() == "f10690077d8e3c2a1ceec848cf9e2f72492b414a6c31a039185045dc24a51344"
