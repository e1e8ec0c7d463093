"""Why a kill is safe, shown instead of claimed: `scripts/kill_chain --times 100 --json FILE`."""

import argparse
import secrets
import tempfile
from pathlib import Path

from scripts.killing.trial import Trial, document, kill_repeatedly


def main() -> int:
    """Run the trials; 0 where nothing acknowledged was lost (anything else raises)."""
    arguments = _arguments()
    seen: list[Trial] = []

    def show(trial: Trial) -> None:
        seen.append(trial)
        bar = "█" * (30 * len(seen) // arguments.times)
        print(
            f"\r{bar:30} {len(seen)}/{arguments.times} killed, {trial.acknowledged} kept, head {trial.head}",
            end="",
            flush=True,
        )

    with tempfile.TemporaryDirectory() as folder:
        trials = kill_repeatedly(Path(folder), arguments.times, arguments.seed, show)
    print()
    if arguments.json:
        Path(arguments.json).write_text(document(trials, arguments.seed), encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill a chain under load; check what it had acknowledged.")
    parser.add_argument("--times", type=int, default=100, help="how many kills (100)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="for the same pauses")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
