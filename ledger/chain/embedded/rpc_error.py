"""The JSON-RPC error object: the one shape in which a failure leaves the chain's server."""

from ledger.market.errors import MarketError

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
SERVER_ERROR = -32000
LIMIT_EXCEEDED = -32005
EXECUTION_REVERTED = 3
STATE_PRUNED = "state-pruned"


class RpcError(Exception):
    """A refusal with a JSON-RPC 2.0 `code` (or go-ethereum's 3 for a revert, with `data` in hex)."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_object(self) -> dict[str, object]:
        """The `error` member of a response."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return error


def invalid(message: str) -> RpcError:
    """The error for a parameter that cannot be used."""
    return RpcError(INVALID_PARAMS, message)


def refused(failure: MarketError) -> RpcError:
    """A refusal of the chain in go-ethereum's words, which client libraries match on."""
    if failure.code == STATE_PRUNED:
        return missing_state(failure.cause)
    return RpcError(SERVER_ERROR, failure.cause.rstrip("."))


def missing_state(detail: object) -> RpcError:
    """The error for a block whose state is no longer kept."""
    return RpcError(SERVER_ERROR, f"missing trie node: {str(detail).rstrip('.')}")
