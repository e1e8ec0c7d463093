"""What accounts hold and what a call would do, at any block whose state is kept and at the pending one."""

from collections.abc import Callable

from ledger.chain.embedded import calls, estimates, formatting, parameters
from ledger.chain.embedded.block_references import is_pending
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.estimates import TouchingVM
from ledger.chain.embedded.formatting import Json
from ledger.chain.embedded.proofs import AccountProof, prove
from ledger.chain.embedded.rpc_error import invalid
from ledger.chain.embedded.settings import Settings

_MAX_SLOTS = 1_024


class StateMethods:
    """Bound to one chain."""

    def __init__(self, chain: EmbeddedChain, settings: Settings) -> None:
        self._chain = chain
        self._settings = settings

    def table(self) -> dict[str, Callable[..., object]]:
        """Method names and what answers them."""
        return {
            "eth_getBalance": self.balance,
            "eth_getCode": self.code,
            "eth_getStorageAt": self.storage_at,
            "eth_getTransactionCount": self.transaction_count,
            "eth_getProof": self.proof,
            "eth_call": self.call,
            "eth_estimateGas": self.estimate_gas,
            "eth_createAccessList": self.create_access_list,
        }

    def balance(self, address: object, block: object = "latest") -> str:
        """An account's coin, in wei."""
        account = parameters.address(address)
        return hex(self._settings.accounts(block).balance(account))

    def code(self, address: object, block: object = "latest") -> str:
        """An account's code."""
        account = parameters.address(address)
        return formatting.data(self._settings.accounts(block).code(account))

    def storage_at(self, address: object, slot: object, block: object = "latest") -> str:
        """One storage word of an account."""
        account, place = parameters.address(address), parameters.quantity(slot, "slot")
        word = self._settings.accounts(block).storage(account, place)
        return formatting.data(word.to_bytes(32, "big"))

    def transaction_count(self, address: object, block: object = "latest") -> str:
        """An account's nonce; `pending` counts its waiting transactions too."""
        account = parameters.address(address)
        if is_pending(block):
            return hex(self._chain.next_nonce(account))
        return hex(self._settings.accounts(block).nonce(account))

    def proof(self, address: object, slots: object, block: object = "latest") -> Json:
        """EIP-1186: an account, storage words, and the trie nodes that prove them."""
        account = parameters.address(address)
        if not isinstance(slots, list) or len(slots) > _MAX_SLOTS:
            raise invalid(f"storage keys must be a list of at most {_MAX_SLOTS}")
        places = [parameters.quantity(slot, "storage key") for slot in slots]
        setting = self._settings.at(block)
        proven = prove(setting.database, setting.header.state_root, account, places)
        return _proof(account, proven, [str(slot) for slot in slots])

    def call(
        self, request: object, block: object = "latest", state: object = None, header: object = None
    ) -> str:
        """The output of a call, under state and block overrides; error 3 with the data of a revert."""
        wanted = parameters.call(request)
        opened = self._settings.state(wanted, block, header=header, accounts=state)
        return formatting.data(calls.call(opened, wanted))

    def estimate_gas(
        self, request: object, block: object = "latest", state: object = None, header: object = None
    ) -> str:
        """A gas limit that suffices, under overrides as for `eth_call`."""
        wanted = parameters.call(request)
        opened = self._settings.state(wanted, block, header=header, accounts=state)
        return hex(estimates.estimate_gas(opened, wanted))

    def create_access_list(self, request: object, block: object = "latest") -> Json:
        """EIP-2930's list of what a call touches, and the gas it uses with it."""
        wanted = parameters.call(request)
        opened = self._settings.state(wanted, block, vm=TouchingVM)
        listed, used, error = estimates.access_list(opened, wanted)
        shown: Json = {"accessList": formatting.access_list(listed), "gasUsed": hex(used)}
        return shown if error is None else {**shown, "error": error}


def _proof(address: bytes, proven: AccountProof, keys: list[str]) -> Json:
    slots = zip(keys, proven.slots, strict=True)
    return {
        "address": formatting.data(address),
        "balance": hex(proven.balance),
        "nonce": hex(proven.nonce),
        "codeHash": formatting.data(proven.code_hash),
        "storageHash": formatting.data(proven.storage_root),
        "accountProof": [formatting.data(node) for node in proven.nodes],
        "storageProof": [
            {"key": key, "value": hex(slot.value), "proof": [formatting.data(node) for node in slot.nodes]}
            for key, slot in slots
        ],
    }
