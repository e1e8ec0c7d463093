"""The compiled contracts as the node reads them: from committed files, with the standard library alone."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ARTIFACTS = Path(__file__).parent / "artifacts"
NAMES = ("ComputeMarket", "TestToken")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One contract: its ABI as JSON gives it, the code that deploys it and the code that then runs.

    `integrity` is the compiler's hash over all of its sources, `compiler` the exact version.
    """

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime_bytecode: bytes
    integrity: str
    compiler: str
    evm_version: str


@cache
def artifact(name: str) -> Artifact:
    """The committed artifact of `ComputeMarket` or `TestToken`; `FileNotFoundError` for other names."""
    raw = json.loads((ARTIFACTS / f"{name}.json").read_text("utf-8"))
    return Artifact(
        name=raw["contract"],
        abi=raw["abi"],
        bytecode=bytes.fromhex(raw["bytecode"][2:]),
        runtime_bytecode=bytes.fromhex(raw["runtime_bytecode"][2:]),
        integrity=raw["integrity"],
        compiler=raw["compiler"],
        evm_version=raw["evm_version"],
    )
