"""Which calls can run into a mutant at all: the others need not be repeated to try it.

A call graph of the sources, from the compiler's syntax tree. What stands outside of every function (a
constant, an immutable) may be met by any call.
"""

from pathlib import Path

from vyper.ast import nodes, parse_to_ast

from contracts.loader import artifact
from scripts.mutation.compiling import JURY, MARKET

_INTERFACES = {"Market": MARKET, "IJury": JURY}
Function = tuple[str, str]
"""a file's name without its ending, and a function's"""


def enclosing(source: str, line: int) -> str | None:
    """The function in whose lines `line` is."""
    for node in parse_to_ast(source).get_children(nodes.FunctionDef):
        if node.lineno <= line <= node.end_lineno:
            return str(node.name)
    return None


class Reach:
    """The call graph of all sources in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._calls: dict[Function, set[Function]] = {}
        for path in sorted(folder.glob("*.vy")):
            for node in parse_to_ast(path.read_text("utf-8")).get_children(nodes.FunctionDef):
                self._calls[path.stem, node.name] = set(_called(path.stem, node))

    def selectors(self, file: str, function: str | None) -> frozenset[bytes] | None:
        """The selectors of the calls that can run `function` of a file; None for any call, and for what a
        constructor runs."""
        if function is None:
            return None
        wanted = (Path(file).stem, function)
        found: set[bytes] = set()
        for name in (MARKET, JURY):
            for signature, selector in artifact(name).method_identifiers.items():
                entry = (name, signature.split("(")[0])
                if wanted in self._reached(entry):
                    found.add(bytes.fromhex(selector.removeprefix("0x")))
            if wanted in self._reached((name, "__init__")):
                return None
        return frozenset(found)

    def _reached(self, entry: Function) -> set[Function]:
        seen: set[Function] = set()
        waiting = [entry]
        while waiting:
            function = waiting.pop()
            if function not in seen:
                seen.add(function)
                waiting += self._calls.get(function, ())
        return seen


def _called(module: str, function: nodes.VyperNode) -> list[Function]:
    found = []
    for call in function.get_descendants(nodes.Call):
        target = call.func
        if not isinstance(target, nodes.Attribute):
            continue
        if isinstance(target.value, nodes.Name):
            found.append((module if target.value.id == "self" else target.value.id, target.attr))
        elif isinstance(target.value, nodes.Call) and target.value.func.id in _INTERFACES:
            found.append((_INTERFACES[target.value.func.id], target.attr))
    return found
