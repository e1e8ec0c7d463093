"""Two versions of one row, cell by cell: every audit of the books names what differs in the same words."""

from collections.abc import Iterator

from ledger.books.rows import ABSENT, Difference

Cells = dict[str, object]
"""a row's values by their columns' names"""


def differing(table: str, row: str, ours: Cells | None, meant: Cells | None) -> Iterator[Difference]:
    """Each cell of ours that is not what was meant; the whole row where one of the two lacks it."""
    if ours is None or meant is None:
        yield Difference(table=table, row=row, field="row", ours=_shown(ours), chain=_shown(meant))
        return
    for name, value in ours.items():
        if value != meant[name]:
            yield Difference(table=table, row=row, field=name, ours=str(value), chain=str(meant[name]))


def _shown(cells: Cells | None) -> str:
    return ABSENT if cells is None else " ".join(f"{name}={value!s}" for name, value in cells.items())
