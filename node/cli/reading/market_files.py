"""Offers and bids of a simulation from a file: a YAML or JSON list, or CSV, read into the same sections as a
job file, so that every complaint names its file and line.

A CSV header names keys with dots (`resources.cpus`); one that ends in [] is a list, its entries separated by
white space. Empty cells are left out.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ledger.market.errors import Rejected
from node.cli.reading.yaml_section import Section

MAX_BYTES = 256 * 1024 * 1024
_TEXT = "tag:yaml.org,2002:str"
_LIST = "[]"


def read_entries(path: Path, name: str) -> list[MappingNode]:
    """The mappings of a file's list; in YAML and JSON it may stand under the key `name`."""
    source = _source(path)
    if path.suffix.lower() == ".csv":
        return list(_rows(path, source))
    try:
        top = yaml.compose(source, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        line = mark.line + 1 if mark else 1
        raise _malformed(path, line, exc.problem or "it cannot be read") from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise _malformed(path, 1, "it holds control characters, or is nested too deeply") from exc
    if isinstance(top, MappingNode):
        top = next((value for key, value in top.value if key.value == name), None)
    if not isinstance(top, SequenceNode):
        raise _malformed(path, 1, f"it is no list, nor has it one under {name!r}")
    for item in top.value:
        if not isinstance(item, MappingNode):
            raise _malformed(path, item.start_mark.line + 1, "an entry is no mapping")
    return list(top.value)


def _source(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Rejected("oversized-file", f"{path} is larger than {MAX_BYTES} bytes.", "Split it.")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise Rejected("file-not-found", f"There is no file {path}.", "Correct its path.") from exc
    except UnicodeDecodeError as exc:
        raise Rejected("malformed-file", f"{path} is not UTF-8 text.", "Save it as UTF-8.") from exc
    except OSError as exc:
        raise Rejected(
            "file-unreadable", f"{path} cannot be read: {exc.strerror}.", "Name a file that can be read."
        ) from exc


def _malformed(path: Path, line: int, why: str) -> Rejected:
    return Rejected(
        "malformed-file",
        f"{path}, line {line}: {why}.",
        "Write a list of mappings in YAML or JSON, or CSV with a header.",
        file=str(path),
        line=line,
    )


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Whatever an entry is refused for names its file as well."""
    try:
        yield
    except Rejected as exc:
        if str(path) in exc.cause:
            raise
        facts = {**exc.facts, "file": str(path)}
        raise Rejected(exc.code, f"{path}: {exc.cause}", exc.remedy, **facts) from exc


def split(entry: MappingNode, own: Iterable[str], where: str) -> tuple[Section, MappingNode]:
    """An entry's `own` keys as a section, and the rest of it."""
    mine = [(key, value) for key, value in entry.value if key.value in set(own)]
    rest = [(key, value) for key, value in entry.value if key.value not in set(own)]
    return Section(_mapping(mine, entry), where), _mapping(rest, entry)


def with_default(entry: MappingNode, key: str, *values: str) -> MappingNode:
    """The entry with a key that it may lack: a text, or a list where there are several."""
    if any(name.value == key for name, _ in entry.value):
        return entry
    texts = [_scalar(value, entry.start_mark) for value in values]
    value: Node = texts[0]
    if len(texts) > 1:
        value = SequenceNode("tag:yaml.org,2002:seq", list(texts), entry.start_mark, entry.end_mark)
    return _mapping([*entry.value, (_scalar(key, entry.start_mark), value)], entry)


def renamed(node: Node, path: Sequence[str], other: str) -> Node:
    """The mapping with the key at the end of the path under another name: what an offer states a bid asks
    for."""
    if not isinstance(node, MappingNode):
        return node
    pairs = []
    for name, value in node.value:
        if name.value != path[0]:
            pairs.append((name, value))
        elif path[1:]:
            pairs.append((name, renamed(value, path[1:], other)))
        else:
            pairs.append((_scalar(other, name.start_mark), value))
    return _mapping(pairs, node)


def _mapping(pairs: list[tuple[Node, Node]], like: Node) -> MappingNode:
    return MappingNode("tag:yaml.org,2002:map", pairs, like.start_mark, like.end_mark)


def _scalar(value: str, mark: yaml.Mark) -> ScalarNode:
    return ScalarNode(_TEXT, value, mark, mark)


def _rows(path: Path, source: str) -> Iterator[MappingNode]:
    """Each row as the mapping that YAML would have made of it."""
    reader = csv.reader(source.splitlines(), strict=True)
    try:
        header = next(reader, [])
        for cells in reader:
            if len(cells) > len(header):
                raise _malformed(path, reader.line_num, f"{len(cells)} cells under {len(header)} names")
            mark = yaml.Mark("csv", 0, reader.line_num - 1, 0, "", 0)
            yield from _row(header, cells, mark)
    except csv.Error as exc:
        raise _malformed(path, reader.line_num, str(exc)) from exc


def _row(header: list[str], cells: list[str], mark: yaml.Mark) -> Iterator[MappingNode]:
    """One row; an empty one is none."""
    row = MappingNode("tag:yaml.org,2002:map", [], mark, mark)
    for name, cell in zip(header, cells, strict=False):
        if cell.strip():
            _put(row, name.strip(), cell.strip(), mark)
    if row.value:
        yield row


def _put(row: MappingNode, name: str, cell: str, mark: yaml.Mark) -> None:
    *path, last = name.removesuffix(_LIST).split(".")
    for part in path:
        row = _below(row, part, mark)
    value: Node = _scalar(cell, mark)
    if name.endswith(_LIST):
        texts: list[Node] = [_scalar(text, mark) for text in cell.split()]
        value = SequenceNode("tag:yaml.org,2002:seq", texts, mark, mark)
    row.value.append((_scalar(last, mark), value))


def _below(row: MappingNode, part: str, mark: yaml.Mark) -> MappingNode:
    for key, value in row.value:
        if key.value == part and isinstance(value, MappingNode):
            return value
    below = MappingNode("tag:yaml.org,2002:map", [], mark, mark)
    row.value.append((_scalar(part, mark), below))
    return below
