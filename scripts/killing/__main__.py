"""Why a kill is safe, shown instead of claimed: `scripts/kill_chain --times 100 --json FILE`."""

import argparse
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from scripts.figures import at_least, at_most, command_line, write
from scripts.killing.trial import Trial, kill_repeatedly

console = Console()


def main() -> int:
    """Run the trials; 0 where nothing acknowledged was lost (anything else raises)."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        trials = run(Path(folder), arguments.times, arguments.seed)
    console.print(f"{len(trials)} {told(trials[-1])}")
    if arguments.json:
        tell(arguments.json, trials, arguments.times, arguments.seed)
    return 0


def run(folder: Path, times: int, seed: int) -> list[Trial]:
    """The trials with a bar, for whoever watches."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("killed", total=times)

        def show(trial: Trial) -> None:
            bar.update(task, advance=1, description=told(trial))

        return kill_repeatedly(folder, times, seed, show)


def told(newest: Trial) -> str:
    """How far it is, in words."""
    return f"killed, {newest.acknowledged} kept, head {newest.head}"


def tell(path: Path, trials: Sequence[Trial], times: int, seed: int) -> None:
    """The trials as every measurement leaves its figures; the last one has the totals, a loss had raised."""
    last = trials[-1]
    write(
        path,
        [
            at_least("kills survived", len(trials), "kills", times),
            at_most("acknowledged and lost", 0, "transactions", 0),
        ],
        kills=len(trials),
        seed=seed,
        acknowledged=last.acknowledged,
        transactions=last.transactions,
        head=last.head,
        lost=0,
        lives=[round(trial.life, 3) for trial in trials],
    )


def _arguments() -> argparse.Namespace:
    parser = command_line("Kill a chain under load; check what it had acknowledged.")
    parser.add_argument("--times", type=int, default=100, help="how many kills (100)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="for the same pauses")
    asked = parser.parse_args()
    if asked.times < 1:
        parser.error("--times must be at least 1")
    return asked


if __name__ == "__main__":
    raise SystemExit(main())
