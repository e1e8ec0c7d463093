"""Files: a cluster's machines, its tasks and an order of arrival in the openb format, read strictly.

A figure computed from a half-read trace would look like any other, so a row that does not make sense is
refused with its file and line.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ledger.market.errors import Rejected
from matcher.devices import WHOLE
from matcher.fragmentation.fleet import MOST_DEVICES

_MOST = 1 << 40
_MACHINE = ("cpu_milli", "memory_mib", "gpu", "model")
_TASK = ("cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine: milli-cores, MiB, whole GPUs and their model."""

    cpu: int
    memory: int
    gpus: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: milli-cores, MiB, and `share` milli of each of `gpus` of one of `models` (empty: of any)."""

    cpu: int
    memory: int
    gpus: int
    share: int
    models: frozenset[str]

    @property
    def gpu(self) -> int:
        """Milli of all its GPUs together."""
        return self.gpus * self.share


class _Fault(ValueError):
    """What is wrong with one row."""


Read = TypeVar("Read")


def machines(path: Path) -> tuple[Machine, ...]:
    """The machines of a file, in its order; `Rejected` names file and line of what is wrong."""
    return tuple(_rows(path, _MACHINE, _machine))


def tasks(path: Path) -> tuple[Task, ...]:
    """The tasks of a file, in its order; `Rejected` names file and line of what is wrong."""
    return tuple(_rows(path, _TASK, _task))


def order(path: Path, known: int) -> tuple[int, ...]:
    """Task numbers from 0, separated by white space, each below `known`; a task may arrive repeatedly."""
    numbers: list[int] = []
    for line, text in enumerate(_text(path).splitlines(), start=1):
        for word in text.split():
            if not (word.isascii() and word.isdigit()) or len(word) > len(str(_MOST)) or int(word) >= known:
                raise _refused(path, line, f"{word[:40]!r} is no task from 0 to {known - 1}")
            numbers.append(int(word))
    return tuple(numbers)


def _machine(row: Sequence[str]) -> Machine:
    cpu, memory, gpus = (_number(name, text) for name, text in zip(_MACHINE, row[:3], strict=False))
    if gpus > MOST_DEVICES:
        raise _Fault(f"gpu is {gpus}, more than {MOST_DEVICES}")
    if gpus and not row[3].strip():
        raise _Fault("model is empty on a machine with GPUs")
    return Machine(cpu=cpu, memory=memory, gpus=gpus, model=row[3].strip())


def _task(row: Sequence[str]) -> Task:
    cpu, memory, gpus, share = (_number(name, text) for name, text in zip(_TASK, row[:4], strict=False))
    if gpus > MOST_DEVICES:
        raise _Fault(f"num_gpu is {gpus}, more than {MOST_DEVICES}")
    if gpus and not 0 < share <= WHOLE:
        raise _Fault(f"gpu_milli is {share}, not 1 to {WHOLE}")
    if not gpus and share:
        raise _Fault(f"gpu_milli is {share} of no GPU")
    models = frozenset(name.strip() for name in row[4].split("|")) - {""}
    return Task(cpu=cpu, memory=memory, gpus=gpus, share=share, models=models)


def _number(name: str, text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_MOST)) or int(text) >= _MOST:
        raise _Fault(f"{name} is {text[:40]!r}, not a whole number below {_MOST}")
    return int(text)


def _rows(path: Path, names: Sequence[str], read: Callable[[Sequence[str]], Read]) -> list[Read]:
    lines = csv.reader(_text(path).splitlines(), strict=True)
    try:
        found = [read(row) for row in _cells(lines, names)]
    except (_Fault, csv.Error) as fault:
        raise _refused(path, max(1, lines.line_num), str(fault)) from fault
    if not found:
        raise _refused(path, max(1, lines.line_num), "no row follows the header")
    return found


def _cells(lines: Iterator[list[str]], names: Sequence[str]) -> Iterator[list[str]]:
    """The named columns of each row."""
    header = [name.strip() for name in next(lines, [])]
    columns = [_column(header, name) for name in names]
    for row in lines:
        if row and len(row) != len(header):
            raise _Fault(f"the row has {len(row)} fields, the header {len(header)}")
        if row:
            yield [row[column] for column in columns]


def _column(header: Sequence[str], name: str) -> int:
    if header.count(name) != 1:
        raise _Fault(f"the header names {name} {header.count(name)} times, not once")
    return header.index(name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as fault:
        line = fault.object[: fault.start].count(b"\n") + 1
        raise _refused(path, line, "the text is not UTF-8") from fault
    except OSError as fault:
        raise Rejected(
            "file-unreadable",
            f"{path} cannot be read: {fault.strerror}.",
            "Name a file that exists.",
            file=str(path),
        ) from fault


def _refused(path: Path, line: int, what: str) -> Rejected:
    return Rejected(
        "file-malformed", f"{path}, line {line}: {what}.", "Mend the line.", file=str(path), line=line
    )
