"""The compiled contracts as the node reads them: from committed files, with the standard library alone."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ARTIFACTS = Path(__file__).parent / "artifacts"
NAMES = ("ComputeMarket", "ReplicaJury", "TestToken")
STANDARD_SUFFIX = ".standard.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One contract: its ABI as JSON gives it, the code that deploys it and the code that then runs.

    `integrity` is the compiler's hash over all of its sources, `compiler` the exact version. Method
    identifiers are signature to selector; `userdoc` and `devdoc` are the NatSpec of the sources.
    """

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime_bytecode: bytes
    integrity: str
    compiler: str
    evm_version: str
    method_identifiers: dict[str, str]
    userdoc: dict[str, Any]
    devdoc: dict[str, Any]
    immutable_bytes: int
    storage_layout: dict[str, Any]


@cache
def artifact(name: str) -> Artifact:
    """The committed artifact of one of `NAMES`; `FileNotFoundError` for other names."""
    raw = json.loads((ARTIFACTS / f"{name}.json").read_text("utf-8"))
    return Artifact(
        name=raw["contract"],
        abi=raw["abi"],
        bytecode=bytes.fromhex(raw["bytecode"][2:]),
        runtime_bytecode=bytes.fromhex(raw["runtime_bytecode"][2:]),
        integrity=raw["integrity"],
        compiler=raw["compiler"],
        evm_version=raw["evm_version"],
        method_identifiers=raw["method_identifiers"],
        userdoc=raw["userdoc"],
        devdoc=raw["devdoc"],
        immutable_bytes=raw["immutable_bytes"],
        storage_layout=raw["storage_layout"],
    )


def standard_input(name: str) -> str:
    """The committed compiler input (standard JSON) that reproduces the artifact of one of `NAMES`."""
    return (ARTIFACTS / f"{name}{STANDARD_SUFFIX}").read_text("utf-8")
