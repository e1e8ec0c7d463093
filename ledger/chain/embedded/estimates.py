"""Gas limits that suffice, and access lists: executing a call again until the answer holds."""

from dataclasses import replace

from eth.abc import StateAPI
from eth.vm.forks.prague.computation import PragueComputation
from eth_typing import Address

from ledger.chain.embedded.calls import Call, check_funds, execute, failure, unsigned
from ledger.chain.embedded.evm import SharedSecondVM
from ledger.chain.embedded.rpc_error import SERVER_ERROR, RpcError
from ledger.chain.embedded.state import RecordingState
from ledger.chain.embedded.transactions import least_gas

_STIPEND = 2_300
_TOLERANCE_PERCENT = 1
_ROUNDS = 8
_REFUND_PART = 5  # EIP-3529
_PRECOMPILES = frozenset(map(bytes, PragueComputation.get_precompiles()))
AccessList = tuple[tuple[bytes, tuple[int, ...]], ...]


def estimate_gas(state: StateAPI, request: Call) -> int:
    """A gas limit that suffices in `state`, at most 1 % above the least. `RpcError` if none does."""
    limit = _affordable(state, request)
    lowest = least_gas(request.data, unsigned(state, request, limit).intrinsic_gas)
    if lowest > limit:
        raise RpcError(SERVER_ERROR, f"gas required exceeds allowance ({limit})")
    computation = execute(state, request, limit)
    if computation.is_error:
        reason = failure(computation)
        if reason.message == "out of gas":
            raise RpcError(SERVER_ERROR, f"gas required exceeds allowance ({limit})")
        raise reason
    used = max(lowest, limit - computation.get_gas_remaining())
    return _least_sufficient(state, request, used, limit)


def access_list(state: StateAPI, request: Call) -> tuple[AccessList, int, str | None]:
    """The accounts and slots that `request` touches, the gas it uses with that list, and its error.

    The sender, the called or created account and the precompiles are listed only with slots (EIP-2930
    charges for a list entry; they are warm without one). `state` comes from a `TouchingVM`.
    """
    assert isinstance(state, TouchingState)
    listed, excluded = request.access_list, _excluded(state, request)
    for _ in range(_ROUNDS):
        state.begin()
        execute(state, replace(request, access_list=listed), request.gas)
        before, listed = listed, state.touched(excluded)
        if listed == before:
            break
    return listed, *_used(state, replace(request, access_list=listed))


def _used(state: StateAPI, request: Call) -> tuple[int, str | None]:
    computation = execute(state, request, request.gas)
    used = request.gas - computation.get_gas_remaining()
    floor = least_gas(request.data, unsigned(state, request, request.gas).intrinsic_gas)
    if computation.is_error:
        return max(used, floor), failure(computation).message
    return max(used - min(computation.get_gas_refund(), used // _REFUND_PART), floor), None


class TouchingState(RecordingState):
    """A state that remembers what was warmed since `begin`, reverted calls included."""

    def begin(self) -> None:
        """Forget."""
        self._touched: dict[bytes, set[int]] = {}

    def mark_address_warm(self, address: Address) -> None:
        """As the protocol does, and remember it."""
        self._touched.setdefault(bytes(address), set())
        super().mark_address_warm(address)

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        """As the protocol does, and remember it."""
        self._touched.setdefault(bytes(address), set()).add(slot)
        super().mark_storage_warm(address, slot)

    def touched(self, excluded: frozenset[bytes]) -> AccessList:
        """Accounts and slots in order, `excluded` accounts only with slots."""
        return tuple(
            (address, tuple(sorted(slots)))
            for address, slots in sorted(self._touched.items())
            if slots or address not in excluded
        )


class TouchingVM(SharedSecondVM):
    """The chain's rules on a `TouchingState`."""

    _state_class = TouchingState


def _excluded(state: StateAPI, request: Call) -> frozenset[bytes]:
    message = state.get_transaction_executor().build_evm_message
    snapshot = state.snapshot()
    try:
        target = message(unsigned(state, request, request.gas)).storage_address
    finally:
        state.revert(snapshot)
    coinbase = state.coinbase  # warm from the start (EIP-3651)
    return frozenset({request.sender, bytes(target), bytes(coinbase), *_PRECOMPILES})


def _affordable(state: StateAPI, request: Call) -> int:
    # As go-ethereum does: who names a price gets no larger limit than the account can pay for.
    if not request.price:
        check_funds(state, request)
        return request.gas
    balance = state.get_balance(Address(request.sender))
    if balance < request.value:
        raise RpcError(SERVER_ERROR, "insufficient funds for transfer")
    return min(request.gas, (balance - request.value) // request.price)


def _least_sufficient(state: StateAPI, request: Call, used: int, limit: int) -> int:
    # What the run used is the least that can suffice; calls hold back 1/64 and a stipend (EIP-150).
    failing, sufficient = used - 1, limit
    for guess in (used, (used + _STIPEND) * 64 // 63):
        if failing < guess < sufficient:
            if not execute(state, request, guess).is_error:
                sufficient = guess
                break
            failing = guess
    while sufficient - failing > max(1, sufficient * _TOLERANCE_PERCENT // 100):
        middle = (failing + sufficient) // 2
        if execute(state, request, middle).is_error:
            failing = middle
        else:
            sufficient = middle
    return sufficient
