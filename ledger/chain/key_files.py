"""Why a key can be changed without a moment in which there is none: the successor is whole before it counts.

A key's file is a keystore, or names an account of an external signer; `open_signer` opens either. To succeed:
the new file is written beside the old one, the old one gets a second name under `KEPT`, and the new one takes
its place in one step. Killed between any two of these, the next call goes on from there.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from ledger.chain.external_signer import ExternalAccount, ExternalSigner
from ledger.chain.keyring import Keyring, keyring
from ledger.chain.keys import LocalKey, Signer, create_keystore, open_keystore
from ledger.chain.private_files import keep_beside, read_private, sync_directory, write_once
from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text, text

KEPT: Final = "old-keys"
"""the folder beside a key's file for those that it succeeded"""
_SUCCESSOR: Final = ".next"

Password = Callable[[], str]
"""asked for only where a keystore is opened or made"""


def open_signer(path: Path, password: Password) -> Signer:
    """The key in a keystore, or the account of an external signer; `Rejected` as `open_keystore`."""
    named = _external(path)
    return open_keystore(path, password()) if named is None else named


def open_keyring(path: Path, password: Password) -> Keyring:
    """The key at `path` with those that it succeeded, whose password is the same and is asked for once."""
    once = cache(password)
    current, *former = (open_signer(one, once) for one in (path, *former_keys(path)))
    return keyring(current, former)


def write_external(path: Path, external: ExternalAccount) -> ExternalSigner:
    """Name an account of an external signer in a new file, once the signer says that it holds it."""
    signer = ExternalSigner(external.url, external.account)
    signer.check()
    plain = {"signer": external.url, "address": text(external.account)}
    write_once(path, json.dumps(plain).encode())
    return signer


def address_in(path: Path) -> Address:
    """The account of a key's file, which needs no password."""
    content = read_private(path)
    try:
        stated = str(json.loads(content)["address"])
    except (ValueError, KeyError, TypeError) as exc:
        raise Rejected("malformed-keystore", f"{path} is not a keystore.", "Restore the file.") from exc
    return Address(from_text("0x" + stated.removeprefix("0x"), 20))


def draw_successor(path: Path, password: Password, entropy: bytes) -> LocalKey:
    """The key that will succeed the one at `path`: that of a call before which was cut off, or a new one."""
    successor = successor_of(path)
    if successor.exists():
        found = open_signer(successor, password)
        if isinstance(found, LocalKey):
            return found
        successor.unlink()
    return create_keystore(successor, password(), entropy)


def name_successor(path: Path, external: ExternalAccount) -> ExternalSigner:
    """The external account that will succeed the key at `path`; a successor prepared before is dropped
    only where it is another external one, since a drawn key may hold money already."""
    successor = successor_of(path)
    if successor.exists():
        if _external(successor) is None:
            raise Rejected(
                "key-succession-begun",
                f"A new key lies in {successor}, from a rotation that was cut off.",
                "Finish that rotation first: rotate once without an external signer.",
            )
        successor.unlink()
    return write_external(successor, external)


def succeed(path: Path, kept: Path | None = None) -> Path:
    """Put the successor in the place of the key at `path`; where the old one is kept, by default among its
    `former_keys`."""
    successor = successor_of(path)
    kept = kept or path.parent / KEPT / f"{path.stem}-{address_in(path).hex()}.json"
    keep_beside(path, kept)
    successor.replace(path)
    sync_directory(path.parent)
    return kept


def former_keys(path: Path) -> list[Path]:
    """The files of the keys that the one at `path` succeeded, its own left out."""
    folder = path.parent / KEPT
    found = sorted(folder.glob(f"{path.stem}-{'?' * 40}.json"))
    return [one for one in found if not path.exists() or not one.samefile(path)]


def successor_of(path: Path) -> Path:
    """Where the key that will succeed the one at `path` is prepared."""
    return path.with_name(f"{path.stem}{_SUCCESSOR}{path.suffix}")


def _external(path: Path) -> ExternalSigner | None:
    content = read_private(path)
    try:
        plain = json.loads(content)
        url = plain.get("signer")
    except (ValueError, AttributeError):
        return None
    return None if url is None else ExternalSigner(str(url), address_in(path))
