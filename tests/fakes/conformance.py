"""One question to two nodes: what the answer must be, and that both give the same.

What differs by nature is taken out of both answers; what anvil does otherwise than the specification or
go-ethereum is written down in `DEVIATIONS`, each with its reason, and checked too: a row that is no longer
true fails.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.two_nodes import Node, Pair, Params

PRODUCER_FIELDS = frozenset(
    {
        "timestamp",  # the two are not asked in the same second
        "blockTimestamp",
        "mixHash",  # anvil draws one, on our chain nobody does
        "parentBeaconBlockRoot",  # there is no beacon chain, so any value will do
        "stateRoot",  # anvil adds accounts of its own: a development account and system contracts
        "size",  # anvil leaves the empty list of withdrawals out of a block's length
    }
)
ANVIL_FIELDS = frozenset(
    {
        "blobGasPrice",  # in receipts of transactions without blobs, where the specification has none
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A result: equal to `is_`, or holding `has`, or passing `check`; all on the cleaned answer."""

    is_: object = ...
    has: Mapping[str, object] | None = None
    check: Callable[[Any], bool] | None = None

    def assert_met(self, answer: dict[str, Any], who: str) -> None:
        """Fail where the cleaned answer is another."""
        assert "result" in answer, (who, answer)
        result = answer["result"]
        if self.is_ is not ...:
            assert result == self.is_, who
        if self.has is not None:
            assert {key: result[key] for key in self.has} == self.has, who
        if self.check is not None:
            assert self.check(result), (who, result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An error: its code, what its message says (a pattern, case aside), and its data."""

    code: int
    says: str
    data: str | None = None

    def assert_met(self, answer: dict[str, Any], who: str) -> None:
        """Fail where the answer is no such error."""
        assert "error" in answer, (who, answer)
        error = answer["error"]
        assert error["code"] == self.code, (who, error)
        assert re.search(self.says, error["message"], re.IGNORECASE), (who, error)
        assert error.get("data") == self.data, (who, error)


Expectation = Value | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """What anvil answers instead, and why ours is right."""

    reason: str
    instead: Expectation


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call. `deviates` names a row of `DEVIATIONS`; `clean` takes more out of a result."""

    name: str
    method: str
    params: Params = ()
    expect: Expectation
    deviates: str | None = None
    clean: Callable[[Any], Any] = lambda result: result

    def ask(self, node: Node) -> dict[str, Any]:
        """The node's answer, cleaned."""
        params = self.params(node) if callable(self.params) else self.params
        answer = node.ask(self.method, *params)
        if "result" in answer:
            answer["result"] = self.clean(cleaned(answer["result"], node))
        return answer


def read(name: str, method: str, *params: object, value: object) -> Case:
    """A call with this result."""
    return Case(name=name, method=method, params=params, expect=Value(is_=value))


def refused(
    name: str,
    method: str,
    *params: object,
    code: int,
    says: str,
    deviates: str | None = None,
) -> Case:
    """A call that ends in this error."""
    expect = Refused(code=code, says=says)
    return Case(name=name, method=method, params=params, expect=expect, deviates=deviates)


def assert_same(pair: Pair, case: Case) -> None:
    """Both answer as they must, and alike."""
    ours, theirs = (case.ask(node) for node in pair)
    case.expect.assert_met(ours, "embedded")
    if case.deviates is not None:
        DEVIATIONS[case.deviates].instead.assert_met(theirs, "anvil")
        return
    case.expect.assert_met(theirs, "anvil")
    if isinstance(case.expect, Value):
        assert ours == theirs, case.name


def cleaned(value: Any, node: Node) -> Any:
    """`value` with block hashes by name and without what differs by nature."""
    if isinstance(value, str):
        return node.blocks.get(value, value)
    if isinstance(value, list):
        return [cleaned(one, node) for one in value]
    if isinstance(value, dict):
        dropped = PRODUCER_FIELDS | ANVIL_FIELDS
        return {key: cleaned(one, node) for key, one in value.items() if key not in dropped}
    return value


def _refused_by_anvil(says: str, reason: str, code: int = -32003) -> Deviation:
    return Deviation(reason=reason, instead=Refused(code=code, says=says))


_REJECTED = "anvil has EIP-1474's -32003 for refused transactions; go-ethereum, which clients know, -32000"
_BEYOND = "anvil calls a missing block a wrong parameter; go-ethereum -32000 header not found"
_ABSENT = "go-ethereum has the method, anvil does not"
_EVM_ERROR = "anvil calls a failed execution an internal error; go-ethereum -32000 with the error's name"
_NULL = "anvil answers an error for a block that is not there; the specification says null"

DEVIATIONS: dict[str, Deviation] = {
    "rejected: nonce too low": _refused_by_anvil("nonce too low", _REJECTED),
    "rejected: insufficient funds": _refused_by_anvil("insufficient funds for gas", _REJECTED),
    "rejected: known": _refused_by_anvil("transaction already imported", _REJECTED),
    "rejected: underpriced": _refused_by_anvil("replacement transaction underpriced", _REJECTED),
    "rejected: fee below base fee": _refused_by_anvil("max fee per gas less than block base fee", _REJECTED),
    "rejected: tip above fee": _refused_by_anvil("max priority fee per gas higher than max fee", _REJECTED),
    "rejected: chain id": _refused_by_anvil("invalid chain id", _REJECTED),
    "rejected: initcode": _refused_by_anvil("max initcode size exceeded", _REJECTED),
    "undecodable": _refused_by_anvil(
        "decode|empty", "anvil calls an undecodable transaction a wrong parameter; go-ethereum -32000", -32602
    ),
    "block gas limit": _refused_by_anvil(
        "gas_limit > env.block.gas_limit", "anvil's wording; go-ethereum: exceeds block gas limit", -32000
    ),
    "gas cap": Deviation(
        reason="EIP-7825's cap comes with Osaka; our chain has it already, so that calls fit public networks",
        instead=Value(check=lambda result: len(result) == len("0x") + 64),
    ),
    "floor gas": Deviation(
        reason="anvil pools what EIP-7623's floor price of data makes invalid; go-ethereum refuses it",
        instead=Value(check=lambda result: len(result) == len("0x") + 64),
    ),
    "block beyond head": _refused_by_anvil("BlockOutOfRange", _BEYOND, -32602),
    "block hash unknown": _refused_by_anvil("Resource not found", _BEYOND, -32001),
    "fee history beyond head": Deviation(
        reason="anvil invents blocks; go-ethereum: request beyond head block",
        instead=Value(has={"gasUsedRatio": []}),
    ),
    "percentiles": Deviation(
        reason="anvil takes percentiles that fall; the specification wants them rising",
        instead=Value(check=lambda result: len(result["reward"]) > 0),
    ),
    "no rewards": Deviation(
        reason="anvil gives an empty list of rewards that nobody asked for; go-ethereum none",
        instead=Value(has={"reward": []}),
    ),
    "count of a missing block": _refused_by_anvil("BlockOutOfRange", _NULL, -32602),
    "uncles of a missing block": _refused_by_anvil("Resource not found", _NULL, -32001),
    "absent": _refused_by_anvil("Method not found", _ABSENT, -32601),
    "accounts": Deviation(
        reason="anvil holds keys for its clients, our node holds none",
        instead=Value(check=lambda result: len(result) == 1),
    ),
    "invalid opcode": _refused_by_anvil("InvalidFEOpcode", _EVM_ERROR, -32603),
    "out of gas": _refused_by_anvil("OutOfGas", _EVM_ERROR, -32603),
    "call gas below intrinsic": _refused_by_anvil("CallGasCostMoreThanGasLimit", "anvil's wording", -32000),
    "access list of a revert": Deviation(
        reason="go-ethereum gives the list and the error in one result, anvil the error alone",
        instead=Refused(code=3, says="execution reverted", data="0x"),
    ),
    "estimate beyond the limit": Deviation(
        reason="anvil ignores the request's gas limit for a plain transfer; go-ethereum keeps to it",
        instead=Value(is_="0x5208"),
    ),
    "estimate without funds": Deviation(
        reason="anvil estimates a transfer that the sender cannot pay; go-ethereum refuses it",
        instead=Value(is_="0x5208"),
    ),
    "price below base fee": Deviation(
        reason="anvil runs a call at a price the block would refuse; go-ethereum does not",
        instead=Value(check=lambda result: len(result) > len("0x")),
    ),
    "data and input": Deviation(
        reason="anvil takes one of two different inputs; go-ethereum refuses both",
        instead=Refused(code=-32603, says="EVM error"),
    ),
    "short key": _refused_by_anvil("odd number of digits", "go-ethereum takes short storage keys", -32602),
    "optional block": _refused_by_anvil(
        "invalid length 1", "the block is optional in go-ethereum and in most nodes, anvil wants it", -32602
    ),
    "logs backwards": Deviation(
        reason="anvil finds nothing in a range that ends before it begins; go-ethereum refuses it",
        instead=Value(is_=[]),
    ),
    "filter of a past range": Deviation(
        reason="anvil follows a range that ends before it begins; go-ethereum refuses it",
        instead=Value(check=lambda result: result.startswith("0x")),
    ),
    "no method": _refused_by_anvil("Method not found", "anvil's wording", -32601),
    "broken JSON": _refused_by_anvil(
        "Invalid request", "anvil has no parse error; the specification -32700", -32600
    ),
    "a batch of no requests": _refused_by_anvil(
        "Invalid request", "anvil refuses the batch; the specification answers each entry", -32600
    ),
    "unsubscribing what is not there": Deviation(
        reason="anvil answers false, go-ethereum an error", instead=Value(is_=False)
    ),
    "unknown subscription": _refused_by_anvil(
        "", "anvil calls it a wrong parameter; go-ethereum a method that is not there", -32602
    ),
}
