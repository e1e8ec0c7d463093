"""A mutant's creation code, from a copy of the sources in which one file is another.

Mutants, and the sources that they are compared with, are compiled without optimisation: that takes two
thirds of the time, and whatever the contract answers is the same. What comes out is larger than a chain
would take (EIP-170), so the replay's EVM takes it (`scripts.mutation.replay`).
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from vyper.ast import nodes
from vyper.compiler import CompilerData
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings
from vyper.exceptions import VyperException
from vyper.ir import compile_ir

from contracts.build import EVM_VERSION, SOURCES
from scripts.mutation.mutants import Mutant

MARKET, JURY = "ComputeMarket", "ReplicaJury"
_SHARED = "types.vy"


Line = tuple[str, int]
"""a source's file name, and a line of it, from 1"""


@dataclass(frozen=True, slots=True)
class Sourced:
    """A contract's runtime code, and the source lines that each of its places was made from."""

    code: bytes
    lines: dict[int, tuple[Line, ...]]


class Workshop:
    """A copy of the contracts' sources below `folder`, for one process."""

    def __init__(self, folder: Path) -> None:
        self._sources = folder / "contracts"
        self._sources.mkdir(parents=True)
        for path in SOURCES.glob("*.vy"):
            shutil.copy(path, self._sources)

    def real(self) -> dict[str, bytes]:
        """Both contracts as the sources have them."""
        return {name: bytes(self._data(name).bytecode) for name in (MARKET, JURY)}

    def sourced(self) -> list[Sourced]:
        """The runtime code of both, as the sources have them."""
        return [_sourced(self._data(name)) for name in (MARKET, JURY)]

    def creation_codes(self, mutant: Mutant) -> dict[str, bytes] | None:
        """The contracts that the mutant is part of, as they come out with it; None where one of them does
        not compile."""
        path = self._sources / mutant.file
        real = path.read_text("utf-8")
        path.write_text(mutant.source, "utf-8")
        try:
            return {name: bytes(self._data(name).bytecode) for name in _touched(mutant.file)}
        except (VyperException, OverflowError, ZeroDivisionError):
            return None
        finally:
            path.write_text(real, "utf-8")

    def _data(self, name: str) -> CompilerData:
        settings = Settings(evm_version=EVM_VERSION, optimize=OptimizationLevel.NONE)
        bundle = FilesystemInputBundle([self._sources.parent])
        with bundle.search_path(self._sources), anchor_settings(settings):
            data = CompilerData(bundle.load_file(f"contracts/{name}.vy"), bundle, settings=settings)
            data.bytecode  # noqa: B018 - compiled lazily, and only here are the sources and settings in place
            return data


def _sourced(data: CompilerData) -> Sourced:
    code, maps = compile_ir.assembly_to_evm(data.assembly_runtime, compiler_metadata=None)
    lines = {place: _lines(node) for place, node in maps["pc_raw_ast_map"].items()}
    return Sourced(bytes(code), lines)


def _lines(node: nodes.VyperNode) -> tuple[Line, ...]:
    """An expression's or a simple statement's own lines; of what has a body its first line alone."""
    file = Path(node.module_node.path).name
    last = node.lineno if getattr(node, "body", None) else node.end_lineno
    return tuple((file, line) for line in range(node.lineno, last + 1))


def _touched(file: str) -> tuple[str, ...]:
    """The contracts that a source file is part of."""
    if file == f"{JURY}.vy":
        return (JURY,)
    return (MARKET, JURY) if file == _SHARED else (MARKET,)
