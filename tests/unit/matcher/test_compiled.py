"""Kept machine code is found by the same sources alone."""

from pathlib import Path

import matcher.compiled
from matcher.compiled import compiled

HERE = Path(matcher.compiled.__file__).parent


@compiled("int64(int64)")
def twice(number: int) -> int:
    return 2 * number


def test_a_compiled_function_does_what_it_says() -> None:
    assert twice(21) == 42
    assert twice.signatures  # type: ignore[attr-defined] # numba's dispatcher, compiled before the first call


def test_what_is_behind_a_kernel_is_every_file_that_it_imports() -> None:
    behind = matcher.compiled._behind(HERE / "index" / "search.py")
    assert HERE / "index" / "layout.py" in behind
    assert HERE / "compiled.py" in behind
    assert HERE / "clearing.py" not in behind
