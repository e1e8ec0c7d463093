"""What a command says, and where: results on stdout (one JSON document with --json), all else on stderr.

rich is imported when something is shown, so that `--help` and scripts stay quick.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.market.errors import Rejected
from node.buying.progress import Progress, no_progress

if TYPE_CHECKING:
    from rich.console import Console

_PIPED_WIDTH = 200
"""columns where no terminal says: whole ids on one line, for grep"""
Render = Callable[["Console"], None]


class Output:
    """One command's two streams."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, plain: Mapping[str, Any], render: Render) -> None:
        """The command's result: the document, or its picture for people."""
        if self.as_json:
            document(plain)
        else:
            render(console())

    def note(self, words: str) -> None:
        """One line for people, beside the result."""
        console(stderr=True).print(words, highlight=False, soft_wrap=True)

    @contextmanager
    def progress(self, *, counted: bool = False) -> Iterator[Progress]:
        """Bars on a terminal, silence elsewhere; of bytes, or `counted` things."""
        if self.as_json or not sys.stderr.isatty():
            yield no_progress
            return
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bars

        amount = (
            (MofNCompleteColumn(), TimeRemainingColumn())
            if counted
            else (DownloadColumn(), TransferSpeedColumn())
        )
        columns = (TextColumn("{task.description}"), BarColumn(), *amount)
        with Bars(*columns, console=console(stderr=True), transient=True) as bars:
            tasks: dict[str, Any] = {}

            def show(name: str, done: int, total: int) -> None:
                if name not in tasks:
                    tasks[name] = bars.add_task(name, total=total)
                bars.update(tasks[name], completed=done, total=total)

            yield show


def document(plain: Mapping[str, Any]) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def write_file(file: Path, content: bytes) -> None:
    """A result into a file that the caller named, its folder made where it is missing; `Rejected`
    "file-not-written" where that cannot be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as exc:
        raise Rejected(
            "file-not-written", f"{file} cannot be written: {exc.strerror}.", "Name another file."
        ) from exc


def line(plain: Mapping[str, Any]) -> None:
    """One JSON document on one line: for streams, which have no last one."""
    sys.stdout.write(json.dumps(plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    shown = Console(stderr=stderr)
    return shown if shown.is_terminal else Console(stderr=stderr, width=_PIPED_WIDTH)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Render:
    """A table of texts; what comes from others is shown as it is, never read as markup."""

    def render(out: "Console") -> None:
        from rich.table import Table
        from rich.text import Text

        shown = Table(title=title, title_justify="left", header_style="bold", expand=False)
        for column in columns:
            shown.add_column(column, overflow="fold")
        for row in rows:
            shown.add_row(*(Text(printable(str(cell))) for cell in row))
        out.print(shown)

    return render


def pairs(rows: Mapping[str, object]) -> Render:
    """Names and values, one a line; empty values are left out."""

    def render(out: "Console") -> None:
        from rich.table import Table
        from rich.text import Text

        shown = Table.grid(padding=(0, 2))
        for name, value in rows.items():
            if value not in (None, "", [], ()):
                shown.add_row(Text(name, style="bold"), Text(printable(_words(value)), overflow="fold"))
        out.print(shown)

    return render


def _words(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def printable(value: str) -> str:
    """Without control characters: a job's name or cause must not steer the reader's terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in value)
