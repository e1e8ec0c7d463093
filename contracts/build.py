"""Compiles the contracts into `artifacts/`, so that running a node needs no compiler.

The only module that imports the compiler. `python -m contracts.build` writes the artifacts, with
`--check` it writes nothing and exits with 1 where a committed artifact differs from its source.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import vyper
from vyper.compiler import CompilerData
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.output import build_abi_output, build_layout_output
from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings

from contracts.loader import ARTIFACTS, NAMES

SOURCES = Path(__file__).parent
EVM_VERSION = "prague"
MAX_RUNTIME_BYTES = 24_576
"""the limit of deployed code (EIP-170)"""


@cache
def compile_contract(name: str) -> dict[str, Any]:
    """The artifact of one contract: a function of the sources and the compiler's version alone."""
    settings = Settings(evm_version=EVM_VERSION, optimize=OptimizationLevel.GAS)
    # Paths enter the integrity hash, so they are told from the root and not from the machine.
    bundle = FilesystemInputBundle([SOURCES.parent])
    with bundle.search_path(SOURCES), anchor_settings(settings):
        data = CompilerData(bundle.load_file(f"contracts/{name}.vy"), bundle, settings=settings)
        return {
            "contract": name,
            "compiler": vyper.__long_version__,
            "evm_version": EVM_VERSION,
            "optimize": str(settings.optimize),
            "integrity": data.integrity_sum,
            "abi": build_abi_output(data),
            "bytecode": "0x" + data.bytecode.hex(),
            "runtime_bytecode": "0x" + data.bytecode_runtime.hex(),
            "storage_layout": build_layout_output(data)["storage_layout"],
        }


def text_of(artifact: dict[str, Any]) -> str:
    """The bytes that are committed."""
    return json.dumps(artifact, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str], folder: Path = ARTIFACTS) -> int:
    """Write or check every artifact in `folder`; the exit status."""
    stale = False
    for name in NAMES:
        artifact = compile_contract(name)
        size = (len(artifact["runtime_bytecode"]) - 2) // 2
        path = folder / f"{name}.json"
        fresh = path.exists() and path.read_text("utf-8") == text_of(artifact)
        stale |= not fresh
        if "--check" not in arguments:
            path.write_text(text_of(artifact), "utf-8")
        state = "unchanged" if fresh else "differs"
        sys.stdout.write(f"{name}: {size} of {MAX_RUNTIME_BYTES} bytes of runtime code, {state}\n")
        if size > MAX_RUNTIME_BYTES:
            return 1
    return int(stale and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
