"""What is committed is what the sources compile to, fits a chain, and is enough for anybody to check."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak
from vyper.cli.vyper_json import compile_json

from contracts.build import (
    EVM_VERSION,
    MAX_DEPLOYED_BYTES,
    SOURCES,
    compile_contract,
    deployed_size,
    main,
    standard_input,
    text_of,
)
from contracts.loader import ARTIFACTS, NAMES, artifact
from contracts.loader import standard_input as committed_input

OURS = ("ComputeMarket", "ReplicaJury")


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_artifact_is_the_compiled_source(name: str) -> None:
    committed = (ARTIFACTS / f"{name}.json").read_text("utf-8")
    assert committed == text_of(compile_contract(name)), "run python -m contracts.build"
    assert committed_input(name) == text_of(standard_input(name)), "run python -m contracts.build"


@pytest.mark.parametrize("name", NAMES)
def test_the_loader_reads_what_the_build_wrote(name: str) -> None:
    loaded, compiled = artifact(name), compile_contract(name)
    assert loaded.name == name
    assert loaded.abi == compiled["abi"]
    assert "0x" + loaded.bytecode.hex() == compiled["bytecode"]
    assert loaded.evm_version == EVM_VERSION
    for part in ("integrity", "userdoc", "devdoc", "method_identifiers", "storage_layout"):
        assert getattr(loaded, part) == compiled[part]


def test_an_artifact_that_does_not_exist_is_not_loaded() -> None:
    with pytest.raises(FileNotFoundError):
        artifact("Nothing")
    with pytest.raises(FileNotFoundError):
        committed_input("Nothing")


@pytest.mark.parametrize("name", NAMES)
def test_the_deployed_code_fits_a_chain_with_its_immutable_values(name: str) -> None:
    code, values = artifact(name).runtime_bytecode, artifact(name).immutable_bytes
    assert 0 < deployed_size(compile_contract(name)) == len(code) + values <= MAX_DEPLOYED_BYTES
    assert code in artifact(name).bytecode


@pytest.mark.parametrize("name", NAMES)
def test_the_standard_json_reproduces_the_committed_bytecode(name: str) -> None:
    output: dict[str, Any] = compile_json(json.loads(committed_input(name)))
    made = output["contracts"][f"contracts/{name}.vy"][name]
    assert made["evm"]["bytecode"]["object"] == "0x" + artifact(name).bytecode.hex()
    assert made["evm"]["deployedBytecode"]["object"] == "0x" + artifact(name).runtime_bytecode.hex()
    assert made["abi"] == artifact(name).abi
    assert made["devdoc"] == artifact(name).devdoc


@pytest.mark.parametrize("name", NAMES)
def test_the_standard_json_is_the_compilers_own(name: str) -> None:
    options = ["-f", "solc_json", "--evm-version", EVM_VERSION, "-O", "gas", f"contracts/{name}.vy"]
    told = subprocess.run(
        [Path(sys.executable).with_name("vyper"), *options],
        cwd=SOURCES.parent,
        capture_output=True,
        check=True,
    )
    theirs, ours = json.loads(told.stdout), json.loads(committed_input(name))
    assert {path: source["content"] for path, source in theirs["sources"].items()} == {
        path: source["content"] for path, source in ours["sources"].items()
    }
    for part in ("compiler_version", "integrity", "language"):
        assert theirs[part] == ours[part]


@pytest.mark.parametrize("name", NAMES)
def test_a_method_identifier_is_the_hash_of_its_signature(name: str) -> None:
    identifiers = artifact(name).method_identifiers
    assert identifiers == {s: "0x" + keccak(text=s)[:4].hex() for s in identifiers}
    functions = [entry["name"] for entry in artifact(name).abi if entry["type"] == "function"]
    assert sorted(functions) == sorted(signature.partition("(")[0] for signature in identifiers)


@pytest.mark.parametrize("name", OURS)
def test_every_external_function_is_explained_with_all_its_parameters(name: str) -> None:
    notices = {s.partition("(")[0] for s in artifact(name).userdoc["methods"]}
    details = {s.partition("(")[0]: d for s, d in artifact(name).devdoc["methods"].items()}
    for entry in artifact(name).abi:
        if entry["type"] != "function":
            continue
        assert entry["name"] in notices, f"{entry['name']} has no @notice"
        detail = details.get(entry["name"], {})
        assert {i["name"] for i in entry["inputs"]} == set(detail.get("params", {})), entry["name"]
        assert bool(entry["outputs"]) == ("returns" in detail), entry["name"]


@pytest.mark.parametrize("name", NAMES)
def test_each_contract_says_what_it_is_and_under_which_license(name: str) -> None:
    assert artifact(name).devdoc["license"] == "Apache-2.0"
    assert artifact(name).devdoc["title"]
    assert artifact(name).userdoc["notice"]


def test_the_check_passes_on_what_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert "unchanged" in capsys.readouterr().out


def test_the_check_fails_where_an_artifact_is_stale_and_a_build_mends_it(tmp_path: Path) -> None:
    assert main(["--check"], tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    for name in ("TestToken.json", "ReplicaJury.standard.json"):
        (tmp_path / name).write_text("{}", "utf-8")
        assert main(["--check"], tmp_path) == 1
        assert main([], tmp_path) == 0
