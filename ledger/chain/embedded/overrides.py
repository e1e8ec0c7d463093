"""State and block overrides of `eth_call`: "what if", for the length of one call (go-ethereum's objects)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from eth.abc import BlockHeaderAPI, StateAPI
from eth_typing import Address

from ledger.chain.embedded import parameters
from ledger.chain.embedded.calls import Setting
from ledger.chain.embedded.rpc_error import invalid

_BLOCK_FIELDS: dict[str, tuple[str, Callable[[object], object]]] = {
    "number": ("block_number", lambda value: parameters.quantity(value, "number")),
    "time": ("timestamp", lambda value: parameters.quantity(value, "time")),
    "gasLimit": ("gas_limit", lambda value: parameters.quantity(value, "gasLimit")),
    "feeRecipient": ("coinbase", lambda value: parameters.address(value, "feeRecipient")),
    "prevRandao": ("mix_hash", lambda value: parameters.data(value, "prevRandao", 32)),
    "baseFeePerGas": ("base_fee_per_gas", lambda value: parameters.quantity(value, "baseFeePerGas")),
}
_ACCOUNT_FIELDS = frozenset({"balance", "nonce", "code", "state", "stateDiff"})


def override_block(setting: Setting, overrides: object) -> Setting:
    """The setting with other header fields."""
    fields = {}
    for name, value in _object(overrides, "block overrides").items():
        if name not in _BLOCK_FIELDS:
            raise invalid(f"block override {name} is not supported")
        field, read = _BLOCK_FIELDS[name]
        fields[field] = read(value)
    header: BlockHeaderAPI = setting.header.copy(**fields)
    return replace(setting, header=header)


def override_state(state: StateAPI, overrides: object) -> None:
    """Change balances, nonces, code and storage in `state`, which nobody keeps."""
    for name, account in _object(overrides, "state overrides").items():
        _override_account(state, Address(parameters.address(name)), _object(account, "account override"))
    state.lock_changes()


def _override_account(state: StateAPI, address: Address, account: dict[str, Any]) -> None:
    if unknown := account.keys() - _ACCOUNT_FIELDS:
        raise invalid(f"account override {min(unknown)} is not supported")
    if account.get("state") is not None and account.get("stateDiff") is not None:
        raise invalid(f"account 0x{address.hex()} has both 'state' and 'stateDiff'")
    if account.get("balance") is not None:
        state.set_balance(address, parameters.quantity(account["balance"], "balance"))
    if account.get("nonce") is not None:
        state.set_nonce(address, parameters.quantity(account["nonce"], "nonce", bits=64))
    if account.get("code") is not None:
        state.set_code(address, parameters.data(account["code"], "code"))
    if account.get("state") is not None:
        state.delete_storage(address)
    for slot, word in _object(account.get("state") or account.get("stateDiff"), "storage").items():
        state.set_storage(
            address,
            parameters.quantity(slot, "slot"),
            int.from_bytes(parameters.data(word, "storage word", 32), "big"),
        )


def _object(value: object, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{what} must be an object")
    return value
