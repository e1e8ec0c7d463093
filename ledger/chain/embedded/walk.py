"""Walks a state from its root, to copy it or to prove that it is whole.

Every node is checked against its hash on the way: a damaged byte is found where it lies.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import rlp
from eth.constants import BLANK_ROOT_HASH, EMPTY_SHA3
from eth_hash.auto import keccak

from ledger.chain.embedded.state import ACCOUNTS, CODE, storage_owner
from ledger.market.errors import Broken

Read = Callable[[bytes], bytes | None]
Item: TypeAlias = "bytes | list[Item]"
"""decoded RLP"""
_BRANCH = 17
_HASH_BYTES = 32
_LEAF_FLAG = 2
_ODD_FLAG = 1


class Node(NamedTuple):
    """One node of a state, or a contract's code: which trie has it, its hash and content."""

    owner: bytes
    hash: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class _Step:
    """A trie's node still to be looked at; `path` is the hexadecimal of the key so far."""

    owner: bytes
    hash: bytes
    path: str


def state_nodes(read: Read, root: bytes, known: Set[tuple[bytes, bytes]] = frozenset()) -> Iterator[Node]:
    """Every node and code below `root`, but for what hangs below the `known` (owner, hash).

    `Broken` where one is missing or differs from its hash.
    """
    codes: set[bytes] = set()
    waiting = [] if root == BLANK_ROOT_HASH else [_Step(ACCOUNTS, root, "")]
    while waiting:
        step = waiting.pop()
        if (step.owner, step.hash) in known:
            continue
        value = _checked(read, step.hash)
        yield Node(step.owner, step.hash, value)
        for path, leaf in _expand(rlp.decode(value), step, waiting):
            if step.owner == ACCOUNTS:
                yield from _account(read, path, leaf, waiting, codes)


def _account(read: Read, path: str, leaf: bytes, waiting: list[_Step], codes: set[bytes]) -> Iterator[Node]:
    _, _, storage_root, code_hash = rlp.decode(leaf)
    if storage_root != BLANK_ROOT_HASH:
        waiting.append(_Step(storage_owner(bytes.fromhex(path)), storage_root, ""))
    if code_hash != EMPTY_SHA3 and code_hash not in codes:
        codes.add(code_hash)
        yield Node(CODE, code_hash, _checked(read, code_hash))


def _expand(node: Sequence[Item], step: _Step, waiting: list[_Step]) -> Iterator[tuple[str, bytes]]:
    """The leaves in the node itself, by the key's hexadecimal; what lies in nodes of their own is queued."""
    if len(node) == _BRANCH:
        for nibble, child in enumerate(node[:16]):
            yield from _follow(child, step, f"{step.path}{nibble:x}", waiting)
        return
    way, end = node
    assert isinstance(way, bytes), "a path is bytes"
    flag = way[0] >> 4
    path = step.path + way.hex()[1 if flag & _ODD_FLAG else 2 :]
    if flag & _LEAF_FLAG:
        assert isinstance(end, bytes), "a leaf's value is bytes"
        yield path, end
    else:
        yield from _follow(end, step, path, waiting)


def _follow(child: Item, step: _Step, path: str, waiting: list[_Step]) -> Iterator[tuple[str, bytes]]:
    if isinstance(child, list):
        yield from _expand(child, _Step(step.owner, step.hash, path), waiting)
    elif len(child) == _HASH_BYTES:
        waiting.append(_Step(step.owner, child, path))


def _checked(read: Read, key: bytes) -> bytes:
    value = read(key)
    if value is None or keccak(value) != key:
        fault = "is missing" if value is None else "is damaged"
        raise Broken(
            "chain-state-damaged",
            f"The state node 0x{key.hex()} {fault}.",
            "Restore the chain from a backup.",
            node=f"0x{key.hex()}",
        )
    return value
