from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import LostRace
from ledger.market.identity import LeaseId
from node.relay.job_logs import JobLogs
from tests.factories import a_digest

LEASE = LeaseId(a_digest("lease"))


def test_a_log_grows_by_offset(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path, 1_000)
    assert logs.append(LEASE, 0, b"one ") == 4
    assert logs.append(LEASE, 4, b"two") == 7
    assert logs.read(LEASE, 0) == b"one two"
    assert logs.read(LEASE, 4, 2) == b"tw"
    assert logs.read(LEASE, 7) == b""


def test_bytes_sent_again_add_nothing(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path, 1_000)
    logs.append(LEASE, 0, b"one ")
    assert logs.append(LEASE, 0, b"one ") == 4
    assert logs.append(LEASE, 2, b"e two") == 7
    assert logs.append(LEASE, 0, b"") == 7
    assert logs.read(LEASE, 0) == b"one two"


def test_a_hole_is_refused_with_the_right_offset(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path, 1_000)
    logs.append(LEASE, 0, b"one")
    for offset in (4, -1):
        with pytest.raises(LostRace) as caught:
            logs.append(LEASE, offset, b"x")
        assert caught.value.facts["offset"] == 3


@pytest.mark.parametrize(
    "chunks", [[b"a" * 8, b"b" * 8], [b"a" * 10, b"b"], [b"a" * 16], [b"a" * 12, b"b" * 4]]
)
def test_a_full_log_keeps_the_beginning_says_so_once_and_counts_on(
    tmp_path: Path, chunks: list[bytes]
) -> None:
    logs = JobLogs(tmp_path, 10)
    end = 0
    for chunk in chunks:
        end = logs.append(LEASE, end, chunk)
    assert end == len(b"".join(chunks))
    end = logs.append(LEASE, end, b"later")
    kept = logs.read(LEASE, 0)
    assert kept[:10] == b"".join(chunks)[:10]
    assert kept.count(b"the log limit is reached") == 1
    assert kept.endswith(b"dropped]\n")
    assert JobLogs(tmp_path, 10).end(LEASE) == end


def test_logs_of_two_leases_do_not_mix(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path, 10)
    logs.append(LEASE, 0, b"mine")
    assert logs.read(LeaseId(a_digest("other")), 0) == b""


@given(data=st.binary(min_size=1, max_size=60), cuts=st.lists(st.integers(0, 60), max_size=8))
def test_any_sequence_of_resends_gives_the_same_log(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: list[int]
) -> None:
    logs = JobLogs(tmp_path_factory.mktemp("logs"), 1_000)
    end = 0
    for cut in [*cuts, len(data)]:
        start = max(0, end - cut % 7)
        end = logs.append(LEASE, start, data[start : max(start, cut)])
    assert logs.read(LEASE, 0) == data
