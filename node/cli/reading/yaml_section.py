"""A YAML mapping read key by key, so that every complaint can say line and column.

Scalars stay the text that was written (no `no` that becomes false, no 0.10 that becomes 0.1): what a
text means is decided by the key that it stands under.
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ledger.market.errors import Rejected

T = TypeVar("T")


def compose(source: str, where: str) -> "Section":
    """The file's one top mapping; malformed YAML is `Rejected` with its line and column."""
    try:
        node = yaml.compose(source, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _malformed(where, line, column, exc.problem or "it cannot be read") from exc
    except yaml.YAMLError as exc:
        raise _malformed(where, 1, 1, str(exc).splitlines()[0]) from exc
    except RecursionError as exc:
        raise _malformed(where, 1, 1, "it is nested too deeply") from exc
    if node is None:
        raise _malformed(where, 1, 1, "the file is empty")
    return Section(node, where)


def _malformed(where: str, line: int, column: int, why: str) -> Rejected:
    return Rejected(
        "malformed-yaml",
        f"{where} is not YAML at line {line}, column {column}: {why}.",
        "Correct that place; keys and values are written as `key: value`.",
        line=line,
        column=column,
    )


def _at(node: Node, code: str, cause: str, remedy: str, **facts: object) -> Rejected:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    place = f"Line {line}, column {column}: "
    return Rejected(code, place + cause, remedy, line=line, column=column, **facts)


class Section:
    """One mapping; `done` refuses the keys that nothing asked for."""

    def __init__(self, node: Node, where: str) -> None:
        if not isinstance(node, MappingNode):
            raise _at(node, "wrong-type", f"{where} is not a mapping.", "Write keys and values.")
        self._node = node
        self._where = where
        self._known: list[str] = []
        self._keys: dict[str, Node] = {}
        self._values: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise _at(key, "wrong-type", f"A key of {where} is not text.", "Write a plain key.")
            if key.value in self._keys:
                raise _at(key, "duplicate-key", f"{key.value!r} stands twice.", "Keep one of the two.")
            self._keys[key.value] = key
            self._values[key.value] = value

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def is_text(self, key: str) -> bool:
        return isinstance(self._values.get(key), ScalarNode)

    def text(self, key: str, default: str | None = None) -> str:
        """The scalar under `key` as it was written; required without a default."""
        return self.convert(key, str, default)

    def convert(self, key: str, parse: Callable[[str], T], default: str | None = None) -> T:
        """The scalar under `key`, parsed; a parser's `Rejected` gets its place in the file."""
        node = self._find(key, required=default is None)
        if node is None:
            return parse(default or "")
        return _parsed(node, key, parse)

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """The list of scalars under `key`."""
        return tuple(_parsed(node, key, str) for node in self._items(key, required=required))

    def section(self, key: str) -> "Section | None":
        """The mapping under `key`, None where it is absent."""
        node = self._find(key, required=False)
        return None if node is None else Section(node, key)

    def mixed(self, key: str) -> tuple["str | Section", ...]:
        """The list under `key` of texts and mappings."""
        items = self._items(key, required=False)
        return tuple(n.value if isinstance(n, ScalarNode) else Section(n, key) for n in items)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All keys with their texts, for mappings whose keys the writer chooses."""
        self._known.extend(self._keys)
        return tuple((key, _parsed(node, key, str)) for key, node in self._values.items())

    def done(self) -> None:
        """Refuse the first key that nothing read, and name the nearest known one."""
        for key, node in self._keys.items():
            if key not in self._known:
                near = get_close_matches(key, self._known, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(self._known)}."
                cause = f"{self._where} has an unknown key {key!r}."
                raise _at(node, "unknown-key", cause, hint, key=key)

    def _find(self, key: str, *, required: bool) -> Node | None:
        self._known.append(key)
        node = self._values.get(key)
        if node is None and required:
            raise _at(self._node, "missing-key", f"{self._where} lacks {key!r}.", f"Add {key}.", key=key)
        return node

    def _items(self, key: str, *, required: bool) -> list[Node]:
        node = self._find(key, required=required)
        if node is None:
            return []
        if not isinstance(node, SequenceNode):
            raise _at(node, "wrong-type", f"{key} is not a list.", f"Write {key} as a list.", key=key)
        return list(node.value)


def _parsed(node: Node, key: str, parse: Callable[[str], T]) -> T:
    if not isinstance(node, ScalarNode):
        raise _at(node, "wrong-type", f"{key} is not one value.", "Write a single text.", key=key)
    try:
        return parse(node.value)
    except Rejected as exc:
        raise _at(node, exc.code, f"{key}: {exc.cause}", exc.remedy, key=key) from exc
