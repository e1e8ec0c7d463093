"""Where the tests' Docker engine is: `scripts/engine` finds one or starts one."""

import os
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


@cache
def engine_url() -> str:
    """URL of an engine that answers, started at the first call where there was none."""
    started = subprocess.run(
        [ROOT / "scripts" / "engine", "start"], check=True, stdout=subprocess.PIPE, text=True
    )
    return started.stdout.strip()


@cache
def busybox_image() -> str:
    """Config digest of the busybox image that most tests run, built at the first call."""
    return _image("busybox")


@cache
def python_image() -> str:
    """Config digest of the image with python3 and numpy, built at the first call (about 80 s)."""
    return _image("python")


def _image(which: str) -> str:
    built = subprocess.run(
        [ROOT / "scripts" / "base_image", which],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"DOCKER_HOST": engine_url()},
    )
    return built.stdout.split()[1]
