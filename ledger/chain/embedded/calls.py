"""Executing without committing: `eth_call` and `eth_estimateGas`.

A call on the head runs as if in the next block, at the clock's present second: a view that compares
deadlines with `block.timestamp` then answers for now even if no block was sealed for an hour. A call on an
older block runs in that block's own context.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from eth.abc import ComputationAPI, SignedTransactionAPI, StateAPI
from eth.exceptions import Revert
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth.vm.spoof import SpoofTransaction
from eth_abi.abi import decode as decode_abi
from eth_abi.exceptions import DecodingError
from eth_typing import Address, Hash32

from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.evm import SharedSecondVM
from ledger.chain.embedded.rows import BlockRow
from ledger.chain.embedded.rpc_error import EXECUTION_REVERTED, SERVER_ERROR, RpcError
from ledger.chain.embedded.transactions import TRANSACTION_GAS_CAP, least_gas

_BLOCKHASH_REACH = 256
_STIPEND = 2_300
_ERROR_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC_SELECTOR = bytes.fromhex("4e487b71")  # Panic(uint256)
_TOLERANCE_PERCENT = 2
_VM_ERRORS = {
    "OutOfGas": "out of gas",
    "InvalidInstruction": "invalid opcode",
    "InvalidJumpDestination": "invalid jump destination",
    "InsufficientFunds": "insufficient funds for transfer",
    "WriteProtection": "write protection",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A message as JSON-RPC describes it; `to` empty creates a contract, fees are not charged."""

    sender: bytes = bytes(20)
    to: bytes = b""
    gas: int = TRANSACTION_GAS_CAP
    value: int = 0
    data: bytes = b""
    access_list: tuple[tuple[bytes, tuple[int, ...]], ...] = field(default=())


def call(chain: EmbeddedChain, request: Call, block: BlockRow, *, pending: bool) -> bytes:
    """The output of `request` on `block`. `RpcError` 3 with the data when it reverts."""
    computation = _execute(_state(chain, block, pending=pending), request, request.gas)
    if computation.is_error:
        raise _failure(computation)
    return bytes(computation.output)


def estimate_gas(chain: EmbeddedChain, request: Call, block: BlockRow) -> int:
    """A gas limit that suffices on `block` now, at most 2 % above the least. `RpcError` if none does."""
    state = _state(chain, block, pending=True)
    lowest = least_gas(request.data, _transaction(state, request, request.gas).intrinsic_gas)
    if lowest > request.gas:
        raise RpcError(SERVER_ERROR, f"intrinsic gas too low: gas {request.gas}, minimum needed {lowest}")
    computation = _execute(state, request, request.gas)
    if computation.is_error:
        raise _failure(computation)
    used = max(lowest, request.gas - computation.get_gas_remaining())
    return _least_sufficient(state, request, used)


def _least_sufficient(state: StateAPI, request: Call, used: int) -> int:
    # What the run used is the least that can suffice; calls hold back 1/64 and a stipend (EIP-150).
    failing, sufficient = used - 1, request.gas
    for guess in (used, (used + _STIPEND) * 64 // 63):
        if failing < guess < sufficient:
            if not _execute(state, request, guess).is_error:
                sufficient = guess
                break
            failing = guess
    while sufficient - failing > max(1, sufficient * _TOLERANCE_PERCENT // 100):
        middle = (failing + sufficient) // 2
        if _execute(state, request, middle).is_error:
            failing = middle
        else:
            sufficient = middle
    return sufficient


def _state(chain: EmbeddedChain, block: BlockRow, *, pending: bool) -> StateAPI:
    own = decode_header(block)
    header = chain.child_header(own) if pending else own
    first = own.hash if pending else own.parent_hash
    return SharedSecondVM.build_state(
        chain.reading_database(),
        header.copy(base_fee_per_gas=0, state_root=own.state_root),
        ChainContext(chain.genesis.chain_id),
        _ancestors(chain, first),
    )


def _ancestors(chain: EmbeddedChain, block: bytes) -> Iterator[Hash32]:
    for _ in range(_BLOCKHASH_REACH):
        with chain.store.reading() as query:
            row = query.block_by_hash(block)
        if row is None:
            return
        yield Hash32(row.hash)
        block = row.parent


def _transaction(state: StateAPI, request: Call, gas: int) -> SignedTransactionAPI:
    unsigned = PragueTransactionBuilder.new_unsigned_dynamic_fee_transaction(
        chain_id=state.execution_context.chain_id,
        nonce=state.get_nonce(Address(request.sender)),
        max_priority_fee_per_gas=0,
        max_fee_per_gas=0,
        gas=gas,
        to=Address(request.to),
        value=request.value,
        data=request.data,
        access_list=[(Address(one), slots) for one, slots in request.access_list],
    )
    # py-evm's own costless calls cast the same way: the spoof answers for a signature that is not there.
    return cast(SignedTransactionAPI, SpoofTransaction(unsigned, from_=request.sender))


def _execute(state: StateAPI, request: Call, gas: int) -> ComputationAPI:
    # The executor's own validation is for signed transactions: it would refuse a `from` that is a contract.
    transaction = _transaction(state, request, gas)
    snapshot = state.snapshot()
    try:
        executor = state.get_transaction_executor()
        message = executor.build_evm_message(transaction)
        return executor.build_computation(message, transaction)
    finally:
        state.revert(snapshot)


def _failure(computation: ComputationAPI) -> RpcError:
    if isinstance(computation.error, Revert):
        data = bytes(computation.output)
        return RpcError(EXECUTION_REVERTED, revert_message(data), f"0x{data.hex()}")
    name = type(computation.error).__name__
    return RpcError(SERVER_ERROR, _VM_ERRORS.get(name, f"execution failed: {name}"))


def revert_message(data: bytes) -> str:
    """What a revert says: the text of `Error(string)`, the code of `Panic(uint256)`, or nothing more."""
    selector, arguments = data[:4], data[4:]
    try:
        if selector == _ERROR_SELECTOR:
            return f"execution reverted: {decode_abi(['string'], arguments)[0]}"
        if selector == _PANIC_SELECTOR:
            return f"execution reverted: panic code {decode_abi(['uint256'], arguments)[0]:#x}"
    except (DecodingError, ValueError):
        pass
    return "execution reverted"
