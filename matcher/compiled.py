"""Compiled functions: one way to declare them, so that nothing is ever compiled while a bid waits.

A function with explicit signatures is compiled when its module is first imported, and the machine code is
kept on disk for the next process. The compiler looks only at the file that a function stands in to tell
whether kept code is stale; functions here use others and constants across files. So what is kept goes to a
folder named after the contents of all of the package's files that the function's file imports.
"""

import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

Numbers: TypeAlias = NDArray[np.int64]
"""whole numbers: what compiled functions decide in"""

_PACKAGE = Path(__file__).parent
_IMPORT = re.compile(r"^from matcher\.([\w.]+) import \(?\s*(\w*)", re.MULTILINE)


@cache
def _imports(source: Path) -> frozenset[Path]:
    """The package's files that a file of it imports."""
    found = set()
    for module, name in _IMPORT.findall(source.read_text()):
        folder = _PACKAGE.joinpath(*module.split("."))
        found |= {file for file in (folder.with_suffix(".py"), folder / f"{name}.py") if file.is_file()}
    return frozenset(found)


def _behind(source: Path) -> list[Path]:
    """A file and all that it imports, directly or not."""
    found, new = {source}, {source}
    while new:
        new = {file for known in new for file in _imports(known)} - found
        found |= new
    return sorted(found)


def _fingerprint(source: Path) -> str:
    """Sixteen digits that stand for the contents of a file and of all that it imports."""
    digest = sha256()
    for file in _behind(source):
        digest.update(sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


@cache
def _kept_at(source: Path) -> Path:
    """Where machine code is kept: beside the package, or in the user's cache where that is read-only."""
    name = f"kernels-{_fingerprint(source)}"
    for folder in (_PACKAGE / "__pycache__", Path.home() / ".cache" / "bingwang"):
        try:
            (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        return folder / name
    return _PACKAGE


def compiled(*signatures: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile for exactly these numba signatures (`"int64(int64[::1], int64)"`). Integer division and
    overflow are numba's: values must stay inside 63 bits, which callers see to."""

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        numba.config.CACHE_DIR = str(_kept_at(Path(function.__code__.co_filename).resolve()))  # type: ignore[attr-defined] # numba sets its settings from the environment
        built: Callable[P, R] = numba.njit(list(signatures), cache=True, nogil=True)(function)
        return built

    return declare
