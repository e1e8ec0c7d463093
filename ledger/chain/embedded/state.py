"""Which trie nodes a block made and which it replaced, so that old state can be dropped without a search.

py-evm knows both while it folds a block, and forgets the second. A trie's nodes are told apart by their
owner (the account trie, one account's storage, code): content alone does not say whose a node is, and two
accounts with equal storage share every hash. Within one trie a node has one place only, because its key's
keccak is in it, so a node that its trie replaced is needed by earlier states alone.

A write that changes nothing is left out before it reaches a trie: py-evm would count the nodes on its path
as replaced though they stay. (It also saves the work.)
"""

from dataclasses import dataclass

from eth.abc import AccountStorageDatabaseAPI, AtomicDatabaseAPI, DatabaseAPI, MetaWitnessAPI
from eth.db.account import AccountDB
from eth.db.cache import CacheDB
from eth.db.diff import DBDiff, DBDiffTracker
from eth.db.journal import JournalDB
from eth.db.storage import AccountStorageDB
from eth.vm.forks.prague.state import PragueState
from eth_hash.auto import keccak
from eth_typing import Address, Hash32

from ledger.chain.embedded.computation import CompilingComputation
from ledger.chain.embedded.database import OverlayDatabase

ACCOUNTS = b""
"""owner of the account trie's nodes"""
CODE = b"code"
"""owner of contract code, which is never replaced and never dropped"""
_OWNER_BYTES = 20


def storage_owner(address_hash: bytes) -> bytes:
    """The owner of the storage of the account whose address has that keccak."""
    return address_hash[:_OWNER_BYTES]


class ChangesOnly(CacheDB):
    """A cache before a storage trie that passes on only what differs from the trie."""

    def __setitem__(self, key: bytes, value: bytes) -> None:
        if self[key] != value:
            super().__setitem__(key, value)

    def __delitem__(self, key: bytes) -> None:
        if self[key] != b"":
            super().__delitem__(key)


class ChangedStorage(AccountStorageDB):
    """py-evm's storage of one account, with `ChangesOnly` before its trie."""

    def __init__(self, db: AtomicDatabaseAPI, storage_root: Hash32, address: Address) -> None:
        super().__init__(db, storage_root, address)
        self._storage_cache = ChangesOnly(self._storage_lookup)
        self._locked_changes = JournalDB(self._storage_cache)
        self._journal_storage = JournalDB(self._locked_changes)


@dataclass(frozen=True, slots=True)
class _Recorder:
    database: OverlayDatabase

    def note(self, owner: bytes, diff: DBDiff) -> None:
        for key, value in diff.pending_items():
            self.database.note_written(owner, key, value)
        for key in diff.deleted_keys():
            self.database.note_replaced(owner, key)


class RecordingAccounts(AccountDB):
    """py-evm's accounts; over an `OverlayDatabase`, folding a block notes its nodes there by owner."""

    def __init__(self, db: AtomicDatabaseAPI, state_root: Hash32) -> None:
        super().__init__(db, state_root)
        self._recorder = _Recorder(db) if isinstance(db, OverlayDatabase) else None

    def _get_address_store(self, address: Address) -> AccountStorageDatabaseAPI:
        store = self._account_stores.get(address)
        if store is None:
            store = ChangedStorage(self._raw_store_db, self._get_storage_root(address), address)
            self._account_stores[address] = store
        return store

    def _apply_account_diff_without_proof(self, diff: DBDiff, trie: DatabaseAPI) -> None:
        changes = DBDiffTracker()
        for key, value in diff.pending_items():
            if self._trie_cache[key] != value:
                changes[key] = value
        for key in diff.deleted_keys():
            if self._trie_cache[key] != b"":
                del changes[key]
        super()._apply_account_diff_without_proof(changes.diff(), trie)

    def persist(self) -> MetaWitnessAPI:
        """As py-evm does, after the changes of every trie are noted."""
        self.make_state_root()
        if self._recorder is not None:
            self._note_changes(self._recorder)
        return super().persist()

    def _note_changes(self, recorder: _Recorder) -> None:
        for address, store in self._dirty_account_stores():
            batch = store._storage_lookup._trie_nodes_batch  # type: ignore[attr-defined]
            if batch is not None:
                recorder.note(storage_owner(keccak(address)), batch.diff())
        recorder.note(ACCOUNTS, self._batchtrie.diff())
        recorder.note(CODE, self._batchdb.diff())


class RecordingState(PragueState):
    """Prague's state over `RecordingAccounts`; its code runs compiled."""

    account_db_class = RecordingAccounts
    computation_class = CompilingComputation
