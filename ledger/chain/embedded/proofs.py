"""Merkle proofs of accounts and storage (EIP-1186), for clients that trust a state root and nobody else."""

from collections.abc import Sequence
from dataclasses import dataclass

import rlp
from eth.abc import AtomicDatabaseAPI
from eth.constants import BLANK_ROOT_HASH, EMPTY_SHA3
from eth.rlp.accounts import Account
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

_HASH_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotProof:
    """One storage word and the trie nodes from the storage root to it, or to where it would be."""

    slot: int
    value: int
    nodes: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountProof:
    """An account, the nodes from the state root to it, and proofs of the slots that were asked for."""

    balance: int
    nonce: int
    code_hash: bytes
    storage_root: bytes
    nodes: Sequence[bytes]
    slots: Sequence[SlotProof]


def prove(database: AtomicDatabaseAPI, root: bytes, address: bytes, slots: Sequence[int]) -> AccountProof:
    """The proof of `address` under the state root; an account that is not there is proven absent."""
    body, nodes = _walk(database, root, keccak(address))
    account = rlp.decode(body, sedes=Account) if body else Account()
    return AccountProof(
        balance=account.balance,
        nonce=account.nonce,
        code_hash=bytes(account.code_hash) if body else EMPTY_SHA3,
        storage_root=bytes(account.storage_root) if body else BLANK_ROOT_HASH,
        nodes=nodes,
        slots=[_slot(database, bytes(account.storage_root), slot) for slot in slots],
    )


def _slot(database: AtomicDatabaseAPI, root: bytes, slot: int) -> SlotProof:
    body, nodes = _walk(database, root, keccak(slot.to_bytes(32, "big")))
    value = rlp.decode(body) if body else b""
    return SlotProof(slot=slot, value=int.from_bytes(value, "big"), nodes=nodes)


def _walk(database: AtomicDatabaseAPI, root: bytes, key: bytes) -> tuple[bytes, list[bytes]]:
    if root == BLANK_ROOT_HASH:
        return b"", []
    trie = HexaryTrie(database, root)
    encoded = [rlp.encode(node) for node in trie.get_proof(key)]  # type: ignore[no-untyped-call]
    # A node shorter than its hash lies in its parent and is no node of its own; the root always is one.
    nodes = [node for place, node in enumerate(encoded) if not place or len(node) >= _HASH_BYTES]
    return bytes(trie.get(key)), nodes
