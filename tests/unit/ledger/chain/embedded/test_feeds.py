"""From whatever block a client saw last, undoing and doing what it is told leads to the head."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.embedded.feeds import MAX_BLOCKS, advance
from ledger.chain.embedded.rows import BlockRow


@dataclass
class Tree:
    """Blocks by hash, and the canonical ones by height."""

    blocks: dict[bytes, BlockRow] = field(default_factory=dict)
    canonical: dict[int, BlockRow] = field(default_factory=dict)

    def grow(self, parent: BlockRow | None) -> BlockRow:
        number = 0 if parent is None else parent.number + 1
        key = len(self.blocks).to_bytes(32, "big")
        row = BlockRow(key, number, b"" if parent is None else parent.hash, 0, b"", 0)
        self.blocks[key] = row
        return row

    def choose(self, head: BlockRow) -> None:
        chain = [head]
        while chain[-1].number:
            chain.append(self.blocks[chain[-1].parent])
        self.canonical = {row.number: row for row in chain}

    def head(self) -> BlockRow:
        return self.canonical[max(self.canonical)]

    def is_canonical(self, row: BlockRow) -> bool:
        return self.canonical.get(row.number) == row

    def block_by_hash(self, key: bytes) -> BlockRow | None:
        return self.blocks.get(key)

    def block_by_number(self, number: int) -> BlockRow | None:
        return self.canonical.get(number)


@given(
    parents=st.lists(st.integers(0, 1_000), max_size=30),
    seen=st.integers(0, 1_000),
    head=st.integers(0, 1_000),
)
def test_undoing_and_doing_leads_to_the_head(parents: list[int], seen: int, head: int) -> None:
    tree = Tree()
    rows = [tree.grow(None)]
    for parent in parents:
        rows.append(tree.grow(rows[parent % len(rows)]))
    tree.choose(rows[head % len(rows)])
    at = rows[seen % len(rows)]
    step = advance(tree, at)  # type: ignore[arg-type]  # a tree answers the same questions
    for row in step.left:
        assert row == at
        at = tree.blocks[at.parent]
    for number in range(step.first, step.head.number + 1):
        row = tree.canonical[number]
        assert row.parent == at.hash
        at = row
    assert at == step.head == tree.head()


def test_a_long_way_is_gone_in_parts() -> None:
    tree = Tree()
    row = first = tree.grow(None)
    for _ in range(MAX_BLOCKS + 5):
        row = tree.grow(row)
    tree.choose(row)
    step = advance(tree, first)  # type: ignore[arg-type]
    assert (step.first, step.head.number) == (1, MAX_BLOCKS)
    assert advance(tree, step.head).head == row  # type: ignore[arg-type]
