"""The command line of the soak: how many events, what happened to the books, and whether they agree."""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.figures import Figure, at_least, at_most, write
from scripts.soaking.soak import Soak, Soaked

console = Console()


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """What was asked for; wrong ones exit with 2."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak_books", description="Random markets, reorganisations and crashes for the books."
    )
    parser.add_argument("--events", type=int, default=100_000, help="how many market events to record")
    parser.add_argument("--seed", type=int, help="of the dice; chosen at random otherwise")
    parser.add_argument("--books", help="an empty database to use, instead of a file of its own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("--called-from", type=Path, default=Path(), help=argparse.SUPPRESS)
    asked = parser.parse_args(given)
    if asked.events < 1:
        parser.error("--events must be at least 1")
    return asked


def main(given: Sequence[str]) -> int:
    asked = arguments(given)
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bingwang-soak-") as folder:
        found = run(asked.books or str(Path(folder) / "books.db"), seed, asked.events)
    seconds = time.monotonic() - started
    told = ", ".join(f"{count:,} {name}" for name, count in found.happened.items())
    console.print(f"seed {seed}: {told}; deepest reorganisation {found.deepest}; {seconds:.0f} s")
    for one in found.differences[:20]:
        console.print(f"DIFFERS {one.table} {one.row} {one.field}: {one.ours} instead of {one.chain}")
    if asked.json:
        details = {"seed": seed, "seconds": round(seconds, 1), "happened": dict(found.happened)}
        details |= {"event_kinds": dict(found.events.most_common())}
        write(asked.called_from / asked.json, figures(found, asked.events), **details)
    return 1 if found.differences else 0


def run(url: str, seed: int, events: int) -> Soaked:
    """The soak with a bar, for whoever watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("events", total=events)
        return Soak(url, seed).run(events, lambda done: bar.update(task, completed=done))


def figures(found: Soaked, events: int) -> list[Figure]:
    return [
        at_least("market events recorded", found.happened["events"], "events", events),
        at_most("differences from the chain", len(found.differences), "", 0),
        at_most("deepest reorganisation", found.deepest, "blocks", None),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
