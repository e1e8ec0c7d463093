"""A grid's chain is born once: its identity is written last, so no half-made directory passes for one.

The directory holds `chain.sqlite3` (the chain), `faucet.key` (hexadecimal, mode 0600: worth nothing outside
this grid, yet it signs for all that the grid hands out) and `genesis.json` (who we are). They are made in
`unfinished/` and moved out, `genesis.json` last.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eth.constants import BLANK_ROOT_HASH, ZERO_HASH32
from eth.typing import AccountDetails, HeaderParams
from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from eth_utils.exceptions import ValidationError

from ledger.market.errors import Broken, Rejected

CHAIN_FILE = "chain.sqlite3"
KEY_FILE = "faucet.key"
GENESIS_FILE = "genesis.json"
UNFINISHED = "unfinished"
GAS_LIMIT = 60_000_000
BASE_FEE = 1_000_000_000  # wei; falls by an eighth a quiet block (EIP-1559)
FAUCET_COIN = 10**27  # wei: a thousand million coins, worth nothing outside the grid
MAX_CHAIN_ID = 2**52


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """A chain's identity: `contracts` maps a role ("token", "jury", "market") to its address."""

    chain_id: int
    timestamp: int
    faucet: bytes
    contracts: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.chain_id < MAX_CHAIN_ID:
            raise Rejected(
                "chain-id-range",
                f"Chain id {self.chain_id} is not between 1 and 2^52 - 1.",
                "Draw another one.",
            )


def state(genesis: Genesis) -> dict[Address, AccountDetails]:
    """The accounts that exist before the first block: the faucet, with all the coin."""
    account: AccountDetails = {"balance": FAUCET_COIN, "nonce": 0, "code": b"", "storage": {}}
    return {Address(genesis.faucet): account}


def header_fields(genesis: Genesis) -> dict[str, HeaderParams]:
    """The fields of block 0 that py-evm does not derive."""
    return {
        "timestamp": genesis.timestamp,
        "gas_limit": GAS_LIMIT,
        "base_fee_per_gas": BASE_FEE,
        "coinbase": genesis.faucet,
        "parent_beacon_block_root": ZERO_HASH32,
        "withdrawals_root": BLANK_ROOT_HASH,
        "difficulty": 0,
    }


def is_initialised(directory: Path) -> bool:
    """Whether a finished chain lies there."""
    return (directory / GENESIS_FILE).exists()


def read(directory: Path) -> Genesis:
    """The identity in `directory`. `Rejected` when there is none, `Broken` when it cannot be read."""
    path = directory / GENESIS_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Genesis(
            chain_id=document["chainId"],
            timestamp=document["timestamp"],
            faucet=bytes.fromhex(document["faucet"][2:]),
            contracts={k: bytes.fromhex(v[2:]) for k, v in document["contracts"].items()},
        )
    except FileNotFoundError as exc:
        raise Rejected(
            "chain-not-initialised", f"There is no chain in {directory}.", "Initialise one first."
        ) from exc
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as exc:
        raise Broken(
            "genesis-unreadable", f"{path} is not a genesis document.", "Restore it from a backup."
        ) from exc


def write(directory: Path, genesis: Genesis) -> None:
    """Put the identity down whole or not at all."""
    document = {
        "chainId": genesis.chain_id,
        "timestamp": genesis.timestamp,
        "faucet": f"0x{genesis.faucet.hex()}",
        "contracts": {role: f"0x{address.hex()}" for role, address in genesis.contracts.items()},
    }
    text = json.dumps(document, indent=2) + "\n"
    put_file(directory / GENESIS_FILE, text.encode(), mode=0o644)


def read_key(directory: Path) -> bytes:
    """The faucet's private key. `Broken` when it is missing or damaged."""
    path = directory / KEY_FILE
    try:
        return PrivateKey(bytes.fromhex(path.read_text(encoding="ascii").strip())).to_bytes()
    except (OSError, ValueError, ValidationError) as exc:
        raise Broken(
            "faucet-key-unreadable", f"{path} is not a private key.", "Restore it from a backup."
        ) from exc


def write_key(directory: Path, key: bytes) -> bytes:
    """Store the faucet's private key for its owner alone; returns its address."""
    put_file(directory / KEY_FILE, key.hex().encode(), mode=0o600)
    return bytes(PrivateKey(key).public_key.to_canonical_address())


def put_file(path: Path, content: bytes, *, mode: int) -> None:
    """Replace a file so that a reader, or a kill, finds the old or the new one, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    publish(partial, path)


def publish(partial: Path, path: Path) -> None:
    """Give a written file its name, on disk when it returns."""
    partial.replace(path)
    _sync_directory(path.parent)


def begin(directory: Path) -> Path:
    """An empty place to make the chain in. `Rejected` when a chain, finished or lost, lies there."""
    if is_initialised(directory):
        raise Rejected(
            "chain-exists", f"There is a chain in {directory} already.", "Choose another directory."
        )
    unfinished = directory / UNFINISHED
    if (directory / CHAIN_FILE).exists() and not unfinished.exists():
        raise Rejected(
            "chain-without-genesis",
            f"{directory} holds a chain file but no {GENESIS_FILE}.",
            "Restore the genesis document, or choose another directory.",
        )
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    return unfinished


def finish(directory: Path) -> None:
    """Move the made chain into place, its identity last."""
    unfinished = directory / UNFINISHED
    for name in (CHAIN_FILE, KEY_FILE, GENESIS_FILE):
        (unfinished / name).replace(directory / name)
        _sync_directory(directory)
    shutil.rmtree(unfinished)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
