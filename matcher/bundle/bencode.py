"""Bencode: the one spelling of every value in a bundle, so that equal values are equal bytes on every host.

Integers, byte strings and lists, no floats; anybody can read it with a library of any language. The reader is
strict: what it takes, `encode` gives back byte for byte.
"""

from typing import Never, TypeAlias

from ledger.market.errors import Rejected

Item: TypeAlias = "int | bytes | list[Item]"
MOST_DEPTH = 32
"""lists inside lists; a bundle needs 8"""
_MOST_DIGITS = 80
"""of an integer: 256 bits have 78"""


def encode(item: Item) -> bytes:
    """The bytes of an item."""
    match item:
        case bytes():
            return bytes_item(item)
        case list():
            return b"l" + b"".join(map(encode, item)) + b"e"
        case _:
            return b"i%de" % item


def bytes_item(value: bytes) -> bytes:
    """A byte string, spelled."""
    return b"%d:%b" % (len(value), value)


def decode(raw: bytes) -> Item:
    """The item behind exactly these bytes; `Rejected` "bundle-malformed" where they are not canonical."""
    item, end = _item(raw, 0, 0)
    if end != len(raw):
        _malformed(end)
    return item


def _item(raw: bytes, start: int, depth: int) -> tuple[Item, int]:
    kind = raw[start : start + 1]
    if kind == b"i":
        end = raw.find(b"e", start, start + _MOST_DIGITS + 2)
        return _number(raw[start + 1 : max(end, 0)], start), end + 1
    if kind == b"l" and depth < MOST_DEPTH:
        return _list(raw, start + 1, depth + 1)
    if kind.isdigit():
        colon = raw.find(b":", start, start + 12)
        size = _number(raw[start : max(colon, 0)], start)
        end = colon + 1 + size
        if size >= 0 and end <= len(raw):
            return raw[colon + 1 : end], end
    return _malformed(start)


def _list(raw: bytes, start: int, depth: int) -> tuple[Item, int]:
    items: list[Item] = []
    while raw[start : start + 1] != b"e":
        item, start = _item(raw, start, depth)
        items.append(item)
    return items, start + 1


def _number(digits: bytes, at: int) -> int:
    unsigned = digits.removeprefix(b"-")
    if not unsigned.isdigit() or b"%d" % int(digits) != digits:
        _malformed(at)
    return int(digits)


def _malformed(at: int) -> Never:
    raise Rejected(
        "bundle-malformed",
        f"The bytes are no canonical bencode at byte {at}.",
        "Fetch the bundle again.",
        byte=at,
    )
