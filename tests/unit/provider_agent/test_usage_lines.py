"""An agent's usage lines outlive it, in their order, until the node has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain.typed_data import keccak
from ledger.market.errors import LostRace
from ledger.market.identity import LeaseId
from ledger.market.usage_tree import UsageLine, prove
from provider_agent.state_store import StateStore
from provider_agent.usage_lines import UsageLines
from tests.factories import a_digest

LEASE, OTHER = LeaseId(a_digest("lease")), LeaseId(a_digest("other"))


def a_line(sequence: int, lease: LeaseId = LEASE) -> UsageLine:
    return UsageLine(
        lease=lease, sequence=sequence, milliseconds=sequence, cpu_ns=1, peak_bytes=2, last=False
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    opened = StateStore(tmp_path / "agent.db")
    yield opened
    opened.close()


@pytest.fixture
def lines(store: StateStore) -> UsageLines:
    """Five lines of a lease, and one of another."""
    for sequence in range(5):
        store.usage_lines.keep(a_line(sequence))
    store.usage_lines.keep(a_line(0, OTHER))
    return store.usage_lines


def waiting(lines: UsageLines) -> list[int]:
    return [kept.line.sequence for kept in lines.unacknowledged(LEASE)]


def test_each_line_is_kept_with_the_root_over_the_lines_up_to_it(lines: UsageLines) -> None:
    for kept in lines.unacknowledged(LEASE):
        so_far = [a_line(sequence) for sequence in range(kept.line.sequence + 1)]
        assert kept.evidence == prove(so_far, 0, keccak).root(keccak)


def test_lines_come_back_after_a_restart(lines: UsageLines, tmp_path: Path) -> None:
    again = StateStore(tmp_path / "agent.db")
    assert again.usage_lines.unacknowledged(LEASE) == lines.unacknowledged(LEASE)
    assert again.usage_lines.newest(LEASE) == lines.newest(LEASE)
    again.close()


def test_a_lease_without_lines_has_none(store: StateStore) -> None:
    lines = store.usage_lines
    assert (lines.newest(LEASE), lines.unacknowledged(LEASE), lines.acknowledged(LEASE)) == (None, [], 0)


def test_what_the_node_has_does_not_wait(lines: UsageLines) -> None:
    lines.acknowledge(LEASE, 3)
    assert (waiting(lines), lines.acknowledged(LEASE)) == ([3, 4], 3)
    assert len(lines.unacknowledged(OTHER)) == 1


def test_what_the_node_lost_waits_again(lines: UsageLines) -> None:
    lines.acknowledge(LEASE, 3)
    lines.acknowledge(LEASE, 1)
    assert (waiting(lines), lines.acknowledged(LEASE)) == ([1, 2, 3, 4], 1)


def test_what_was_refused_is_forgotten_but_never_what_the_node_once_had(lines: UsageLines) -> None:
    lines.acknowledge(LEASE, 3)
    lines.acknowledge(LEASE, 1)
    lines.drop_refused(LEASE)
    assert waiting(lines) == [1, 2]
    assert len(lines.unacknowledged(OTHER)) == 1


def test_only_the_next_line_is_kept(lines: UsageLines) -> None:
    for sequence in (4, 6):
        with pytest.raises(LostRace):
            lines.keep(a_line(sequence))
    newest = lines.newest(LEASE)
    assert newest is not None
    assert newest.line == a_line(4)
