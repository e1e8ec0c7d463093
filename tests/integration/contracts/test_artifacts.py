"""What is committed is what the sources compile to, and fits a chain."""

from pathlib import Path

import pytest

from contracts.build import EVM_VERSION, MAX_RUNTIME_BYTES, compile_contract, main, text_of
from contracts.loader import ARTIFACTS, NAMES, artifact


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_artifact_is_the_compiled_source(name: str) -> None:
    committed = (ARTIFACTS / f"{name}.json").read_text("utf-8")
    assert committed == text_of(compile_contract(name)), "run python -m contracts.build"


@pytest.mark.parametrize("name", NAMES)
def test_the_loader_reads_what_the_build_wrote(name: str) -> None:
    loaded, compiled = artifact(name), compile_contract(name)
    assert loaded.name == name
    assert loaded.abi == compiled["abi"]
    assert "0x" + loaded.bytecode.hex() == compiled["bytecode"]
    assert loaded.integrity == compiled["integrity"]
    assert loaded.evm_version == EVM_VERSION


def test_an_artifact_that_does_not_exist_is_not_loaded() -> None:
    with pytest.raises(FileNotFoundError):
        artifact("Nothing")


@pytest.mark.parametrize("name", NAMES)
def test_the_runtime_code_fits_a_chain(name: str) -> None:
    code = artifact(name).runtime_bytecode
    assert 0 < len(code) <= MAX_RUNTIME_BYTES
    assert code in artifact(name).bytecode


def test_the_check_passes_on_what_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert "unchanged" in capsys.readouterr().out


def test_the_check_fails_where_an_artifact_is_stale_and_a_build_mends_it(tmp_path: Path) -> None:
    assert main(["--check"], tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "TestToken.json").write_text("{}", "utf-8")
    assert main(["--check"], tmp_path) == 1
