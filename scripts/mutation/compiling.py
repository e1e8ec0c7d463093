"""A mutant's creation code, from a copy of the sources in which one file is another.

Mutants, and the sources that they are compared with, are compiled without optimisation: that takes two
thirds of the time, and whatever the contract answers is the same. What comes out is larger than a chain
would take (EIP-170), so the replay's EVM takes it (`scripts.mutation.replay`).
"""

import shutil
from pathlib import Path

from vyper.compiler import CompilerData
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings
from vyper.exceptions import VyperException

from contracts.build import EVM_VERSION, SOURCES
from scripts.mutation.mutants import Mutant

MARKET, JURY = "ComputeMarket", "ReplicaJury"
_SHARED = "types.vy"


class Workshop:
    """A copy of the contracts' sources below `folder`, for one process."""

    def __init__(self, folder: Path) -> None:
        self._sources = folder / "contracts"
        self._sources.mkdir(parents=True)
        for path in SOURCES.glob("*.vy"):
            shutil.copy(path, self._sources)

    def real(self) -> dict[str, bytes]:
        """Both contracts as the sources have them."""
        return {name: self._compile(name) for name in (MARKET, JURY)}

    def creation_codes(self, mutant: Mutant) -> dict[str, bytes] | None:
        """The contracts that the mutant is part of, as they come out with it; None where one of them does
        not compile."""
        path = self._sources / mutant.file
        real = path.read_text("utf-8")
        path.write_text(mutant.source, "utf-8")
        try:
            return {name: self._compile(name) for name in _touched(mutant.file)}
        except (VyperException, OverflowError, ZeroDivisionError):
            return None
        finally:
            path.write_text(real, "utf-8")

    def _compile(self, name: str) -> bytes:
        settings = Settings(evm_version=EVM_VERSION, optimize=OptimizationLevel.NONE)
        bundle = FilesystemInputBundle([self._sources.parent])
        with bundle.search_path(self._sources), anchor_settings(settings):
            source = bundle.load_file(f"contracts/{name}.vy")
            # Without the sources' hash, so that what means the same comes out the same.
            data = CompilerData(source, bundle, settings=settings, no_bytecode_metadata=True)
            return bytes(data.bytecode)


def _touched(file: str) -> tuple[str, ...]:
    """The contracts that a source file is part of."""
    if file == f"{JURY}.vy":
        return (JURY,)
    return (MARKET, JURY) if file == _SHARED else (MARKET,)
