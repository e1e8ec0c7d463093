"""A crash may lose whatever was not synced: the chain then opens at its last whole block, never within one.

What a power cut can leave of the write-ahead log is played back here: cut at every frame, within frames, with
zeros or noise where the disk had not written yet, and a checkpoint that had overwritten half of the file.
"""

import shutil
import struct
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.chain.embedded.faucet import sign
from ledger.chain.embedded.genesis import GENESIS_FILE, KEY_FILE
from ledger.chain.embedded.grid import initialise, open_chain
from ledger.chain.embedded.verification import Verified, verify
from ledger.market.errors import Broken

KEY = b"\x05" * 32
BLOCKS = 5
WAL_HEADER, FRAME_HEADER = 32, 24
FILE, LOG = "chain.sqlite3", "chain.sqlite3-wal"


@dataclass(frozen=True)
class Crash:
    """A chain's files as they lay when the machine stopped; `ends[n]` is the log's length after block n."""

    directory: Path
    file: bytes
    log: bytes
    ends: list[int]
    page: int

    @property
    def frames(self) -> list[int]:
        """Where every frame of the log begins."""
        return list(range(WAL_HEADER, len(self.log), FRAME_HEADER + self.page))

    def reopened(self, log: bytes, file: bytes | None = None) -> Verified:
        """What the chain holds when it opens on that log; everything in it is verified."""
        home = self.directory / "reopened"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        for name in (GENESIS_FILE, KEY_FILE):
            shutil.copy(self.directory / name, home / name)
        (home / FILE).write_bytes(self.file if file is None else file)
        (home / LOG).write_bytes(log)
        with closing(open_chain(home, time.time, finality=1, keep_states=2)) as chain:
            verified = verify(chain.store, chain.genesis)
            sealed = chain.seal(empty=True)
            assert sealed is not None
            assert sealed.number == verified.head + 1
        return verified

    def last_whole(self, length: int) -> int:
        """The last block whose every frame lies before `length`."""
        return max(number for number, end in enumerate(self.ends) if end <= length)


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Crash:
    directory = tmp_path_factory.mktemp("crash")
    initialise(directory, chain_id=77, at=int(time.time()), faucet_key=KEY)
    file = (directory / FILE).read_bytes()
    chain = open_chain(directory, time.time, finality=1, keep_states=2)
    ends = [0]
    for number in range(1, BLOCKS + 1):
        chain.submit(sign(chain, to=number.to_bytes(20, "big"), value=7, gas=21_000))
        chain.seal()
        ends.append((directory / LOG).stat().st_size)
    assert (directory / FILE).read_bytes() == file
    log = (directory / LOG).read_bytes()
    chain.close()
    return Crash(directory, file, log, ends, struct.unpack(">I", log[8:12])[0])


def test_a_log_cut_at_any_frame_opens_at_the_last_whole_block(crash: Crash) -> None:
    for cut in (0, *crash.frames, len(crash.log)):
        verified = crash.reopened(crash.log[:cut])
        assert verified.head == crash.last_whole(cut)
        assert verified.transactions == verified.head


def test_a_frame_that_is_torn_counts_for_nothing(crash: Crash) -> None:
    for place, start in enumerate(crash.frames):
        cut = start + (1, FRAME_HEADER, FRAME_HEADER + crash.page // 2)[place % 3]
        assert crash.reopened(crash.log[:cut]).head == crash.last_whole(start)


@pytest.mark.parametrize("filler", [b"\0", b"\xa5"], ids=["zeros", "noise"])
def test_what_the_disk_had_not_written_is_not_taken_for_frames(crash: Crash, filler: bytes) -> None:
    for start in crash.frames[::3]:
        lost = crash.log[:start] + filler * (len(crash.log) - start)
        assert crash.reopened(lost).head == crash.last_whole(start)


def test_writes_that_came_to_disk_out_of_order_end_the_log_at_the_first_gap(crash: Crash) -> None:
    size = FRAME_HEADER + crash.page
    for start in crash.frames[::3]:
        gap = crash.log[:start] + bytes(size) + crash.log[start + size :]
        assert crash.reopened(gap).head == crash.last_whole(start)


def test_a_checkpoint_that_was_interrupted_loses_nothing(crash: Crash) -> None:
    file = bytearray(crash.file)
    for start in crash.frames[::2]:
        number = struct.unpack(">I", crash.log[start : start + 4])[0]
        begin = (number - 1) * crash.page
        file[begin : begin + crash.page // 2] = b"\xa5" * (crash.page // 2)
    assert crash.reopened(crash.log, bytes(file)).head == BLOCKS


def test_a_file_damaged_where_no_log_helps_says_so(crash: Crash) -> None:
    file = crash.file[: crash.page] + b"\xa5" * (len(crash.file) - crash.page)
    with pytest.raises(Broken):
        crash.reopened(b"", file)
