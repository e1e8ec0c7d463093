"""Why calls and events cannot drift from the contract: both are read from the committed artifact's ABI.

Encoding is eth-abi's; selectors and topics are keccak-256 of the canonical signature (Solidity ABI
specification, "Function Selector" and "Events"). Every event field of ours is one word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from contracts.loader import artifact
from ledger.chain.typed_data import keccak

MARKET = "ComputeMarket"
JURY = "ReplicaJury"
TOKEN = "TestToken"  # noqa: S105 - a contract's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    selector: bytes
    parameters: tuple[Mapping[str, Any], ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def call(self, *arguments: object) -> bytes:
        """Call data: selector and encoded arguments; structs are tuples in the ABI's order, addresses
        20 bytes even where the contract takes them as words."""
        pairs = zip(self.parameters, arguments, strict=True)
        return self.selector + encode(self.inputs, [_fitted(entry, value) for entry, value in pairs])

    def results(self, output: bytes) -> tuple[Any, ...]:
        """What a view returned; `ValueError` where the output is not of its types."""
        try:
            return decode(self.outputs, output)
        except DecodingError as exc:
            raise ValueError(str(exc)) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    name: str
    indexed: tuple[str, ...]
    data: tuple[str, ...]

    def fields(self, topics: Sequence[bytes], data: bytes) -> dict[str, bytes]:
        """Each field's word by name; `ValueError` where their number is not the event's."""
        values = [data[i : i + 32] for i in range(0, len(data), 32)]
        keyed = dict(zip(self.indexed, topics[1:], strict=True))
        return keyed | dict(zip(self.data, values, strict=True))


def canonical(item: Mapping[str, Any]) -> str:
    """The type of an ABI entry as a signature spells it: a struct is the tuple of its members."""
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(map(canonical, item["components"])) + ")" + kind.removeprefix("tuple")


def _fitted(entry: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401 - what eth-abi takes
    """The same value, with each address that goes into a word padded left, as it is signed."""
    kind: str = entry["type"]
    if kind.endswith("[]"):
        return [_fitted({**entry, "type": kind.removesuffix("[]")}, item) for item in value]
    if kind == "tuple":
        return tuple(_fitted(*pair) for pair in zip(entry["components"], value, strict=True))
    return value.rjust(32, b"\0") if kind == "bytes32" else value


def _selector(entry: Mapping[str, Any]) -> bytes:
    signature = f"{entry['name']}({','.join(map(canonical, entry['inputs']))})"
    return keccak(signature.encode())


@cache
def functions(contract: str) -> dict[str, Function]:
    """The functions of `MARKET`, `JURY` or `TOKEN` by name."""
    return {
        entry["name"]: Function(
            selector=_selector(entry)[:4],
            parameters=tuple(entry["inputs"]),
            inputs=tuple(map(canonical, entry["inputs"])),
            outputs=tuple(map(canonical, entry["outputs"])),
        )
        for entry in artifact(contract).abi
        if entry["type"] == "function"
    }


@cache
def events(contract: str) -> dict[bytes, Event]:
    """The events of a contract by their first topic."""
    return {
        _selector(entry): Event(
            name=entry["name"],
            indexed=tuple(i["name"] for i in entry["inputs"] if i["indexed"]),
            data=tuple(i["name"] for i in entry["inputs"] if not i["indexed"]),
        )
        for entry in artifact(contract).abi
        if entry["type"] == "event"
    }
