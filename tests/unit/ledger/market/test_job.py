"""Job documents: one plain form, read strictly, and nothing in them that could leave the sandbox."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from ledger.market.errors import Rejected
from ledger.market.job import (
    KIND,
    Accelerators,
    Image,
    InputFile,
    Job,
    Times,
    check_path,
    job_from_plain,
    same_but_resized,
)
from tests import strategies as some
from tests.factories import a_job

SHA = "ab" * 32


@given(job=some.jobs)
def test_a_job_comes_back_from_its_document(job: Job) -> None:
    plain = json.loads(json.dumps(job.to_plain()))
    assert job_from_plain(plain) == job
    assert job_from_plain(plain).to_plain() == plain


def test_what_was_not_chosen_is_not_in_the_document() -> None:
    plain = a_job().to_plain()
    assert plain["kind"] == KIND
    assert not {"envs", "inputs", "outputs", "network", "accelerators", "retry"} & set(plain)


def plain_job(**changes: Any) -> dict[str, Any]:
    return a_job().to_plain() | changes


WRONG_DOCUMENTS: list[dict[str, object]] = [
    {"kind": "bingwang/job/2"},
    {"memroy": 5},
    {"cpu": "1000"},
    {"cpu": True},
    {"cpu": 1.5},
    {"max_rate": 5},
    {"max_rate": "-5"},
    {"max_rate": "5e3"},
    {"max_rate": "٣"},
    {"max_rate": "9" * 30},
    {"command": "ls"},
    {"command": []},
    {"command": ["ls", 5]},
    {"envs": {"A": 5}},
    {"envs": {5: "A"}},
    {"envs": {"A=B": "x"}},
    {"envs": ["A=B"]},
    {"image": "busybox"},
    {"image": {"reference": "busybox", "config": "latest"}},
    {"image": {"reference": "busybox", "config": "sha256:" + SHA, "archive": "x"}},
    {"image": {"reference": "busybox", "config": "sha256:" + SHA, "archive_bytes": -1}},
    {"image": {"reference": "busybox", "config": "sha256:" + SHA, "tag": "x"}},
    {"inputs": [{"path": "a", "sha256": SHA}]},
    {"inputs": ["a"]},
    {"accelerators": {"count": 0}},
    {"accelerators": {"count": -1}},
    {"accelerators": {"share": 1001}},
    {"accelerators": {"memory": -1}},
    {"accelerators": {"vendors": "nvidia"}},
    {"accelerators": {"vendors": ["nvidia"]}},
    {"accelerators": {"models": ["b", "a"]}},
    {"accelerators": {"models": ["a", "a"]}},
    {"accelerators": {"models": ["", "a"]}},
    {"accelerators": {"model": "a", "models": ["a", "b"]}},
    {"accelerators": {"profile": "big"}},
    {"accelerators": {"profile": "1g.10gb", "share": 500}},
    {"accelerators": {"floors": {"fp12": 1}}},
    {"accelerators": {"floors": {"fp16": -1}}},
    {"accelerators": {"floors": {"fp16": 1.5}}},
    {"accelerators": {"floors": {5: 1, "fp16": 1}}},
    {"accelerators": {"score": {"weights": {"fp16": 1}}}},
    {"accelerators": {"score": {"weights": {"fp16": 1}, "min": 0}}},
    {"accelerators": {"score": {"weights": {}, "min": 5}}},
    {"accelerators": {"score": {"weights": {"fp16": 101}, "min": 5}}},
    {"prefer": [{"pattern": "lab/*"}]},
    {"prefer": [{"pattern": "lab/*", "bonus": 0}]},
    {"prefer": [{"pattern": "lab/*", "bonus": 10_001}]},
    {"providers": {"allow": ["0x12"]}},
    {"providers": {"allow": ["0x" + "AB" * 20]}},
    {"providers": {"allow": ["0x" + "ab" * 20, "0x" + "01" * 20]}},
    {"providers": {"only": []}},
    {"data": {"region": "eu-west"}},
    {"data": {"region": "mars", "max_latency": 5}},
    {"data": {"region": "eu-west", "max_latency": 0}},
    {"deadline": -1},
    {"deadline": 500},
    {"start_at": 9_000, "deadline": 9_500},
    {"start_at": 9_000, "start_by": 8_999},
    {"interruptible": {"notice": 0}},
    {"interruptible": {"notice": 86_401}},
    {"interruptible": {"notise": 5}},
    {"gang": {"members": 2, "same": "rack"}},
    {"gang": {"members": 2, "same": "provider", "distinct": True}},
    {"gang": {"members": 3, "same": "domain", "agree": 2}, "outputs": ["a"]},
    {"gang": {"members": 3, "agree": 2}, "outputs": ["a"], "interruptible": {"notice": 60}},
    {"max_over_ask": 65_536},
    {"allow": ["LAB/*"]},
    {"deny": [5]},
    {"network": "yes"},
    {"retry": 8},
]


@pytest.mark.parametrize("changes", WRONG_DOCUMENTS, ids=str)
def test_a_wrong_document_is_refused(changes: dict[str, object]) -> None:
    assert job_from_plain(plain_job()) == a_job()
    with pytest.raises(Rejected):
        job_from_plain(plain_job(**changes))


@pytest.mark.parametrize("value", [None, [], "job", 5])
def test_what_is_no_mapping_is_no_job(value: object) -> None:
    with pytest.raises(Rejected):
        job_from_plain(value)


WRONG_JOBS: list[dict[str, object]] = [
    {"name": ""},
    {"name": "../x"},
    {"name": "a" * 64},
    {"command": ()},
    {"command": ("a" * 32_769,)},
    {"command": ("a\0b",)},
    {"envs": (("A", "\0"),)},
    {"envs": (("A", "x"), ("A", "y"))},
    {"cpu": 0},
    {"memory": 15},
    {"disk": 15},
    {"max_seconds": 0},
    {"max_rate": 1 << 96},
    {"outputs": ("a", "a")},
    {"outputs": ("/etc/passwd",)},
    {"inputs": (InputFile(path="a", sha256=SHA, size=1),) * 2},
    {"inputs": (InputFile(path="a", sha256=SHA, size=2 << 30),)},
]


@pytest.mark.parametrize("changes", WRONG_JOBS, ids=lambda changes: str(changes)[:40])
def test_an_impossible_job_cannot_be_built(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        a_job(**changes)


@pytest.mark.parametrize("path", ["a", "a/b.csv", "_x/@y/+z-1"])
def test_a_plain_relative_path_is_taken(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "./a",
        "a b",
        "a\n",
        "a\0",
        "ä",
        "a" * 256,
        "b/" * 300 + "b",
    ],
)
def test_a_path_that_could_leave_the_jobs_folder_is_refused(path: str) -> None:
    with pytest.raises(Rejected, match="plain relative path"):
        check_path(path)


def test_digests_are_whole() -> None:
    assert Image(reference="x", config="sha256:" + SHA, archive=SHA).archive == SHA
    for wrong in ("", SHA, "sha256:" + SHA.upper(), "sha256:" + SHA + "0"):
        with pytest.raises(Rejected):
            Image(reference="x", config=wrong)
    with pytest.raises(Rejected):
        InputFile(path="a", sha256=SHA, size=-1)


def test_accelerators_stay_in_their_ranges() -> None:
    whole = Accelerators(count=255, share=1_000)
    assert replace(whole, share=1).share == 1
    for wrong in ({"count": 256}, {"count": True}, {"share": 0}, {"memory": 1 << 31}):
        with pytest.raises(Rejected):
            replace(whole, **wrong)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"cpu": 2_000, "memory": 4_096, "disk": 9_000, "max_rate": 7, "max_seconds": 9, "retry": 2}, True),
        ({"times": Times(deadline=1 << 33)}, True),
        ({"command": ("other",)}, False),
        ({"notice": 60}, False),
        ({"cpu": 2_000, "name": "other"}, False),
    ],
)
def test_a_job_goes_on_with_other_sizes_and_as_no_other_job(changes: dict[str, Any], same: bool) -> None:
    assert same_but_resized(a_job(), replace(a_job(), **changes)) is same
