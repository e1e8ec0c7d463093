"""A recorded market played again on anvil, so that a second EVM has its say on every call and log.

Deployments come from the committed artifacts, at the recorded addresses; calls are encoded from the
recorded arguments by the ABI, sent by impersonated senders, and mined at their recorded times. What the
second EVM made of each is given back as `Outcome`; `differences` says where the two disagree.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import httpx
from eth_abi.abi import decode, encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from contracts.loader import artifact
from tests.anvil import anvil
from tests.fakes.market_bench import topic0
from tests.fakes.recording import Call, Deployment, Entry, Event, Plain, Recording, plain

OPTIONS = (
    *("--no-mining", "--order", "fifo", "--auto-impersonate", "--hardfork", "prague"),
    *("--gas-price", "0", "--block-base-fee-per-gas", "0", "--disable-min-priority-fee"),
    *("--disable-block-gas-limit", "--no-request-size-limit"),
)
GAS = 2**24
"""of each call: all that a transaction may ask for (EIP-7825)"""
ARTIFACTS = {"token": "TestToken", "jury": "ReplicaJury", "market": "ComputeMarket"}
ERROR = keccak(text="Error(string)")[:4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one entry; `events` is None where it was refused, then `refusal` is the revert's data."""

    events: list[Event] | None
    refusal: str = ""
    address: str = ""
    """where a deployment went"""

    @property
    def reason(self) -> str:
        """The words of a refusal, as the contract gave them."""
        return reason_of(self.refusal)


def reason_of(refusal: str) -> str:
    """The words of revert data, "" where it has none."""
    data = bytes.fromhex(refusal[2:])
    return str(decode(["string"], data[4:])[0]) if data[:4] == ERROR else ""


class AnvilMarket:
    """One chain; what it replays stays until `put_back`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.addresses: dict[str, str] = {}
        self._client = httpx.Client(timeout=120)

    def ask(self, method: str, *params: object) -> Any:
        """One JSON-RPC call; its result."""
        answer = self._client.post(self.url, json=_question(0, method, params)).json()
        assert "error" not in answer, answer
        return answer["result"]

    def ask_all(self, questions: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """Many in one request; anvil answers them in any order, so none may depend on another."""
        if not questions:
            return []
        batch = [_question(number, *question) for number, question in enumerate(questions)]
        answers = self._client.post(self.url, json=batch).json()
        found = {answer["id"]: answer["result"] for answer in answers}
        return [found[number] for number in range(len(questions))]

    def mark(self) -> str:
        """The chain as it is, for `put_back`."""
        return str(self.ask("evm_snapshot"))

    def put_back(self, mark: str) -> None:
        """Forget every block since the mark."""
        assert self.ask("evm_revert", mark)

    def replay(self, entries: Iterable[Entry], *, block_of_each: bool = False) -> list[Outcome]:
        """Send them in order: those of one time in one block, or each in a block of its own."""
        outcomes: list[Outcome] = []
        for time, group in groupby(entries, key=lambda entry: entry.time):
            alike = list(group)
            for some in [[one] for one in alike] if block_of_each else [alike]:
                outcomes += self.block(some, time)
        return outcomes

    def block(self, entries: Sequence[Entry], time: int) -> list[Outcome]:
        """One block of this time with these entries."""
        hashes = [self.ask("eth_sendTransaction", self._transaction(entry)) for entry in entries]
        self.ask("evm_setNextBlockTimestamp", time)
        self.ask("evm_mine")
        return self._outcomes(hashes)

    def reorganise(self, depth: int, blocks: Sequence[Sequence[Call]]) -> list[list[Outcome]]:
        """Replace the newest `depth` blocks by a branch with these calls in it, at other times: what came
        of them, block by block."""
        pairs = [[self._transaction(call), place] for place, calls in enumerate(blocks) for call in calls]
        newest = int(self.ask("eth_blockNumber"), 16)
        self.ask("anvil_reorg", depth, pairs)
        numbers = range(newest - depth + 1, newest - depth + 1 + len(blocks))
        found = self.ask_all([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
        return [self._outcomes(block["transactions"]) for block in found]

    def _outcomes(self, hashes: Sequence[str]) -> list[Outcome]:
        receipts = self.ask_all([("eth_getTransactionReceipt", [one]) for one in hashes])
        assert [int(one["transactionIndex"], 16) for one in receipts] == list(range(len(hashes)))
        refused = [one["transactionHash"] for one in receipts if one["status"] == "0x0"]
        data = self.ask_all([("ots_getTransactionError", [one]) for one in refused])
        refusals = dict(zip(refused, data, strict=True))
        return [self._outcome(receipt, refusals) for receipt in receipts]

    def _transaction(self, entry: Entry) -> dict[str, str]:
        if isinstance(entry, Call):
            data = call_data(entry.contract, entry.function, entry.arguments)
            return {"from": entry.sender, "to": self.addresses[entry.contract]} | _envelope(data)
        self.addresses[entry.contract] = entry.address
        if int(self.ask("eth_getTransactionCount", entry.deployer, "pending"), 16) != entry.nonce:
            self.ask("anvil_setNonce", entry.deployer, hex(entry.nonce))
        code = artifact(entry.artifact).bytecode + bytes.fromhex(entry.arguments[2:])
        return {"from": entry.deployer} | _envelope(code)

    def _outcome(self, receipt: dict[str, Any], refusals: dict[str, str]) -> Outcome:
        if receipt["status"] == "0x0":
            return Outcome(events=None, refusal=refusals[receipt["transactionHash"]])
        events = [self._event(log) for log in receipt["logs"]]
        made = receipt["contractAddress"]
        return Outcome(events=events, address=to_checksum_address(made) if made else "")

    def _event(self, log: dict[str, Any]) -> Event:
        at = log["address"].lower()
        (contract,) = [name for name, address in self.addresses.items() if address.lower() == at]
        words = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        return event_of(contract, words, bytes.fromhex(log["data"][2:]))

    def view(self, contract: str, function: str, *arguments: Plain) -> Plain:
        """What a view answers in the newest block."""
        (found,) = self.views([(contract, function, list(arguments))])
        return found

    def views(self, questions: Sequence[tuple[str, str, list[Plain]]]) -> list[Plain]:
        """Many views at once; several values come as a list."""
        calls = [
            {"to": self.addresses[contract], "data": "0x" + call_data(contract, name, arguments).hex()}
            for contract, name, arguments in questions
        ]
        answers = self.ask_all([("eth_call", [one, "latest"]) for one in calls])
        return [
            _read(_function(contract, name), answer)
            for (contract, name, _), answer in zip(questions, answers, strict=True)
        ]

    def storage(self) -> dict[str, str]:
        """The root of each contract's storage: equal roots are equal storage, word for word."""
        proofs = self.ask_all([("eth_getProof", [at, [], "latest"]) for at in self.addresses.values()])
        return {name: proof["storageHash"] for name, proof in zip(self.addresses, proofs, strict=True)}

    def close(self) -> None:
        """Close the connection; the chain goes on."""
        self._client.close()


