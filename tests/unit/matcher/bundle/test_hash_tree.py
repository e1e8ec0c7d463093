"""The hash tree: its root is a function of its entries, and only what changed is new."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.identity import Digest
from matcher.bundle.bencode import Item, encode
from matcher.bundle.hash_tree import LEAF, HashTree, entries_of

numbers = st.integers(0, 3 * LEAF)
steps = st.lists(st.tuples(numbers, st.none() | st.integers(0, 3)), max_size=200)


def key(number: int) -> bytes:
    return number.to_bytes(4, "big")


def apply(tree: HashTree, number: int, value: int | None) -> None:
    if value is None:
        tree.drop(key(number))
    else:
        tree.put(key(number), encode(value))


def filled(entries: dict[int, int], kind: str = "things") -> HashTree:
    tree = HashTree(kind)
    for number, value in entries.items():
        apply(tree, number, value)
    return tree


@given(steps, steps)
def test_the_root_and_pages_follow_from_the_entries_alone(
    first: list[tuple[int, int | None]], second: list[tuple[int, int | None]]
) -> None:
    tree = HashTree("things")
    entries: dict[int, int] = {}
    held: dict[Digest, bytes] = {}
    for some in (first, second):
        for number, value in some:
            apply(tree, number, value)
            if value is None:
                entries.pop(number, None)
            else:
                entries[number] = value
        sealed = tree.seal()
        held = {name: page for name, page in held.items() if name not in sealed.gone} | sealed.new
        again = filled(dict(reversed(entries.items())))
        assert (again.seal().root, again.pages()) == (sealed.root, held)
        assert tree.pages() == held
    found = entries_of("things", tree.seal().root, held.__getitem__)
    assert found == {key(number): value for number, value in entries.items()}


def test_one_change_among_many_costs_a_few_pages() -> None:
    tree = filled(dict.fromkeys(range(5_000), 1))
    tree.seal()
    tree.put(key(17), encode(2))
    sealed = tree.seal()
    assert len(sealed.new) == len(sealed.gone) <= 4
    tree.put(key(17), encode(2))
    assert (tree.seal().new, tree.seal().gone) == ({}, frozenset())


def test_two_kinds_never_share_a_page() -> None:
    one, other = filled({1: 1}, "things"), filled({1: 1}, "others")
    assert one.seal().root != other.seal().root
    with pytest.raises(Rejected) as refusal:
        entries_of("others", one.seal().root, one.pages().__getitem__)
    assert refusal.value.code == "bundle-malformed"


def named(pages: dict[Digest, bytes], item: Item) -> Digest:
    page = encode(item)
    name = Digest(sha256(page).digest())
    pages[name] = page
    return name


@pytest.mark.parametrize(
    "item",
    [
        [b"leaf", b"things", [b"key"]],
        [b"leaf", b"things", [1, 2]],
        [b"fork", b"things", [b"short"]],
        [b"fork", b"things", [b""] * 16],
        [b"twig", b"things", []],
        [b"leaf", b"things", [key(2), 1, key(1), 1]],
        [b"leaf", b"things", [key(1), 1, key(1), 2]],
        7,
    ],
)
def test_pages_that_are_no_such_map_are_refused(item: Item) -> None:
    pages: dict[Digest, bytes] = {}
    root = named(pages, item)
    with pytest.raises(Rejected) as refusal:
        entries_of("things", root, pages.__getitem__)
    assert refusal.value.code == "bundle-malformed"


def test_pages_that_multiply_without_end_are_refused_at_once() -> None:
    pages: dict[Digest, bytes] = {}
    name = named(pages, [b"leaf", b"things", []])
    for _ in range(60):
        name = named(pages, [b"fork", b"things", [name] * 16])
    with pytest.raises(Rejected):
        entries_of("things", name, pages.__getitem__)
