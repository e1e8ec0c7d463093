"""The node's own keys: matcher, default signer and sender of match and close, unlocked without a person.

A keystore v3 beside its password file, both 0600: a daemon has nobody to ask. Or the account of an external
signer, so that no key lies here. The account needs coin for gas alone and never holds a buyer's money. Keys
that were succeeded stay: leases name them as signer, bids as matcher, and fees accrued to them.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from ledger.chain.external_signer import ExternalAccount
from ledger.chain.key_files import (
    address_in,
    draw_successor,
    name_successor,
    open_keyring,
    succeed,
    write_external,
)
from ledger.chain.keyring import Keyring
from ledger.chain.keys import create_keystore
from ledger.chain.private_files import write_once
from ledger.market.errors import Rejected
from ledger.market.identity import Address

KEYSTORE = "node-key.json"
PASSWORD = "node-key.password"  # noqa: S105 - a file's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation did: from which account to which, and where the former key's file lies."""

    former: Address
    current: Address
    kept: Path


def operator_keys(directory: Path, external: ExternalAccount | None = None) -> Keyring:
    """The keys in `directory`, the first made at the first start.

    With `external` its account is the current one from now on, and a key that was here before a former
    one; `Rejected` where the signer does not hold it, `Unavailable` where it does not answer.
    """
    keystore = directory / KEYSTORE
    if not keystore.exists():
        if external is None:
            create_keystore(keystore, _password(directory), secrets.token_bytes(32))
        else:
            write_external(keystore, external).close()
    elif external is not None and address_in(keystore) != external.account:
        rotate(directory, external)
    return open_keyring(keystore, lambda: _password(directory))


def rotate(directory: Path, external: ExternalAccount | None = None) -> Rotation:
    """Put a new key, or the account of an external signer, in the place of the current one.

    For a node that does not run. Whatever interrupts it, one of the two is current, and the next call
    goes on with the same new key.
    """
    keystore = directory / KEYSTORE
    former = address_in(keystore)
    if external is None:
        draw_successor(keystore, lambda: _password(directory), secrets.token_bytes(32))
    else:
        name_successor(keystore, external).close()
    kept = succeed(keystore)
    return Rotation(former=former, current=address_in(keystore), kept=kept)


def check_present(directory: Path) -> None:
    """`Rejected` "no-node-key" where no node has ever run in the folder."""
    if not (directory / KEYSTORE).exists():
        raise Rejected(
            "no-node-key", f"There is no node's key in {directory}.", "Name the node's folder with --dir."
        )


def _password(directory: Path) -> str:
    """The node's own, drawn once; a password that was cut off would lock the key away."""
    path = directory / PASSWORD
    if not path.exists():
        write_once(path, secrets.token_urlsafe(32).encode())
    return path.read_text().strip()
