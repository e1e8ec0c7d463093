"""A map whose root hash commits to all of it, kept in pages, so that an epoch costs what changed in it.

The pages form a trie over the hashes of the keys: a leaf holds up to `LEAF` entries in the order of their
keys, what is more is split into sixteen. The shape follows from the entries alone. Pages are named by their
SHA-256 and shared by all epochs in which they are the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Never

from ledger.market.errors import Rejected
from ledger.market.identity import Digest, text
from matcher.bundle.bencode import Item, bytes_item, decode, encode

LEAF = 32
"""entries of a leaf at most"""
_FANOUT = 16
_DEEPEST = 64
Fetch = Callable[[Digest], bytes]
"""a page's bytes by its name"""


@dataclass(slots=True)
class _Node:
    """A leaf while `children` is None. `name` is the hash of its page, None since it changed; `sealed` the
    last one that was told."""

    entries: dict[bytes, bytes] = field(default_factory=dict)
    children: "list[_Node | None] | None" = None
    count: int = 0
    name: Digest | None = None
    sealed: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The root after some changes, the pages that are new with it, and the names of those that left."""

    root: Digest
    new: dict[Digest, bytes]
    gone: frozenset[Digest]


class HashTree:
    """`kind` is part of every page, so that two maps never share one."""

    def __init__(self, kind: str) -> None:
        self._kind = bytes_item(kind.encode())
        self._values: dict[bytes, bytes] = {}
        self._root = _Node()
        self._left: set[Digest] = set()

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[bytes]:
        """The keys as of now."""
        return iter(tuple(self._values))

    def put(self, key: bytes, value: bytes) -> None:
        """Set one entry; `value` is spelled already."""
        known = self._values.get(key)
        if known != value:
            self._values[key] = value
            self._set(self._root, key, sha256(key).hexdigest(), 0, known is None)

    def drop(self, key: bytes) -> None:
        """Take one entry out; an unknown one changes nothing."""
        if self._values.pop(key, None) is not None:
            self._take(self._root, key, sha256(key).hexdigest(), 0)

    def _set(self, node: _Node, key: bytes, path: str, depth: int, is_new: bool) -> None:
        node.name = None
        node.count += is_new
        if node.children is not None:
            number = int(path[depth], 16)
            child = node.children[number]
            if child is None:
                child = node.children[number] = _Node()
            self._set(child, key, path, depth + 1, is_new)
            return
        node.entries[key] = self._values[key]
        if node.count > LEAF and depth < _DEEPEST:
            self._split(node, depth)

    def _split(self, node: _Node, depth: int) -> None:
        entries, node.entries = node.entries, {}
        node.children = [None] * _FANOUT
        node.count = 0
        for key in entries:
            self._set(node, key, sha256(key).hexdigest(), depth, is_new=True)

    def _take(self, node: _Node, key: bytes, path: str, depth: int) -> None:
        node.name = None
        node.count -= 1
        if node.children is None:
            del node.entries[key]
            return
        number = int(path[depth], 16)
        child = node.children[number]
        assert child is not None
        self._take(child, key, path, depth + 1)
        if not child.count:
            self._leave(child)
            node.children[number] = None
        if node.count <= LEAF:
            self._merge(node)

    def _merge(self, node: _Node) -> None:
        for child in node.children or ():
            if child is not None:
                # Each child holds no more than its parent, so it is a leaf already.
                node.entries.update(child.entries)
                self._leave(child)
        node.children = None

    def _leave(self, node: _Node) -> None:
        if node.sealed is not None:
            self._left.add(node.sealed)

    def seal(self) -> Sealed:
        """Name what changed since the last call."""
        new: dict[Digest, bytes] = {}
        root = self._seal(self._root, new)
        gone, self._left = frozenset(self._left - new.keys()), set()
        return Sealed(root=root, new=new, gone=gone)

    def _seal(self, node: _Node, new: dict[Digest, bytes]) -> Digest:
        if node.name is not None:
            return node.name
        page = self._page(node, new)
        node.name = Digest(sha256(page).digest())
        if node.name != node.sealed:
            self._leave(node)
            new[node.name] = page
            node.sealed = node.name
        return node.name

    def _page(self, node: _Node, new: dict[Digest, bytes]) -> bytes:
        if node.children is None:
            entries = sorted(node.entries.items())
            body = b"".join(b"%d:%b%b" % (len(key), key, value) for key, value in entries)
            return b"l4:leaf%bl%bee" % (self._kind, body)
        names = (b"0:" if one is None else b"32:" + self._seal(one, new) for one in node.children)
        return b"l4:fork%bl%bee" % (self._kind, b"".join(names))

    def pages(self) -> dict[Digest, bytes]:
        """All pages as of the last `seal`, by their names."""
        found: dict[Digest, bytes] = {}
        for node in self._nodes(self._root):
            assert node.name is not None
            found[node.name] = self._page(node, found)
        return found

    def _nodes(self, node: _Node) -> Iterator[_Node]:
        yield node
        for child in node.children or ():
            if child is not None:
                yield from self._nodes(child)


def entries_of(kind: str, root: Digest, fetch: Fetch) -> dict[bytes, Item]:
    """The map under a root, each value as the item that it spells.

    `Rejected` "page-altered" where a page is not what its name says, "bundle-malformed" where the pages are
    no map of this kind in the one shape that its entries have.
    """
    found: dict[bytes, Item] = {}
    _gather(kind.encode(), root, fetch, found)
    tree = HashTree(kind)
    for key, value in found.items():
        tree.put(key, encode(value))
    if tree.seal().root != root:
        _malformed(root)
    return found


def children(page: bytes) -> list[Digest]:
    """The names of the pages that a page points to."""
    match decode(page):
        case [b"fork", _, list(names)]:
            return [Digest(name) for name in names if isinstance(name, bytes) and name]
        case _:
            return []


def checked(name: Digest, page: bytes) -> bytes:
    """The page, where its bytes have that hash; `Rejected` "page-altered" otherwise."""
    if sha256(page).digest() != name:
        raise Rejected(
            "page-altered",
            f"The page {text(name)} has other bytes than its name says.",
            "Do not trust this copy; fetch the bundle from somebody else.",
            page=text(name),
        )
    return page


def _gather(kind: bytes, root: Digest, fetch: Fetch, found: dict[bytes, Item]) -> None:
    """Each page once: pages that point to one another's children would otherwise never end."""
    waiting, seen = [root], {root}
    while waiting:
        name = waiting.pop()
        match decode(checked(name, fetch(name))):
            case [b"leaf", bytes(named), list(items)] if named == kind and len(items) % 2 == 0:
                for key, value in zip(items[::2], items[1::2], strict=True):
                    if not isinstance(key, bytes):
                        _malformed(name)
                    found[key] = value
            case [b"fork", bytes(named), list(names)] if named == kind:
                for child in names:
                    if not isinstance(child, bytes) or len(child) not in (0, 32) or child in seen:
                        _malformed(name)
                    if child:
                        seen.add(Digest(child))
                        waiting.append(Digest(child))
            case _:
                _malformed(name)


def _malformed(name: Digest) -> Never:
    raise Rejected(
        "bundle-malformed", f"The page {text(name)} is no part of such a map.", "Fetch the bundle again."
    )
