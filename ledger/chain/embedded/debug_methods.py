"""The `debug_trace*` methods: what a transaction did inside, for explorers, debuggers and `cast`.

A trace executes again, at two to three times the cost: each has a time and a length that it may not exceed,
and few run at once, so that tracing never holds up sealing for long.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ledger.chain.embedded import parameters
from ledger.chain.embedded.block_references import BlockReferences
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.replay import Watch, history_required, replay, replay_call
from ledger.chain.embedded.rows import BlockRow
from ledger.chain.embedded.rpc_error import LIMIT_EXCEEDED, SERVER_ERROR, RpcError
from ledger.chain.embedded.settings import Settings
from ledger.chain.embedded.trace_options import requested
from ledger.chain.embedded.tracing import Budget, Json

MAX_AT_ONCE = 4


class DebugMethods:
    """Bound to one chain; `clock` is monotonic, in seconds."""

    def __init__(
        self,
        chain: EmbeddedChain,
        references: BlockReferences,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain = chain
        self._references = references
        self._settings = settings
        self._clock = clock
        self._free = threading.BoundedSemaphore(MAX_AT_ONCE)

    def table(self) -> dict[str, Callable[..., object]]:
        """Method names and what answers them."""
        return {
            "debug_traceTransaction": self.trace_transaction,
            "debug_traceBlockByNumber": self.trace_block_by_number,
            "debug_traceBlockByHash": self.trace_block_by_hash,
            "debug_traceCall": self.trace_call,
        }

    def trace_transaction(self, transaction: object, options: object = None) -> Json:
        """The trace of a sealed transaction."""
        key = parameters.block_hash(transaction)
        with self._watching(options) as watch:
            with self._chain.store.reading() as query:
                row = query.transaction(key)
                block = None if row is None else query.block_by_hash(row.block)
            if row is None or block is None:
                raise RpcError(SERVER_ERROR, "transaction not found")
            return replay(self._chain, block, watch, {row.position})[0][1]

    def trace_block_by_number(self, block: object, options: object = None) -> list[Json]:
        """The traces of all transactions of the canonical block at a number or tag."""
        return self._trace_block(self._references.read(block), options)

    def trace_block_by_hash(self, block: object, options: object = None) -> list[Json]:
        """The traces of all transactions of a block, also of one that was replaced."""
        key = parameters.block_hash(block)
        with self._chain.store.reading() as query:
            row = query.block_by_hash(key)
        if row is None:
            raise RpcError(SERVER_ERROR, f"block 0x{key.hex()} not found")
        return self._trace_block(row, options)

    def trace_call(self, request: object, block: object = "latest", options: object = None) -> Json:
        """The trace of a call, run as `eth_call` runs it, under the overrides that options have."""
        call = parameters.call(request)
        with self._watching(options) as watch:
            fields = options if isinstance(options, dict) else {}
            header, accounts = fields.get("blockOverrides"), fields.get("stateOverrides")
            state = self._settings.state(call, block, header=header, accounts=accounts)
            return replay_call(state, call, watch)

    def _trace_block(self, row: BlockRow, options: object) -> list[Json]:
        with self._watching(options) as watch:
            traces = replay(self._chain, row, watch)
        return [{"txHash": f"0x{key.hex()}", "result": trace} for key, trace in traces]

    @contextmanager
    def _watching(self, options: object) -> Iterator[Watch]:
        wanted = requested(options)
        budget = Budget(clock=self._clock, deadline=self._clock() + wanted.seconds)
        if not self._free.acquire(blocking=False):
            raise RpcError(LIMIT_EXCEEDED, f"{MAX_AT_ONCE} traces run already, try again later")
        try:
            with history_required():
                yield Watch(tracer=lambda: wanted.tracer(budget), budget=budget)
        finally:
            self._free.release()
