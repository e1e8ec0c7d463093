"""What two processes print whose hashes are seeded otherwise: what hangs on the order of a set differs."""

import os
import subprocess
import sys
from pathlib import Path


def printed_by_two(*arguments: str) -> tuple[str, str]:
    """What Python prints with these arguments, in each; both must end well."""
    return _printed(arguments, "1"), _printed(arguments, "2")


def _printed(arguments: tuple[str, ...], seed: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": seed},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
