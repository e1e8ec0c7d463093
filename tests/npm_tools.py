"""Outside tools of the tests: fetched by `scripts/npm_package` at first, node from the host."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@cache
def npm_tool(name: str) -> str:
    """Where it lies; a host that cannot reach the npm registry fails here, with the reason."""
    command = [str(ROOT / "scripts" / "npm_package"), name]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def node() -> str:
    """The JavaScript engine. Its absence fails as root, who could have installed it, and else skips."""
    found = shutil.which("node")
    if found is None and os.getuid() != 0:
        pytest.skip("node is not installed; as root: apt-get install nodejs")
    assert found is not None, "node is not installed: scripts/apt nodejs"
    return found
