"""Why a key's file is whole or absent, and never lost: each write is a new file, each change of name atomic.

What holds a key, a password or the way to a signer is readable by its owner alone (mode 0600).
"""

import os
import stat
from pathlib import Path

from ledger.market.errors import Rejected

_MOST_BYTES = 65_536


def read_private(path: Path) -> bytes:
    """The file's content; `Rejected` where it is missing, or where others can read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_MOST_BYTES)
    except OSError as exc:
        raise Rejected(
            "keystore-missing",
            f"{path} cannot be read: {exc.strerror}.",
            "Create it, or name another file.",
        ) from exc
    if mode & 0o077:
        raise Rejected(
            "keystore-exposed", f"{path} can be read by others (mode {mode:o}).", f"Run chmod 600 {path}."
        )
    return content


def write_once(path: Path, content: bytes) -> None:
    """The whole file or none, and never over another: a key that is overwritten is money lost."""
    partial = _partial(path, content)
    try:
        os.link(partial, path)
    except FileExistsError as exc:
        raise Rejected(
            "keystore-exists", f"{path} exists already.", "Name another file, or use that key."
        ) from exc
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)


def write_over(path: Path, content: bytes) -> None:
    """Put new content in the place of the old; a crash leaves one of the two, whole."""
    _partial(path, content).replace(path)
    sync_directory(path.parent)


def keep_beside(path: Path, kept: Path) -> None:
    """A second name for the file, which outlives the first; doing it twice changes nothing.

    `Rejected` "keystore-exists" where a file with other content has that name.
    """
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.link(path, kept)
    except FileExistsError as exc:
        if kept.read_bytes() != path.read_bytes():
            raise Rejected(
                "keystore-exists", f"{kept} exists already.", "Look whose key it is before you move it."
            ) from exc
    sync_directory(kept.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a folder survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _partial(path: Path, content: bytes) -> Path:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return partial