@contextmanager
def an_anvil_market(chain_id: int, time: int, *options: str) -> Iterator[AnvilMarket]:
    """An empty chain of this id whose clock begins a second before the time; `options` are anvil's own."""
    with anvil(*OPTIONS, *options, "--chain-id", str(chain_id), "--timestamp", str(time - 1)) as url:
        market = AnvilMarket(url)
        try:
            yield market
        finally:
            market.close()


def differences(entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> list[str]:
    """Where a replay came out otherwise than recorded; nothing where the two EVMs agree."""
    found = []
    for number, (entry, outcome) in enumerate(zip(entries, outcomes, strict=True)):
        if isinstance(entry, Deployment):
            if outcome.address != to_checksum_address(entry.address):
                found.append(f"{number} {entry.artifact}: at {outcome.address}, not {entry.address}")
        elif (outcome.events, outcome.refusal) != (entry.events, entry.refusal):
            told = outcome.reason or outcome.refusal or outcome.events
            expected = reason_of(entry.refusal) or entry.refusal or entry.events
            found.append(f"{number} {entry.function}: {told}, not {expected}")
    return found


def verify(market: AnvilMarket, recording: Recording) -> list[str]:
    """Replay a whole recording, compare, and leave the chain as it was; the differences."""
    mark = market.mark()
    outcomes = market.replay(recording.entries)
    market.put_back(mark)
    return differences(recording.entries, outcomes)


def event_of(contract: str, topics: Sequence[bytes], data: bytes) -> Event:
    """A log as a recording has it."""
    declared = _events(contract)[topics[0]]
    words = iter(topics[1:])
    types = [one["type"] for one in declared["inputs"] if not one["indexed"]]
    values = iter(decode(types, data))
    fields = {
        one["name"]: _shown(one, decode([one["type"]], next(words))[0] if one["indexed"] else next(values))
        for one in declared["inputs"]
    }
    return Event(contract=contract, name=declared["name"], fields=fields)


def call_data(contract: str, function: str, arguments: Sequence[Plain]) -> bytes:
    """Selector and arguments of a call, from plain values in the ABI's order."""
    inputs = _function(contract, function)["inputs"]
    types = [collapse_if_tuple(one) for one in inputs]
    selector = keccak(text=f"{function}({','.join(types)})")[:4]
    values = [_value(one, argument) for one, argument in zip(inputs, arguments, strict=True)]
    return selector + encode(types, values)


def _question(number: int, method: str, params: Sequence[object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def _envelope(data: bytes) -> dict[str, str]:
    return {"data": "0x" + data.hex(), "gas": hex(GAS), "gasPrice": "0x0"}


def _value(declared: dict[str, Any], value: Any) -> Any:
    # eth-abi wants bytes where JSON has text.
    kind = declared["type"]
    if kind.endswith("]"):
        inner = declared | {"type": kind[: kind.rindex("[")]}
        return [_value(inner, one) for one in value]
    if kind == "tuple":
        return tuple(_value(one, v) for one, v in zip(declared["components"], value, strict=True))
    return bytes.fromhex(value[2:]) if kind.startswith("bytes") else value


def _shown(declared: dict[str, Any], value: Any) -> Plain:
    return to_checksum_address(value) if declared["type"] == "address" else plain(value)


def _read(entry: dict[str, Any], answer: str) -> Plain:
    outputs = entry["outputs"]
    values = decode([collapse_if_tuple(one) for one in outputs], bytes.fromhex(answer[2:]))
    shown = [_shown(one, value) for one, value in zip(outputs, values, strict=True)]
    return shown[0] if len(shown) == 1 else shown


def _function(contract: str, name: str) -> dict[str, Any]:
    (entry,) = [one for one in artifact(ARTIFACTS[contract]).abi if one.get("name") == name]
    return entry


def _events(contract: str) -> dict[bytes, dict[str, Any]]:
    return {topic0(one): one for one in artifact(ARTIFACTS[contract]).abi if one["type"] == "event"}
