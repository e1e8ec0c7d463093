"""Paths of jobs stay inside the job's directory; reading stays within its limits."""

from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from provider_agent.storage.base import (
    OutputFile,
    OutputLimits,
    RefusedOutput,
    bounded,
    job_path,
)


@pytest.mark.parametrize("text", ["rows.csv", "a/b/c", "a b", "数据/行.csv", "...", "a//b", "./a"])
def test_a_relative_path_is_accepted(text: str) -> None:
    assert job_path(text) == PurePosixPath(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "/etc/passwd", "..", "a/../b", "../a", "a\nb", "a\0b", "\ud800", "x" * 256, "a/" * 600],
)
def test_a_path_that_leads_out_or_hides_something_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        job_path(text)


@given(st.text(max_size=40))
def test_whatever_is_accepted_stays_inside(text: str) -> None:
    try:
        path = job_path(text)
    except Rejected:
        return
    assert (PurePosixPath("/job/in") / path).is_relative_to("/job/in")
    assert ".." not in path.parts


def _entries(*sizes: int) -> Iterator[OutputFile | RefusedOutput]:
    for number, size in enumerate(sizes):
        yield OutputFile(path=PurePosixPath(str(number)), size=size, chunks=iter(()))


def test_a_file_beyond_the_bytes_is_refused_and_smaller_ones_still_fit() -> None:
    read = list(bounded(_entries(4, 7, 6), OutputLimits(files=9, total_bytes=10)))
    assert [isinstance(entry, OutputFile) for entry in read] == [True, False, True]
    assert read[1] == RefusedOutput(path="1", reason="too large")


def test_too_many_files_end_the_walk() -> None:
    read = list(bounded(_entries(*[0] * 50), OutputLimits(files=3, total_bytes=10)))
    assert read[3:] == [RefusedOutput(path="3", reason="too many files")]
