"""Running sealed transactions again, on the state their block began with, while a tracer watches.

The transactions before the wanted ones run unwatched; nothing of a replay is written anywhere.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from eth.abc import BlockHeaderAPI, ComputationAPI, SignedTransactionAPI, StateAPI
from eth.exceptions import VMError
from eth.vm.chain_context import ChainContext
from eth.vm.interrupt import EVMMissingData

from ledger.chain.embedded import calls
from ledger.chain.embedded.calls import Call
from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.evm import SharedSecondVM
from ledger.chain.embedded.rows import BlockRow
from ledger.chain.embedded.rpc_error import SERVER_ERROR, RpcError
from ledger.chain.embedded.tracing import Budget, Json, Outcome, Tracer
from ledger.chain.embedded.tracing_vm import watched
from ledger.chain.embedded.transactions import decode
from ledger.market.errors import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """`tracer` makes one for each transaction; `budget` is that of the request."""

    tracer: Callable[[], Tracer]
    budget: Budget


def replay(
    chain: EmbeddedChain, block: BlockRow, watch: Watch, positions: Collection[int] | None = None
) -> list[tuple[bytes, Json]]:
    """Hash and trace of the block's transactions, of those at `positions` only where they are given.

    `RpcError` where the budget is spent or the block is the first, `Rejected` where the state before is gone.
    """
    header = decode_header(block)
    with chain.store.reading() as query:
        parent = query.block_by_hash(block.parent)
        rows = query.transactions_of(block.hash)
    if parent is None:
        raise RpcError(SERVER_ERROR, "genesis is not traceable")
    last = len(rows) - 1 if positions is None else max(positions)
    traces = []
    state = _state(chain, header, parent)
    for row in rows[: last + 1]:
        watch.budget.look()
        signed = decode(row.raw)
        state.lock_changes()
        if positions is None or row.position in positions:
            traces.append((row.hash, _run(state, signed, watch, state.apply_transaction)))
        else:
            state.apply_transaction(signed)
    return traces


def replay_call(state: StateAPI, request: Call, watch: Watch) -> Json:
    """The trace of a call that is in no block, run in `state`. `RpcError` where nobody could pay for it."""
    calls.check_funds(state, request)

    def execute(transaction: SignedTransactionAPI) -> ComputationAPI:
        # Not the executor's own validation: it would refuse a `from` that is a contract.
        executor = state.get_transaction_executor()
        message = executor.build_evm_message(transaction)
        computation = executor.build_computation(message, transaction)
        return executor.finalize_computation(transaction, computation)

    return _run(state, calls.unsigned(state, request, request.gas), watch, execute)


def _run(
    state: StateAPI,
    signed: SignedTransactionAPI,
    watch: Watch,
    execute: Callable[[SignedTransactionAPI], ComputationAPI],
) -> Json:
    tracer, usual = watch.tracer(), state.computation_class
    state.computation_class = watched(tracer, watch.budget)
    try:
        computation = execute(signed)
    except VMError as exc:
        raise RpcError(SERVER_ERROR, f"tracing failed: {exc}") from exc
    finally:
        state.computation_class = usual
    return tracer.result(
        Outcome(
            gas=signed.gas,
            gas_used=SharedSecondVM.finalize_gas_used(signed, computation),
            failed=computation.is_error,
            output=bytes(computation.output),
        )
    )


def _state(chain: EmbeddedChain, header: BlockHeaderAPI, after: BlockRow) -> StateAPI:
    root = decode_header(after)
    chain.require_state(root)
    return SharedSecondVM.build_state(
        chain.reading_database(),
        header.copy(state_root=root.state_root),
        ChainContext(chain.genesis.chain_id),
        calls.ancestors(chain, header.parent_hash),
    )


@contextmanager
def history_required() -> Iterator[None]:
    """Says in go-ethereum's words that the state to start from is not kept, or went while it was read."""
    try:
        yield
    except (Rejected, EVMMissingData) as exc:
        raise RpcError(SERVER_ERROR, f"required historical state unavailable: {_cause(exc)}") from exc


def _cause(failure: Exception) -> str:
    return failure.cause.rstrip(".") if isinstance(failure, Rejected) else "a node of it is gone"
