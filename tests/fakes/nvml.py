"""Runs Python against a library of our own in place of the NVIDIA driver's (contract, not hardware).

The unmodified binding loads `libnvidia-ml.so.1` through the dynamic linker, so what is tested is the whole
way from the C boundary up. It runs in a process of its own, because a library is loaded once a process.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SOURCE = Path(__file__).with_name("nvml.c")


def have_compiler() -> bool:
    """Tell whether the library can be built here."""
    return shutil.which("cc") is not None


def build_nvml(directory: Path) -> Path:
    """Build the library in a directory, which is what `LD_LIBRARY_PATH` then names."""
    library = directory / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-o", library, SOURCE], check=True)
    return directory


def with_nvml(directory: Path, code: str, **settings: int) -> str:
    """Run Python code with the library in `directory`; `DEVICES=1` sets `FAKE_NVML_DEVICES`."""
    fakes = {f"FAKE_NVML_{key}": str(value) for key, value in settings.items()}
    environment = os.environ | {"LD_LIBRARY_PATH": str(directory), "PYTHONPATH": str(ROOT)} | fakes
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return done.stdout.strip()
