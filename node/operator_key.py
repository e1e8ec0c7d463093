"""The node's own key: matcher, default signer and sender of match and close, unlocked without a person.

A keystore v3 beside its password file, both 0600: a daemon has nobody to ask. The account needs coin for
gas alone and never holds a buyer's money.
"""

import os
import secrets
from pathlib import Path

from ledger.chain.keys import LocalKey, create_keystore, open_keystore

KEYSTORE = "node-key.json"
PASSWORD = "node-key.password"  # noqa: S105 - a file's name


def operator_key(directory: Path) -> LocalKey:
    """The key in `directory`, made at the first start."""
    keystore, password_file = directory / KEYSTORE, directory / PASSWORD
    if not password_file.exists():
        _put(password_file, secrets.token_urlsafe(32))
    password = password_file.read_text().strip()
    if keystore.exists():
        return open_keystore(keystore, password)
    return create_keystore(keystore, password, secrets.token_bytes(32))


def _put(path: Path, content: str) -> None:
    """Whole or not at all: a password that was cut off would lock the key away."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
