"""A chain file of release 0.1.0 opens, and goes on where it stood."""

import sqlite3
import time
from pathlib import Path

import pytest

from ledger.chain.embedded import schema
from ledger.chain.embedded.chain import decode_header
from ledger.chain.embedded.faucet import sign
from ledger.chain.embedded.grid import deploy, initialise, open_chain
from ledger.chain.embedded.walk import state_nodes
from ledger.market.errors import Broken, Rejected

KEY = b"\x05" * 32
ANA = b"\x0a" * 20
VERSION_1_STATE = "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
STORES_CALLDATA = bytes.fromhex("5f355f355500")  # sstore(calldataload(0), calldataload(0))


def grown(directory: Path) -> bytes:
    """A chain with a contract that stores; its address."""
    initialise(directory, chain_id=77, at=int(time.time()), faucet_key=KEY)
    chain = open_chain(directory, time.time)
    contract = deploy(chain, bytes.fromhex("65") + STORES_CALLDATA + bytes.fromhex("5f526006601af3"))
    for word in (1, 2, 3):
        chain.submit(sign(chain, to=contract, gas=100_000, data=word.to_bytes(32, "big")))
        chain.submit(sign(chain, to=ANA, gas=21_000, value=1))
        chain.seal()
    chain.seal(empty=True)
    chain.close()
    return contract


def to_version_1(directory: Path) -> None:
    """What 0.1.0 left: every node by its hash, whoever's, and look-ups of py-evm's own beside them."""
    with sqlite3.connect(directory / "chain.sqlite3") as db:
        db.execute(VERSION_1_STATE)
        db.execute("INSERT OR IGNORE INTO kv SELECT hash, value FROM nodes")
        db.execute("INSERT OR IGNORE INTO kv SELECT hash, header FROM blocks")
        db.execute("INSERT INTO kv VALUES (CAST('v1:canonical_head_hash' AS BLOB), x'00')")
        for table in ("nodes", "replaced", "meta"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA user_version=1")
    db.close()


def version_of(directory: Path) -> int:
    with sqlite3.connect(directory / "chain.sqlite3") as db:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
    db.close()
    return version


def test_the_state_of_the_head_is_carried_over_and_the_chain_goes_on(tmp_path: Path) -> None:
    contract = grown(tmp_path)
    to_version_1(tmp_path)
    chain = open_chain(tmp_path, time.time)
    head = decode_header(chain.head())
    account = chain.accounts(head)
    assert [account.storage(contract, word) for word in (1, 2, 3, 4)] == [1, 2, 3, 0]
    assert account.code(contract) == STORES_CALLDATA
    assert account.balance(ANA) == 3
    chain.submit(sign(chain, to=contract, gas=100_000, data=(4).to_bytes(32, "big")))
    assert chain.seal() is not None
    head = decode_header(chain.head())
    assert chain.accounts(head).storage(contract, 4) == 4
    assert len(list(state_nodes(chain.store.node, bytes(head.state_root)))) > 0
    chain.close()
    assert version_of(tmp_path) == schema.VERSION


def test_the_blocks_before_that_changed_nothing_keep_their_state_and_no_others(tmp_path: Path) -> None:
    grown(tmp_path)
    to_version_1(tmp_path)
    chain = open_chain(tmp_path, time.time)
    with chain.store.reading() as query:
        headers = [decode_header(block) for block in query.blocks_between(0, 9)]
    assert chain.store.oldest_state() == headers[-1].block_number - 1
    assert chain.accounts(headers[-2]).balance(ANA) == 3
    with pytest.raises(Rejected) as refusal:
        chain.accounts(headers[-3])
    assert refusal.value.code == "state-pruned"
    chain.close()


def test_a_file_whose_state_is_not_whole_stays_as_it_is(tmp_path: Path) -> None:
    grown(tmp_path)
    to_version_1(tmp_path)
    with sqlite3.connect(tmp_path / "chain.sqlite3") as db:
        head = db.execute("SELECT header FROM blocks ORDER BY number DESC LIMIT 1").fetchone()[0]
        db.execute("DELETE FROM kv WHERE instr(?, key)", (head,))
    db.close()
    with pytest.raises(Broken) as failure:
        open_chain(tmp_path, time.time)
    assert failure.value.code == "chain-state-damaged"
    assert version_of(tmp_path) == 1


def test_a_file_of_a_later_release_is_refused(tmp_path: Path) -> None:
    grown(tmp_path)
    with sqlite3.connect(tmp_path / "chain.sqlite3") as db:
        db.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    db.close()
    with pytest.raises(Broken) as failure:
        open_chain(tmp_path, time.time)
    assert failure.value.code == "chain-file-version"
