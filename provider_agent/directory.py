"""A provider's folder: its key, its settings, its memory, and two files by which others speak with it.

`status.json` is replaced whole, so that a reader never sees half of it; the file `drain` asks the agent to
take no new lease, and its absence to take them again.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ledger.chain.external_signer import ExternalAccount
from ledger.chain.key_files import open_keyring, open_signer, write_external
from ledger.chain.keyring import Keyring
from ledger.chain.keys import Signer, create_keystore
from ledger.market.errors import Rejected
from ledger.market.identity import Address, text
from provider_agent.settings import FILE, Market, settings_from_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where things lie below a provider's folder."""

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / FILE

    @property
    def keystore(self) -> Path:
        return self.root / "operator.json"

    @property
    def state(self) -> Path:
        return self.root / "agent.db"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox.db"

    @property
    def status(self) -> Path:
        return self.root / "status.json"

    @property
    def drain(self) -> Path:
        return self.root / "drain"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def volumes(self) -> Path:
        return self.root / "volumes"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def images(self) -> Path:
        return self.root / "images.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProvider:
    """What `init` writes down; `prices`, `lend` and `stake` as in the settings file, "" for the default
    engine and stake. `owner` is the provider's account where the folder's key only operates for it."""

    name: str
    domain: str
    region: str
    node: str
    rpc: str
    market: Market
    prices: Mapping[str, str]
    lend: Mapping[str, object]
    engine: str = ""
    stake: str = ""
    owner: Address | None = None


def init_provider(
    directory: Path,
    new: NewProvider,
    password: str,
    entropy: bytes,
    external: ExternalAccount | None = None,
) -> Signer:
    """Make a provider's folder with settings and a new operator key from 32 random bytes, or with an account
    of an external signer in its place, which needs neither.

    `Rejected` where one is there already, or where the settings would not be accepted.
    """
    paths = Paths(root=directory)
    if paths.settings.exists():
        raise Rejected(
            "provider-exists", f"{paths.settings} exists already.", "Name another folder, or edit that."
        )
    plain = _plain(new)
    settings_from_plain(plain)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key: Signer
    if external is None:
        key = create_keystore(paths.keystore, password, entropy)
    else:
        key = write_external(paths.keystore, external)
    replace_file(paths.settings, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    return key


def open_key(directory: Path, password: Callable[[], str]) -> Signer:
    """The operator key of a provider's folder; the password is asked for where there is a keystore."""
    return open_signer(Paths(root=directory).keystore, password)


def open_keys(directory: Path, password: Callable[[], str]) -> Keyring:
    """The same, with the keys that it succeeded: what they sent may be under way."""
    return open_keyring(Paths(root=directory).keystore, password)


def read_status(directory: Path) -> dict[str, Any]:
    """What the agent last wrote about itself; `Rejected` "no-status" where it never ran."""
    path = Paths(root=directory).status
    try:
        status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise Rejected(
            "no-status", f"{path} cannot be read.", "Start the agent with bingwang provider run."
        ) from exc
    return status


def request_drain(directory: Path, *, draining: bool = True) -> None:
    """Ask the agent to take no new leases, or (False) to take them again."""
    path = Paths(root=directory).drain
    if not draining:
        path.unlink(missing_ok=True)
        return
    try:
        path.touch()
    except OSError as exc:
        raise Rejected("no-provider", f"{path} cannot be written.", "Name a provider's folder.") from exc


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the folder's lock; `Rejected` "agent-runs-already" where another agent does."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise Rejected(
                "agent-runs-already",
                f"Another agent serves {path.parent}.",
                "Stop it, or name another folder.",
            ) from exc
        yield


def replace_file(path: Path, content: str) -> None:
    """Put a file in place whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def _plain(new: NewProvider) -> dict[str, object]:
    plain: dict[str, object] = {
        "name": new.name,
        "domain": new.domain,
        "region": new.region,
        "node": new.node,
        "rpc": new.rpc,
        "market": {
            "chain_id": new.market.chain_id,
            "address": text(new.market.address),
            "first_block": new.market.first_block,
            "confirmations": new.market.confirmations,
        },
        "prices": dict(new.prices),
    }
    owner = "" if new.owner is None else text(new.owner)
    optional = {"lend": dict(new.lend), "engine": new.engine, "stake": new.stake, "owner": owner}
    return plain | {key: value for key, value in optional.items() if value}
