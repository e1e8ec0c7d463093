"""A backup is of one instant, carries all that a chain needs, and is believed only after it was checked."""

import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ledger.chain.embedded import genesis
from ledger.chain.embedded.backup import backup, restore
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.faucet import sign
from ledger.chain.embedded.grid import initialise, open_chain
from ledger.chain.embedded.verification import verify
from ledger.market.errors import Broken, MarketError, Rejected, Unavailable
from node.cli.main import run

KEY = b"\x05" * 32
ANA = b"\x0a" * 20


@pytest.fixture
def home(tmp_path: Path) -> Path:
    initialise(tmp_path / "chain", chain_id=77, at=int(time.time()), faucet_key=KEY)
    with closing(open_chain(tmp_path / "chain", time.time)) as chain:
        for _ in range(4):
            pay(chain)
    return tmp_path / "chain"


def pay(chain: EmbeddedChain) -> None:
    chain.submit(sign(chain, to=ANA, value=1, gas=21_000))
    chain.seal()


def damage(file: Path, statement: str) -> None:
    with sqlite3.connect(file) as db:
        db.execute(statement)
    db.close()


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(MarketError) as failure:
        action()
    return failure.value.code


def test_a_chain_comes_back_and_goes_on(home: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    done = backup(home, tmp_path / "copy", lambda *step: seen.append(step))
    assert (done.head, done.size) == (4, (tmp_path / "copy").stat().st_size)
    assert stat.S_IMODE((tmp_path / "copy.key").stat().st_mode) == 0o600
    assert KEY not in (tmp_path / "copy").read_bytes()
    assert seen[-1][1] == seen[-1][2] > 0
    verified = restore(tmp_path / "copy", tmp_path / "new")
    assert (verified.head, verified.head_hash, verified.transactions) == (4, done.head_hash, 4)
    for name in (genesis.GENESIS_FILE, genesis.KEY_FILE):
        assert (tmp_path / "new" / name).read_bytes() == (home / name).read_bytes()
    with closing(open_chain(tmp_path / "new", time.time)) as chain:
        pay(chain)
        assert chain.head().number == 5


def test_it_is_taken_of_one_instant_while_the_chain_is_mined(home: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    with closing(open_chain(home, time.time)) as chain:

        def mine() -> None:
            while not stop.is_set():
                pay(chain)

        miner = threading.Thread(target=mine)
        miner.start()
        try:
            heads = [backup(home, tmp_path / f"copy{number}").head for number in range(3)]
        finally:
            stop.set()
            miner.join()
        head = chain.head().number
    assert heads == sorted(heads)
    assert heads[-1] <= head
    assert restore(tmp_path / "copy2", tmp_path / "new").head == heads[-1]


def test_nothing_is_overwritten(home: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"mine")
    assert refused(lambda: backup(home, tmp_path / "copy")) == "backup-exists"
    assert (tmp_path / "copy").read_bytes() == b"mine"
    backup(home, tmp_path / "other")
    assert refused(lambda: restore(tmp_path / "other", home)) == "chain-exists"


def test_where_there_is_no_chain_there_is_no_backup(tmp_path: Path) -> None:
    assert refused(lambda: backup(tmp_path, tmp_path / "copy")) == "chain-not-initialised"
    assert refused(lambda: restore(tmp_path / "copy", tmp_path / "new")) == "backup-missing"
    assert not (tmp_path / "new").exists()


def test_a_place_that_cannot_be_written_is_named(home: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as failure:
        backup(home, tmp_path / "missing" / "copy")
    assert failure.value.code == "backup-unwritable"


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DROP TABLE backup", "backup-unreadable"),
        ("DELETE FROM backup", "backup-unreadable"),
        ("UPDATE backup SET content = CAST('{}' AS BLOB)", "genesis-unreadable"),
        (
            "UPDATE backup SET content = CAST(replace(content, 'timestamp\": 1', 'timestamp\": 2') AS BLOB)",
            "chain-genesis-differs",
        ),
        ("UPDATE txs SET raw = x'00' WHERE rowid = 2", "chain-damaged"),
        ("UPDATE txs SET raw = x'00', hash = x'00' WHERE rowid = 2", "chain-damaged"),
        ("DELETE FROM txs WHERE rowid = 2", "chain-damaged"),
        ("UPDATE receipts SET status = 0 WHERE rowid = 2", "chain-damaged"),
        ("UPDATE blocks SET timestamp = 0 WHERE number = 2", "chain-damaged"),
        ("UPDATE blocks SET header = x'c0' WHERE number = 2", "chain-damaged"),
        ("UPDATE blocks SET canonical = 0 WHERE number = 2", "chain-damaged"),
        ("DELETE FROM nodes WHERE id = 1", "chain-state-damaged"),
        ("UPDATE nodes SET value = x'c0' WHERE number = 4", "chain-state-damaged"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused_and_leaves_nothing(
    home: Path, tmp_path: Path, statement: str, code: str
) -> None:
    backup(home, tmp_path / "copy")
    damage(tmp_path / "copy", statement)
    assert refused(lambda: restore(tmp_path / "copy", tmp_path / "new")) == code
    assert not genesis.is_initialised(tmp_path / "new")
    assert not (tmp_path / "new" / genesis.UNFINISHED).exists()


@pytest.mark.parametrize(("key", "code"), [(b"06", "faucet-key-unreadable"), (b"06" * 32, "backup-key")])
def test_a_key_that_is_not_the_faucets_is_refused(home: Path, tmp_path: Path, key: bytes, code: str) -> None:
    backup(home, tmp_path / "copy")
    (tmp_path / "copy.key").write_bytes(key)
    assert refused(lambda: restore(tmp_path / "copy", tmp_path / "new")) == code
    (tmp_path / "copy.key").unlink()
    assert refused(lambda: restore(tmp_path / "copy", tmp_path / "new")) == "backup-missing"


def test_a_file_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"not a database" * 100)
    genesis.put_file(tmp_path / "copy.key", b"06" * 32, mode=0o600)
    assert refused(lambda: restore(tmp_path / "copy", tmp_path / "new")) == "backup-unreadable"


def test_a_log_that_was_changed_is_found(home: Path) -> None:
    with closing(open_chain(home, time.time)) as chain:
        assert verify(chain.store, chain.genesis).head == 4
    damage(
        home / genesis.CHAIN_FILE,
        "INSERT INTO logs SELECT block, 0, 1, 0, hash, x'00', NULL, NULL, NULL, NULL, x'', 1"
        " FROM txs WHERE rowid = 1",
    )
    with closing(open_chain(home, time.time)) as chain, pytest.raises(Broken, match="logs of block 1"):
        verify(chain.store, chain.genesis)


def test_the_commands_say_what_they_did(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--dir", str(home), "--json"]
    assert run(["chain", "backup", "--to", str(tmp_path / "copy"), *here]) == 0
    assert run(["chain", "restore", str(tmp_path / "copy"), "--dir", str(tmp_path / "new"), "--json"]) == 0
    assert run(["chain", "verify", *here]) == 0
    assert run(["chain", "prune", "--keep-states", "3", *here]) == 0
    shown = capsys.readouterr().out
    assert shown.count('"head": 4') == 3
    assert '"oldest_state": 1' in shown
    with closing(open_chain(home, time.time)) as chain:
        assert verify(chain.store, chain.genesis).oldest_state == 1
        assert run(["chain", "verify", *here]) != 0
    with pytest.raises(Rejected, match="no chain"):
        open_chain(tmp_path, time.time)
