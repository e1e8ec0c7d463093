"""A trace is read whole, or refused with the file and line that is wrong."""

from pathlib import Path

import pytest

from ledger.market.errors import Rejected
from matcher.replay import files
from matcher.replay.files import Machine, Task

MACHINES = "sn,cpu_milli,memory_mib,gpu,model\n"
TASKS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_machines_are_read_in_their_order(tmp_path: Path) -> None:
    path = written(tmp_path, f"{MACHINES}a,64000,262144,2,P100\nb,8000,1024,0,\n")
    assert files.machines(path) == (
        Machine(cpu=64_000, memory=262_144, gpus=2, model="P100"),
        Machine(cpu=8_000, memory=1_024, gpus=0, model=""),
    )


def test_tasks_are_read_with_the_models_they_admit(tmp_path: Path) -> None:
    path = written(tmp_path, f"{TASKS}a,6000,12288,1,460,T4|P100,LS\nb,9,9,0,0,,BE\n")
    assert files.tasks(path) == (
        Task(cpu=6_000, memory=12_288, gpus=1, share=460, models=frozenset({"T4", "P100"})),
        Task(cpu=9, memory=9, gpus=0, share=0, models=frozenset()),
    )


def test_columns_are_found_by_name_behind_a_byte_order_mark(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffmodel,gpu,memory_mib,cpu_milli\r\nT4,2,5,7\r\n\r\n")
    assert files.machines(path) == (Machine(cpu=7, memory=5, gpus=2, model="T4"),)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "names cpu_milli 0 times"),
        ("sn,cpu_milli,memory_mib,gpu,gpu,model\n", 1, "names gpu 2 times"),
        (MACHINES, 1, "no row follows"),
        (f"{MACHINES}a,1,1,1,T4\nb,1,1,1\n", 3, "has 4 fields, the header 5"),
        (f"{MACHINES}a,1.5,1,1,T4\n", 2, "cpu_milli is '1.5'"),
        (f"{MACHINES}a,1,-1,1,T4\n", 2, "memory_mib is '-1'"),
        (f"{MACHINES}a,1,,1,T4\n", 2, "memory_mib is ''"),
        (f"{MACHINES}a,{'9' * 30},1,1,T4\n", 2, "cpu_milli is"),
        (f"{MACHINES}a,1,1,65,T4\n", 2, "gpu is 65"),
        (f"{MACHINES}a,1,1,1,\n", 2, "model is empty"),
        (f'{MACHINES}a,1,1,1,"T4\n', 2, "unexpected end of data"),
    ],
)
def test_a_malformed_machine_is_named(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(Rejected) as refused:
        files.machines(path)
    assert refused.value.facts == {"file": str(path), "line": line}
    assert what in refused.value.cause


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a,1,1,1,1001,,LS", "gpu_milli is 1001"),
        ("a,1,1,1,0,,LS", "gpu_milli is 0"),
        ("a,1,1,0,500,,LS", "gpu_milli is 500 of no GPU"),
        ("a,1,1,99,1000,,LS", "num_gpu is 99"),
        ("a,1,1,x,1000,,LS", "num_gpu is 'x'"),
    ],
)
def test_a_malformed_task_is_named(tmp_path: Path, row: str, what: str) -> None:
    with pytest.raises(Rejected) as refused:
        files.tasks(written(tmp_path, f"{TASKS}{row}\n"))
    assert what in refused.value.cause
    assert refused.value.facts["line"] == 2


def test_an_order_is_read_across_lines(tmp_path: Path) -> None:
    assert files.order(written(tmp_path, "2 0\n\n1\t1\n"), 3) == (2, 0, 1, 1)


@pytest.mark.parametrize("word", ["3", "-1", "x", "1.0", "9" * 5_000])
def test_an_order_of_unknown_tasks_is_named(tmp_path: Path, word: str) -> None:
    with pytest.raises(Rejected) as refused:
        files.order(written(tmp_path, f"0 1\n2 {word}\n"), 3)
    assert refused.value.facts["line"] == 2


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="cannot be read: No such file"):
        files.tasks(tmp_path / "none.csv")


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(MACHINES.encode() + b"a,1,1,1,\xff\n")
    with pytest.raises(Rejected, match="line 2: the text is not UTF-8"):
        files.machines(path)
