"""Executing without committing: `eth_call`, `eth_estimateGas` and `eth_createAccessList`.

A call on the head runs in the head's block, but at the clock's present second: a view that compares
deadlines with `block.timestamp` then answers for now even if no block was sealed for an hour. A call on
`pending` runs after the transactions that wait, one on an older block in that block's own context.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from eth.abc import AtomicDatabaseAPI, BlockHeaderAPI, ComputationAPI, SignedTransactionAPI, StateAPI
from eth.exceptions import Revert
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth.vm.spoof import SpoofTransaction
from eth_abi.abi import decode as decode_abi
from eth_abi.exceptions import DecodingError
from eth_typing import Address, Hash32

from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.evm import SharedSecondVM, base_fee
from ledger.chain.embedded.pending import Pending
from ledger.chain.embedded.rows import BlockRow
from ledger.chain.embedded.rpc_error import EXECUTION_REVERTED, SERVER_ERROR, RpcError
from ledger.chain.embedded.transactions import TRANSACTION_GAS_CAP, least_gas

_BLOCKHASH_REACH = 256
_ERROR_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC_SELECTOR = bytes.fromhex("4e487b71")  # Panic(uint256)
_PANICS = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}
_VM_ERRORS = {
    "OutOfGas": "out of gas",
    "InvalidInstruction": "invalid opcode",
    "InvalidJumpDestination": "invalid jump destination",
    "InsufficientFunds": "insufficient funds for transfer",
    "WriteProtection": "write protection",
    "InsufficientStack": "stack underflow",
    "FullStack": "stack limit reached",
    "OutOfBoundsRead": "return data out of bounds",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A message as JSON-RPC describes it; `to` empty creates a contract.

    Gas is paid for only where `price` (wei a unit) is given.
    """

    sender: bytes = bytes(20)
    to: bytes = b""
    gas: int = TRANSACTION_GAS_CAP
    price: int = 0
    value: int = 0
    data: bytes = b""
    access_list: tuple[tuple[bytes, tuple[int, ...]], ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a call runs on: the header it sees, the state's database, and the newest ancestor."""

    header: BlockHeaderAPI
    database: AtomicDatabaseAPI
    parent: bytes


def on_head(chain: EmbeddedChain, block: BlockRow) -> Setting:
    """The head's own block, as late as it is now."""
    own = decode_header(block)
    return Setting(
        header=own.copy(timestamp=max(chain.now(), own.timestamp)),
        database=chain.reading_database(),
        parent=block.parent,
    )


def on_block(chain: EmbeddedChain, block: BlockRow) -> Setting:
    """An older block as it was. `Rejected` where its state is not kept any more."""
    own = decode_header(block)
    chain.require_state(own)
    return Setting(header=own, database=chain.reading_database(), parent=block.parent)


def on_pending(pending: Pending) -> Setting:
    """After the transactions that wait."""
    return Setting(header=pending.header, database=pending.database, parent=pending.row.parent)


def call(state: StateAPI, request: Call) -> bytes:
    """The output of `request`. `RpcError` 3 with the data when it reverts."""
    check_funds(state, request)
    lowest = least_gas(request.data, unsigned(state, request, request.gas).intrinsic_gas)
    if request.gas < lowest:
        raise RpcError(SERVER_ERROR, f"intrinsic gas too low: have {request.gas}, want {lowest}")
    computation = execute(state, request, request.gas)
    if computation.is_error:
        raise failure(computation)
    return bytes(computation.output)


def state_in(
    chain: EmbeddedChain, setting: Setting, request: Call, vm: type[SharedSecondVM] = SharedSecondVM
) -> StateAPI:
    """The state that `request` runs in: without a price the base fee is 0, so that nobody pays.

    `RpcError` where a price is given that the block does not accept.
    """
    header = setting.header
    burnt = base_fee(header)
    if request.price and request.price < burnt:
        message = f"max fee per gas less than block base fee: address 0x{request.sender.hex()}"
        raise RpcError(SERVER_ERROR, f"{message}, maxFeePerGas: {request.price}, baseFee: {burnt}")
    return vm.build_state(
        setting.database,
        header.copy(base_fee_per_gas=burnt if request.price else 0),
        ChainContext(chain.genesis.chain_id),
        ancestors(chain, setting.parent),
    )


def check_funds(state: StateAPI, request: Call) -> None:
    """`RpcError` when the sender cannot pay the value and, at a price, the gas."""
    balance, needed = state.get_balance(Address(request.sender)), request.gas * request.price + request.value
    if balance < needed:
        message = f"insufficient funds for gas * price + value: address 0x{request.sender.hex()}"
        raise RpcError(SERVER_ERROR, f"{message} have {balance} want {needed}")


def unsigned(state: StateAPI, request: Call, gas: int) -> SignedTransactionAPI:
    """`request` as a transaction that nobody signed."""
    transaction = PragueTransactionBuilder.new_unsigned_dynamic_fee_transaction(
        chain_id=state.execution_context.chain_id,
        nonce=state.get_nonce(Address(request.sender)),
        max_priority_fee_per_gas=request.price,
        max_fee_per_gas=request.price,
        gas=gas,
        to=Address(request.to),
        value=request.value,
        data=request.data,
        access_list=[(Address(one), slots) for one, slots in request.access_list],
    )
    # py-evm's own costless calls cast the same way: the spoof answers for a signature that is not there.
    return cast(SignedTransactionAPI, SpoofTransaction(transaction, from_=request.sender))


def execute(state: StateAPI, request: Call, gas: int) -> ComputationAPI:
    """Run `request` and take everything back."""
    # The executor's own validation is for signed transactions: it would refuse a `from` that is a contract.
    transaction = unsigned(state, request, gas)
    snapshot = state.snapshot()
    try:
        executor = state.get_transaction_executor()
        message = executor.build_evm_message(transaction)
        return executor.build_computation(message, transaction)
    finally:
        state.revert(snapshot)


def failure(computation: ComputationAPI) -> RpcError:
    """Why it failed, with the data of a revert."""
    if isinstance(computation.error, Revert):
        data = bytes(computation.output)
        return RpcError(EXECUTION_REVERTED, revert_message(data), f"0x{data.hex()}")
    name = type(computation.error).__name__
    return RpcError(SERVER_ERROR, _VM_ERRORS.get(name, f"execution failed: {name}"))


def revert_message(data: bytes) -> str:
    """What a revert says: the text of `Error(string)`, the meaning of `Panic(uint256)`, or nothing more."""
    selector, arguments = data[:4], data[4:]
    try:
        if selector == _ERROR_SELECTOR:
            return f"execution reverted: {decode_abi(['string'], arguments)[0]}"
        if selector == _PANIC_SELECTOR:
            code = decode_abi(["uint256"], arguments)[0]
            return f"execution reverted: {_PANICS.get(code, f'unknown panic code: {code:#x}')}"
    except (DecodingError, ValueError):
        pass
    return "execution reverted"


def ancestors(chain: EmbeddedChain, block: bytes) -> Iterator[Hash32]:
    """`block` and the ones before it, as far as BLOCKHASH reaches."""
    for _ in range(_BLOCKHASH_REACH):
        with chain.store.reading() as query:
            row = query.block_by_hash(block)
        if row is None:
            return
        yield Hash32(row.hash)
        block = row.parent
