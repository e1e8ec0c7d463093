"""A bar for what is counted rather than weighed: blocks, lines, rows."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from node.cli.views.output import console

Counted = Callable[[int, int], None]
"""told how many are done, and of how many"""


def _silent(_done: int, _total: int) -> None:
    """Where nobody watches."""


@contextmanager
def counting(name: str, *, as_json: bool) -> Iterator[Counted]:
    """A bar on a terminal, silence elsewhere."""
    if as_json or not sys.stderr.isatty():
        yield _silent
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(name)
        yield lambda done, total: bar.update(task, completed=done, total=total)
