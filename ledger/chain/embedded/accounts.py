"""What accounts hold after a block: py-evm's account trie behind plain bytes and integers."""

from eth.abc import AtomicDatabaseAPI, BlockHeaderAPI
from eth.db.account import AccountDB
from eth_typing import Address


class Accounts:
    """The accounts in the state that `header` names; unknown addresses are empty accounts."""

    def __init__(self, database: AtomicDatabaseAPI, header: BlockHeaderAPI) -> None:
        self._accounts = AccountDB(database, header.state_root)

    def nonce(self, address: bytes) -> int:
        """How many transactions (for a contract: creations) the account has made."""
        return self._accounts.get_nonce(Address(address))

    def balance(self, address: bytes) -> int:
        """Coin, in wei."""
        return self._accounts.get_balance(Address(address))

    def code(self, address: bytes) -> bytes:
        """Runtime code, empty for a plain account."""
        return bytes(self._accounts.get_code(Address(address)))

    def storage(self, address: bytes, slot: int) -> int:
        """One storage word."""
        return self._accounts.get_storage(Address(address), slot)
