"""What the contract tests do to the EVM, as a tree: a run of the suite that can be repeated on a mutant.

A node is a span whose effects the test framework takes back at its end (a test, a fixture's life, one
example of a property). So each node depends on nothing but the steps that its ancestors took before it,
and may be run alone, or first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

Log = tuple[bytes, tuple[int, ...], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The block that a step ran in."""

    timestamp: int
    number: int
    chain_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a step answered; `output` is the return data, or the revert's reason."""

    failed: bool
    output: bytes
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    setting: Setting
    sender: str
    code: bytes
    address: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    setting: Setting
    sender: str
    to: str
    data: bytes
    value: int
    modifies: bool
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A slot that a test wrote past the contract."""

    address: str
    slot: int
    value: int


Step = Created | Called | Stored


@dataclass(slots=True)
class Span:
    """Steps and inner spans in their order."""

    items: "list[Step | Span]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scene:
    """Steps that can be run alone: after `before`, which several scenes share."""

    before: tuple[Step, ...]
    steps: tuple[Step, ...]


def scenes(root: Span) -> Iterator[Scene]:
    """Every span's own steps, with what its ancestors did before it."""
    yield from _scenes(root, ())


def _scenes(span: Span, before: tuple[Step, ...]) -> Iterator[Scene]:
    own: list[Step] = []
    for item in span.items:
        if isinstance(item, Span):
            yield from _scenes(item, (*before, *own))
        else:
            own.append(item)
    if own:
        yield Scene(before, tuple(own))
