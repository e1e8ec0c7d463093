"""The table of events in `contracts/README.md` is the committed ABI's, and its queries ask for them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak
from web3 import Web3

import contracts
from contracts.loader import artifact

FOLDER = Path(contracts.__file__).parent
CONTRACTS = {"market": "ComputeMarket", "jury": "ReplicaJury"}
ROW = re.compile(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \| ([^|]+) \| `(\{.*\})` \| `(.*)` \|$", re.M)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One event as the table has it."""

    indexed: list[str]
    plain: list[str]
    says: str
    logs_filter: dict[str, Any]
    web3: str


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


TABLE = {
    name: Row(indexed=names(indexed), plain=names(plain), says=says, logs_filter=json.loads(query), web3=line)
    for name, indexed, plain, says, query, line in ROW.findall((FOLDER / "README.md").read_text("utf-8"))
}
EVENTS = {
    entry["name"]: (role, entry)
    for role, contract in CONTRACTS.items()
    for entry in artifact(contract).abi
    if entry["type"] == "event"
}


def test_every_event_is_in_the_table_and_no_other() -> None:
    assert set(TABLE) == set(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_s_fields_are_those_of_the_abi(name: str) -> None:
    inputs = EVENTS[name][1]["inputs"]
    assert TABLE[name].indexed == [one["name"] for one in inputs if one["indexed"]]
    assert TABLE[name].plain == [one["name"] for one in inputs if not one["indexed"]]


@pytest.mark.parametrize("name", EVENTS)
def test_a_filter_asks_for_the_event_s_first_topic_and_one_indexed_field(name: str) -> None:
    role, entry = EVENTS[name]
    told = TABLE[name].logs_filter
    assert (told["address"], told["fromBlock"]) == (role.upper(), "0x0")
    signature = f"{name}({','.join(one['type'] for one in entry['inputs'])})"
    first, *others = told["topics"]
    assert first == "0x" + keccak(text=signature).hex()
    asked = [field.upper() for field, topic in zip(TABLE[name].indexed, others, strict=False) if topic]
    assert [topic for topic in others if topic] == asked
    assert len(asked) == bool(TABLE[name].indexed)


@pytest.mark.parametrize("name", EVENTS)
def test_a_line_for_web3_is_one_that_web3_takes(name: str) -> None:
    role, entry = EVENTS[name]
    called, _, filtered = TABLE[name].web3.partition(".get_logs(from_block=0")
    assert called == f"{role}.events.{name}()"
    made = Web3().eth.contract(abi=[entry])
    assert made.events[name]().event_name == name
    fields = re.findall(r'argument_filters=\{"(\w+)": ([A-Z]+)\}\)$', filtered)
    (asked,) = fields or [("", "")]
    assert asked[0].upper() == asked[1]
    assert asked[0] in TABLE[name].indexed or not TABLE[name].indexed


def test_every_event_is_explained_in_the_sources_as_in_the_table() -> None:
    sources = [(FOLDER / file).read_text("utf-8") for file in ("events.vy", "ReplicaJury.vy")]
    explained = {
        name: " ".join(line[2:] for line in comment.strip().splitlines()).rstrip(".")
        for source in sources
        for comment, name in re.findall(r"((?:^# .*\n)+)event (\w+):", source, re.M)
    }
    assert explained == {name: row.says for name, row in TABLE.items()}
