"""Every small wrong turn that a contract's source could take: what the tests must tell from the real one.

A generator, not a list. For every assert, comparison, arithmetic or bitwise operation, boolean operator and
state assignment of a Vyper file there is at least one mutant, found in the compiler's own syntax tree; each
differs from the source in one place.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vyper.ast import nodes, parse_to_ast

COMPARISONS = {
    "Eq": ("==", "!="),
    "NotEq": ("!=", "=="),
    "Lt": ("<", "<=", ">="),
    "LtE": ("<=", "<", ">"),
    "Gt": (">", ">=", "<="),
    "GtE": (">=", ">", "<"),
}
ARITHMETIC = {
    "Add": ("+", "-"),
    "Sub": ("-", "+"),
    "Mult": ("*", "//"),
    "FloorDiv": ("//", "*"),
    "Mod": ("%", "*"),
    "Pow": ("**", "*"),
    "BitAnd": ("&", "|"),
    "BitOr": ("|", "&"),
    "BitXor": ("^", "&"),
    "LShift": ("<<", ">>"),
    "RShift": (">>", "<<"),
}
UNSAFE = {
    "unsafe_add": "unsafe_sub",
    "unsafe_sub": "unsafe_add",
    "unsafe_mul": "unsafe_div",
    "unsafe_div": "unsafe_mul",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`source` is the whole changed file; `line` counts from 1."""

    file: str
    line: int
    kind: str
    before: str
    after: str
    source: str


class _Text:
    """A source with the places of its nodes."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.source = path.read_text("utf-8")
        self._starts = [0]
        for line in self.source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def start(self, node: nodes.VyperNode) -> int:
        return int(self._starts[node.lineno - 1] + node.col_offset)

    def end(self, node: nodes.VyperNode) -> int:
        return int(self._starts[node.end_lineno - 1] + node.end_col_offset)

    def mutant(self, kind: str, start: int, end: int, after: str) -> Mutant:
        """The file with `after` instead of what stands from `start` to `end`."""
        line = self.source.count("\n", 0, start) + 1
        first = self.source.rfind("\n", 0, start) + 1
        last = self.source.find("\n", end)
        source = self.source[:start] + after + self.source[end:]
        return Mutant(
            file=self.name,
            line=line,
            kind=kind,
            before=" ".join(self.source[first:last].split()),
            after=" ".join((self.source[first:start] + after + self.source[end:last]).split()),
            source=source,
        )

    def operator(self, left: nodes.VyperNode, right: nodes.VyperNode, sign: str) -> tuple[int, int]:
        """Where the operator between two operands stands: the last of its kind before the right one."""
        place = self.source.rindex(sign, self.start(left), self.start(right))
        return place, place + len(sign)


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All mutants of one file, in the order of the file."""
    text = _Text(path)
    found = [*_expressions(text, parse_to_ast(text.source)), *_statements(text, parse_to_ast(text.source))]
    yield from sorted(found, key=lambda mutant: (mutant.line, mutant.after))


def _expressions(text: _Text, module: nodes.VyperNode) -> Iterator[Mutant]:
    for node in module.get_descendants(nodes.Compare):
        yield from _swapped(text, "comparison", node, COMPARISONS)
    for node in module.get_descendants(nodes.BinOp):
        yield from _swapped(text, "arithmetic", node, ARITHMETIC)
    for node in module.get_descendants(nodes.BoolOp):
        sign, other = ("and", "or") if isinstance(node.op, nodes.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            start, end = text.operator(left, right, sign)
            yield text.mutant("boolean", start, end, other)
    for node in module.get_descendants(nodes.UnaryOp):
        if isinstance(node.op, nodes.Not | nodes.Invert):
            yield text.mutant("boolean", text.start(node), text.start(node.operand), "")
    for node in module.get_descendants(nodes.Call):
        name = getattr(node.func, "id", "")
        if name in UNSAFE:
            yield text.mutant("arithmetic", text.start(node.func), text.end(node.func), UNSAFE[name])


def _swapped(
    text: _Text, kind: str, node: nodes.VyperNode, others: Mapping[str, tuple[str, ...]]
) -> Iterator[Mutant]:
    name = type(node.op).__name__
    if name not in others:
        return
    sign, *instead = others[name]
    start, end = text.operator(node.left, node.right, sign)
    for other in instead:
        yield text.mutant(kind, start, end, other)


def _statements(text: _Text, module: nodes.VyperNode) -> Iterator[Mutant]:
    for node in module.get_descendants(nodes.Assert):
        yield text.mutant("assert", text.start(node), text.end(node), "pass")
    kept = _storage_names(module)
    for node in module.get_descendants(nodes.AugAssign):
        name = type(node.op).__name__
        sign, other = ARITHMETIC[name][0], ARITHMETIC[name][1]
        start, end = text.operator(node.target, node.value, sign + "=")
        yield text.mutant("arithmetic", start, end, other + "=")
        if _root(node.target) in kept:
            yield text.mutant("assignment", text.start(node), text.end(node), "pass")
    for node in module.get_descendants(nodes.Assign):
        if _root(node.target) in kept:
            yield text.mutant("assignment", text.start(node), text.end(node), "pass")


def _storage_names(module: nodes.VyperNode) -> set[str]:
    """What a state assignment's target begins with: `self`, an imported module, or an immutable."""
    names = {"self"}
    for node in module.get_children(nodes.ImportFrom):
        names.add(node.alias or node.name)
    for node in module.get_children(nodes.VariableDecl):
        names.add(node.target.id)
    return names


def _root(target: nodes.VyperNode) -> str:
    while isinstance(target, nodes.Subscript | nodes.Attribute):
        target = target.value
    return target.id if isinstance(target, nodes.Name) else ""
