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
from vyper.compiler.output import (
    build_abi_output,
    build_devdoc,
    build_layout_output,
    build_method_identifiers_output,
    build_userdoc,
)
from vyper.compiler.output_bundle import OutputBundle
from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings

from contracts.loader import ARTIFACTS, NAMES, STANDARD_SUFFIX

SOURCES = Path(__file__).parent
EVM_VERSION = "prague"
OPTIMIZED_FOR = {
    "ComputeMarket": OptimizationLevel.CODESIZE,
    "ReplicaJury": OptimizationLevel.GAS,
    "TestToken": OptimizationLevel.GAS,
}
"""the market would not fit a chain otherwise; what it saves in bytes its hot path uses up for less gas"""
MAX_DEPLOYED_BYTES = 24_576
"""what may stand at an address (EIP-170): runtime code and immutable values"""


@cache
def compile_contract(name: str) -> dict[str, Any]:
    """The artifact of one contract: a function of the sources and the compiler's version alone."""
    return _compiled(name)[0]


@cache
def standard_input(name: str) -> dict[str, Any]:
    """What makes the compiler, anywhere, repeat the artifact: standard JSON as block explorers take it."""
    return _compiled(name)[1]


@cache
def _compiled(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    settings = Settings(evm_version=EVM_VERSION, optimize=OPTIMIZED_FOR[name])
    # Paths enter the integrity hash, so they are told from the root and not from the machine.
    bundle = FilesystemInputBundle([SOURCES.parent])
    with anchor_settings(settings):
        data = CompilerData(bundle.load_file(f"contracts/{name}.vy"), bundle, settings=settings)
        return _artifact(name, data, settings), _standard_input(name, data, settings)


def _artifact(name: str, data: CompilerData, settings: Settings) -> dict[str, Any]:
    return {
        "contract": name,
        "compiler": vyper.__long_version__,
        "evm_version": EVM_VERSION,
        "optimize": str(settings.optimize),
        "integrity": data.integrity_sum,
        "abi": build_abi_output(data),
        # The compiler drops leading zeros.
        "method_identifiers": {
            signature: f"0x{int(selector, 16):08x}"
            for signature, selector in build_method_identifiers_output(data).items()
        },
        "userdoc": build_userdoc(data),
        "devdoc": build_devdoc(data),
        "bytecode": "0x" + data.bytecode.hex(),
        "runtime_bytecode": "0x" + data.bytecode_runtime.hex(),
        # Values fixed at the deployment stand behind the runtime code.
        "immutable_bytes": data.global_ctx.immutable_section_bytes,
        "storage_layout": build_layout_output(data)["storage_layout"],
    }


def _standard_input(name: str, data: CompilerData, settings: Settings) -> dict[str, Any]:
    # The compiler's own writer tells paths from the working directory, so that one cannot be committed.
    sources = {
        Path(source.resolved_path).relative_to(SOURCES.parent).as_posix(): source
        for source in OutputBundle(data).source_codes.values()
    }
    return {
        "language": "Vyper",
        "compiler_version": f"v{vyper.__long_version__}",
        "integrity": data.integrity_sum,
        "settings": {
            "evmVersion": EVM_VERSION,
            "optimize": str(settings.optimize),
            "outputSelection": {f"contracts/{name}.vy": ["*"]},
            "search_paths": ["."],
        },
        "sources": {
            path: {"content": source.contents, "sha256sum": source.sha256sum}
            for path, source in sorted(sources.items())
        },
    }


def text_of(artifact: dict[str, Any]) -> str:
    """The bytes that are committed."""
    return json.dumps(artifact, indent=1, sort_keys=True) + "\n"


def deployed_size(artifact: dict[str, Any]) -> int:
    """Bytes that a deployment leaves at the contract's address."""
    code: str = artifact["runtime_bytecode"]
    return len(bytes.fromhex(code[2:])) + int(artifact["immutable_bytes"])


def main(arguments: list[str], folder: Path = ARTIFACTS) -> int:
    """Write or check every artifact in `folder`; the exit status."""
    stale = False
    for name in NAMES:
        artifact = compile_contract(name)
        size = deployed_size(artifact)
        texts = {
            folder / f"{name}.json": text_of(artifact),
            folder / f"{name}{STANDARD_SUFFIX}": text_of(standard_input(name)),
        }
        fresh = all(path.exists() and path.read_text("utf-8") == text for path, text in texts.items())
        stale |= not fresh
        if "--check" not in arguments:
            for path, text in texts.items():
                path.write_text(text, "utf-8")
        state = "unchanged" if fresh else "differs"
        sys.stdout.write(f"{name}: {size} of {MAX_DEPLOYED_BYTES} bytes deployed, {state}\n")
        if size > MAX_DEPLOYED_BYTES:
            return 1
    return int(stale and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
