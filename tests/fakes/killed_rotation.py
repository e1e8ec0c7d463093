"""Rotates a node's key in children that are killed, each one step later, until one gets through.

Run as a process of its own, since it forks: `killed_rotation FOLDER`. A step is whatever Python tells its
auditors of the file system: a file opened, linked, renamed, removed, a folder made. It prints how many
children died; any key that is lost, or a folder without one, ends it with an error.
"""

import os
import signal
import sys
from pathlib import Path

from ledger.market.identity import Address
from node.operator_key import operator_keys, rotate

STEPS = ("open", "os.link", "os.rename", "os.remove", "os.mkdir")


def killed_at(step: int, directory: Path) -> bool:
    """Whether a child that rotates was killed before that step; False where it was through before."""
    child = os.fork()
    if child == 0:
        left = step

        def audit(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in STEPS:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(audit)
        rotate(directory)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def check(directory: Path, known: set[Address]) -> set[Address]:
    """Every account that was ever current is still there; those that are there now."""
    keys = operator_keys(directory)
    assert known <= set(keys.addresses), directory
    return known | {keys.current.address}


def main(folder: Path) -> None:
    deaths, known = 0, check(folder, set())
    while killed_at(deaths, folder):
        deaths += 1
        known = check(folder, known)
    known = check(folder, known)
    assert len(known) >= 2
    print(deaths)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
