"""Kills a chain under load again and again, and holds it to what it acknowledged.

After every kill the file alone must bear witness: SQLite finds it whole, every row is bound by its header and
every kept state is complete (`verify`), each acknowledged block is canonical under its number and holds the
transaction, and the sender's nonce counts exactly the transactions that are sealed.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.loader import artifact
from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.grid import GridPolicy, deploy_grid, initialise, open_chain
from ledger.chain.embedded.verification import verify

ROOT = Path(__file__).resolve().parent.parent.parent
CHAIN_ID = 7_007_007
FAUCET_KEY = b"\x07" * 32
START_SECONDS = 120.0
LONGEST_LIFE = 0.6
"""seconds of sealing under load before a kill, at most"""
_PROGRAM = "from node.cli.main import main; main()"
KEPT_STATES = 16
"""few, so that every trial prunes"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one kill left: all of it is checked already."""

    acknowledged: int
    head: int
    transactions: int
    oldest_state: int
    life: float
    """seconds from the first acknowledgement of this life to the kill"""


class Lost(AssertionError):
    """The chain broke a promise."""


def kill_repeatedly(
    directory: Path, times: int, seed: int, done: Callable[[Trial], None] = lambda _: None
) -> list[Trial]:
    """Found a grid in `directory`, then start and kill it `times` times under load. `Lost` when it fails."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    home, notes = directory / "chain", directory / "notes"
    notes.touch()
    initialise(
        home,
        chain_id=CHAIN_ID,
        at=int(time.time()),
        faucet_key=FAUCET_KEY,
        populate=lambda chain: deploy_grid(chain, artifact, GridPolicy()),
    )
    trials = []
    with _process(sys.executable, "-m", "scripts.killing.load", str(home), str(notes)) as load:
        for _ in range(times):
            trials.append(_one(home, notes, load, chance.uniform(0.0, LONGEST_LIFE)))
            done(trials[-1])
    return trials


def _one(home: Path, notes: Path, load: "subprocess.Popen[bytes]", life: float) -> Trial:
    before = notes.stat().st_size
    command = (sys.executable, "-c", _PROGRAM, "chain", "run", "--dir", str(home), "--port", "0")
    options = ("--seal-time", "0.01", "--confirm-time", "0.02", "--keep-states", str(KEPT_STATES), "--json")
    with _process(*command, *options) as chain:
        _await(lambda: notes.stat().st_size > before, chain, load)
        time.sleep(life)
        chain.send_signal(signal.SIGKILL)
        chain.wait()
    return check(home, notes.read_text(encoding="ascii"), life)


def check(home: Path, notes: str, life: float = 0.0) -> Trial:
    """Hold the file in `home` to the notes."""
    chain = open_chain(home, time.time, keep_states=KEPT_STATES)
    try:
        verified = verify(chain.store, chain.genesis)
        acknowledged = [line.split() for line in notes.splitlines()]
        for transaction, block, number in acknowledged:
            _check_acknowledged(chain, transaction, block, int(number))
        _check_nonce(chain, len(acknowledged))
        return Trial(
            acknowledged=len(acknowledged),
            head=verified.head,
            transactions=verified.transactions,
            oldest_state=verified.oldest_state,
            life=life,
        )
    finally:
        chain.close()


def _check_acknowledged(chain: EmbeddedChain, transaction: str, block: str, number: int) -> None:
    with chain.store.reading() as query:
        row = query.block_by_number(number)
        included = query.transaction(bytes.fromhex(transaction[2:]))
    if row is None or f"0x{row.hash.hex()}" != block:
        raise Lost(f"block {number} {block} was acknowledged and is gone")
    if included is None or included.block != row.hash:
        raise Lost(f"transaction {transaction} was acknowledged in block {number} and is not there")


def _check_nonce(chain: EmbeddedChain, acknowledged: int) -> None:
    faucet = chain.genesis.faucet
    with chain.store.reading() as query:
        head = query.head()
        blocks = query.blocks_between(0, head.number)
        sealed = sum(row.sender == faucet for one in blocks for row in query.transactions_of(one.hash))
    nonce = chain.accounts(decode_header(head)).nonce(faucet)
    if nonce != sealed or nonce < acknowledged:
        raise Lost(f"nonce {nonce}, {sealed} transactions sealed, {acknowledged} acknowledged")


@contextmanager
def _process(*command: str) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _await(condition: Callable[[], bool], *alive: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > end or any(process.poll() is not None for process in alive):
            raise Lost("no transaction was acknowledged")
        time.sleep(0.01)
