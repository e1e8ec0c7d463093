"""The suite's steps, taken again on another EVM (revm) with another creation code in a contract's place.

The tests run on py-evm. revm takes the whole suite's steps in the time that py-evm needs for some dozens;
scenes in which the real contracts do not answer the same on it are left out first (`trial.Court.set_aside`).
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache

import rlp
from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak
from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

from scripts.mutation.trace import Called, Created, Log, Outcome, Setting, Step, Stored

_GAS = 10**12
_CODE_LIMIT = 1 << 20
"""unoptimised code is larger than a chain would take (EIP-170)"""
_CHAIN_ID = 1
_NONCES = 10_000
_REVERTED = re.compile(r"output: 0x([0-9a-f]*)")


class Unrepeatable(Exception):
    """A step that this EVM cannot take as it was taken."""


def fresh() -> EVM:
    """An EVM without accounts."""
    settings = CfgEnv(chain_id=_CHAIN_ID, limit_contract_code_size=_CODE_LIMIT)
    return EVM(env=Env(cfg=settings), spec_id="CANCUN", gas_limit=_GAS)


def same(evm: EVM, steps: Iterable[Step], swapped: Mapping[bytes, bytes]) -> bool:
    """Whether every step answers as it did with the real contracts; `swapped` maps a real creation code to
    the one that is deployed instead."""
    return all(_answers(evm, step, swapped) for step in steps)


def _answers(evm: EVM, step: Step, swapped: Mapping[bytes, bytes]) -> bool:
    match step:
        case Created():
            return _created(evm, step, swapped)
        case Called():
            _enter(evm, step.setting)
            return _called(evm, step) == step.outcome
        case Stored():
            evm.insert_account_storage(step.address, step.slot, step.value)
            return True


def _created(evm: EVM, step: Created, swapped: Mapping[bytes, bytes]) -> bool:
    """Whether it ends as it did, with the same reason or logs; what it deploys may be a mutant."""
    _enter(evm, step.setting)
    balance = evm.get_balance(step.sender)
    evm.insert_account_info(step.sender, AccountInfo(nonce=_nonce_of(step.sender, step.address)))
    evm.set_balance(step.sender, balance)
    try:
        evm.deploy(step.sender, _swapped(step.code, swapped))
    except RuntimeError as exc:
        return _refusal(exc) == step.outcome
    return not step.outcome.failed and _logs(evm) == step.outcome.logs


def _called(evm: EVM, step: Called) -> Outcome:
    code = evm.get_code(step.sender)
    if not code:
        return _sent(evm, step)
    # A test spoke for a contract; revm takes no call from an address with code (EIP-3607).
    evm.insert_account_info(step.sender, AccountInfo(nonce=1))
    try:
        return _sent(evm, step)
    finally:
        evm.insert_account_info(step.sender, AccountInfo(nonce=1, code=code))


def _sent(evm: EVM, step: Called) -> Outcome:
    if step.value:
        evm.set_balance(step.sender, step.value)
    try:
        output = evm.message_call(
            step.sender, step.to, calldata=step.data, value=step.value, is_static=not step.modifies
        )
    except RuntimeError as exc:
        return _refusal(exc)
    finally:
        evm.reset_transient_storage()
    return Outcome(failed=False, output=bytes(output), logs=_logs(evm))


def _refusal(error: RuntimeError) -> Outcome:
    reverted = _REVERTED.search(str(error))
    return Outcome(failed=True, output=bytes.fromhex(reverted[1]) if reverted else b"", logs=())


def _logs(evm: EVM) -> tuple[Log, ...]:
    assert evm.result is not None, "a call has just been made"
    return tuple(
        (
            to_canonical_address(log.address),
            tuple(int(topic, 16) for topic in log.topics),
            bytes(log.data[1]),
        )
        for log in evm.result.logs
    )


def _swapped(code: bytes, swapped: Mapping[bytes, bytes]) -> bytes:
    for real, other in swapped.items():
        if code.startswith(real):
            return other + code[len(real) :]
    return code


def _enter(evm: EVM, setting: Setting) -> None:
    if setting.chain_id != _CHAIN_ID:
        raise Unrepeatable(f"a step on chain {setting.chain_id}")
    evm.set_block_env(BlockEnv(number=setting.number, timestamp=setting.timestamp, gas_limit=_GAS))


@cache
def _nonce_of(sender: str, address: str) -> int:
    """The nonce by which `sender` creates `address` (keccak of both, Yellow Paper eq. 88)."""
    wanted, creator = to_canonical_address(address), to_canonical_address(sender)
    for nonce in range(_NONCES):
        if keccak(rlp.encode([creator, nonce]))[12:] == wanted:
            return nonce
    raise Unrepeatable(f"{address} is not made by {sender}")
