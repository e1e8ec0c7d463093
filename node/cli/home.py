"""Where a person's own files lie: profile, keystores, nonce counters; `BINGWANG_HOME` or ~/.bingwang."""

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text

if TYPE_CHECKING:
    from ledger.chain.external_signer import ExternalAccount

DEFAULT_WALLET = "default"
PASSWORD_VARIABLE = "BINGWANG_PASSWORD"  # noqa: S105 - a variable's name, not a password
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One person's folder; nothing in it is made before it is needed."""

    folder: Path

    @property
    def profile(self) -> Path:
        return self.folder / "profiles" / "default.json"

    @property
    def images(self) -> Path:
        return self.folder / "images"

    def wallet(self, name: str) -> Path:
        """The keystore file of a wallet; a name that could leave the folder is `Rejected`."""
        if not _NAME.fullmatch(name):
            raise Rejected(
                "malformed-wallet-name", f"{name[:60]!r} is no wallet name.", "Use letters, digits, . _ -"
            )
        return self.folder / "wallets" / f"{name}.json"

    def nonces(self, chain_id: int, market: Address, account: Address) -> Path:
        """The counter file of one account at one market."""
        return self.folder / "nonces" / f"{chain_id}-{market.hex()}-{account.hex()}"

    def address_of(self, name: str) -> Address:
        """The account of a wallet, which the keystore says without its password."""
        path = self.wallet(name)
        try:
            stated = str(json.loads(path.read_text())["address"])
        except FileNotFoundError as exc:
            raise no_wallet(name) from exc
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise Rejected("malformed-keystore", f"{path} is not a keystore.", "Restore the file.") from exc
        return Address(from_text("0x" + stated.removeprefix("0x"), 20))


def home() -> Home:
    """The folder that the environment names."""
    named = os.environ.get("BINGWANG_HOME")
    return Home(folder=Path(named).expanduser() if named else Path.home() / ".bingwang")


def external(url: str | None, account: str | None) -> "ExternalAccount | None":
    """What --signer and --signer-account name together; None where neither is given."""
    from ledger.chain.external_signer import ExternalAccount

    if url is None and account is None:
        return None
    if url is None or account is None:
        raise Rejected(
            "signer-without-account",
            "--signer and --signer-account belong together.",
            "Give both of them, or neither.",
        )
    return ExternalAccount(url=url, account=Address(from_text(account, 20)))


def no_wallet(name: str) -> Rejected:
    return Rejected(
        "no-wallet",
        f"There is no wallet {name!r}.",
        "Make one with `bingwang wallet create`, or name another with --wallet.",
    )


def password(file: Path | None, *, new: bool = False) -> str:
    """The keystore's password: from the file's first line, the environment, or asked at a terminal."""
    if file is not None:
        try:
            return file.read_text().splitlines()[0]
        except (OSError, IndexError, UnicodeDecodeError) as exc:
            raise Rejected(
                "password-file", f"{file} holds no readable password.", "Put it in the first line."
            ) from exc
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise Rejected(
            "no-password",
            "The wallet's password is needed and there is no terminal to ask at.",
            f"Set {PASSWORD_VARIABLE} or give --password-file.",
        )
    return _ask(new=new)


def asked_password(file: Path | None) -> str:
    """A new password: from the file's first line, or asked at a terminal; never the environment's, which
    holds the old one."""
    if file is not None:
        return password(file)
    if not sys.stdin.isatty():
        raise Rejected(
            "no-password",
            "A new password is needed and there is no terminal to ask at.",
            "Give --new-password-file.",
        )
    return _ask(new=True)


def _ask(*, new: bool) -> str:
    import getpass

    typed = getpass.getpass("Password: ")
    if new and getpass.getpass("Once more: ") != typed:
        raise Rejected("password-differs", "The two passwords differ.", "Type the same one twice.")
    return typed
