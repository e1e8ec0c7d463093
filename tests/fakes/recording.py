"""A market's deployments and calls as JSON lines, so that another chain can be made to replay them.

Arguments are plain values of the ABI (integers, `0x…` texts, lists, in the ABI's order); with each call
stands what came of it, events by name and fields, or nothing where it was refused. Signatures bind chain
id and market address: a replay needs the same chain id and the same deployer nonces.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

Plain = int | str | bool | list["Plain"]


def plain(value: object) -> Plain:
    """An ABI value as JSON has it; bytes become `0x…`."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`contract` is "token", "jury" or "market"; `arguments` the constructor's, encoded; `nonce` the
    deployer's, from which the address follows."""

    contract: str
    artifact: str
    address: str
    deployer: str
    nonce: int
    arguments: str
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a contract logged: raw ABI fields."""

    contract: str
    name: str
    fields: dict[str, Plain]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One transaction in a block of this time; `events` is None where it was refused, and `refusal` is
    then what the revert returned ("" where the call took effect)."""

    time: int
    sender: str
    contract: str
    function: str
    arguments: list[Plain]
    events: list[Event] | None
    refusal: str = ""


Entry = Deployment | Call


@dataclass(slots=True, kw_only=True)
class Recording:
    """Entries in the order in which they happened on the chain of this id."""

    chain_id: int
    entries: list[Entry] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        return [entry for entry in self.entries if isinstance(entry, Call)]

    def write(self, path: Path) -> None:
        """One line an entry, the chain id first."""
        lines = [json.dumps({"chain_id": self.chain_id})]
        lines += [json.dumps({type(entry).__name__: asdict(entry)}) for entry in self.entries]
        path.write_text("\n".join(lines) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> "Recording":
        head, *lines = path.read_text("utf-8").splitlines()
        entries: list[Entry] = []
        for line in lines:
            ((kind, fields),) = json.loads(line).items()
            entries.append(Deployment(**fields) if kind == "Deployment" else _call(fields))
        return cls(chain_id=json.loads(head)["chain_id"], entries=entries)


def _call(fields: dict[str, object]) -> Call:
    events = fields.pop("events")
    read = [Event(**one) for one in events] if isinstance(events, list) else None
    return Call(**fields, events=read)  # type: ignore[arg-type]  # as `asdict` wrote them
