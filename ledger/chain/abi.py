"""Why calls and events cannot drift from the contract: both are read from the committed artifact's ABI.

Encoding is eth-abi's; selectors and topics are keccak-256 of the canonical signature (Solidity ABI
specification, "Function Selector" and "Events"). Every event field of the market is one word.
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
TOKEN = "TestToken"  # noqa: S105 - a contract's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def call(self, *arguments: object) -> bytes:
        """Call data: selector and encoded arguments; structs are tuples in the ABI's order."""
        return self.selector + encode(self.inputs, arguments)

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


def _canonical(item: Mapping[str, Any]) -> str:
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(map(_canonical, item["components"])) + ")" + kind.removeprefix("tuple")


def _selector(entry: Mapping[str, Any]) -> bytes:
    signature = f"{entry['name']}({','.join(map(_canonical, entry['inputs']))})"
    return keccak(signature.encode())


@cache
def functions(contract: str) -> dict[str, Function]:
    """The functions of `MARKET` or `TOKEN` by name."""
    return {
        entry["name"]: Function(
            selector=_selector(entry)[:4],
            inputs=tuple(map(_canonical, entry["inputs"])),
            outputs=tuple(map(_canonical, entry["outputs"])),
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
