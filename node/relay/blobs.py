"""Blobs: inputs, outputs and image archives, named by their SHA-256 so that nobody can swap one.

An upload may stop at any byte and go on there later: a part is appended to and synced chunk by chunk,
and becomes a blob only when its whole hash is right. `kill -9` leaves a part or a blob, never half a
blob under a full name.
"""

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.market.errors import LostRace, Rejected, Unavailable

_NAME = re.compile(r"[0-9a-f]{64}")
_READ = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How much of a blob is here; complete when `offset` equals `size`."""

    offset: int
    size: int


class BlobStore:
    """Content-addressed files below one folder, with a limit for one blob and one for all."""

    def __init__(self, directory: Path, blob_limit: int, store_limit: int) -> None:
        self._blobs = directory / "blobs"
        self._parts = directory / "parts"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._parts.mkdir(parents=True, exist_ok=True)
        self._blob_limit = blob_limit
        self._store_limit = store_limit
        self._locks = tuple(threading.Lock() for _ in range(1 << 8))

    def begin(self, name: str, size: int) -> Progress:
        """Start an upload of `size` bytes, or find where an earlier one stopped."""
        self._check_name(name)
        if not 0 <= size <= self._blob_limit:
            raise OversizedUpload(size, self._blob_limit)
        with self._locked(name):
            known = self._progress(name)
            if known is not None and self.path(name) is not None:
                return known
            if known is not None and known.size == size:
                # A crash may have come between the last byte and the naming of the blob.
                return self._complete_if_whole(name, size)
            self._check_room(size)
            self._part(name).write_bytes(b"")
            self._size_file(name).write_text(str(size))
            return self._complete_if_whole(name, size)

    def progress(self, name: str) -> Progress:
        """Where an upload stands; `Rejected` where nobody began it."""
        self._check_name(name)
        with self._locked(name):
            known = self._progress(name)
        if known is None:
            raise Rejected("unknown-blob", f"There is no blob {name}.", "Upload it first.")
        return known

    def append(self, name: str, offset: int, chunk: bytes) -> Progress:
        """Add bytes at exactly the end; another offset is `LostRace` and names the right one."""
        self._check_name(name)
        with self._locked(name):
            known = self._progress(name)
            if known is None:
                raise Rejected("unknown-blob", f"Nobody began the upload {name}.", "Begin it first.")
            if self.path(name) is not None:
                return known
            if offset != known.offset:
                raise LostRace(
                    "wrong-offset",
                    f"The upload stands at {known.offset}, not at {offset}.",
                    f"Go on from byte {known.offset}.",
                    offset=known.offset,
                )
            if offset + len(chunk) > known.size:
                raise OversizedUpload(offset + len(chunk), known.size)
            with self._part(name).open("ab") as part:
                part.write(chunk)
                part.flush()
                os.fsync(part.fileno())
            return self._complete_if_whole(name, known.size)

    def path(self, name: str) -> Path | None:
        """The whole blob's file, or None."""
        path = self._blobs / name
        return path if _NAME.fullmatch(name) and path.exists() else None

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        """The blob's bytes from `start`; `Rejected` where it is not whole."""
        path = self.path(name)
        if path is None:
            raise Rejected("unknown-blob", f"There is no blob {name}.", "Upload it first.")
        return _chunks(path, start)

    def _locked(self, name: str) -> threading.Lock:
        """The lock of a blob; hashing a large one must not hold up the others."""
        return self._locks[int(name[:2], 16)]

    def _progress(self, name: str) -> Progress | None:
        path = self.path(name)
        if path is not None:
            size = path.stat().st_size
            return Progress(offset=size, size=size)
        part, size_file = self._part(name), self._size_file(name)
        text = size_file.read_text() if size_file.exists() else ""
        if not part.exists() or not text.isdecimal():
            return None
        return Progress(offset=part.stat().st_size, size=int(text))

    def _complete_if_whole(self, name: str, size: int) -> Progress:
        part = self._part(name)
        have = part.stat().st_size
        if have < size:
            return Progress(offset=have, size=size)
        found = hashlib.sha256()
        for chunk in _chunks(part, 0):
            found.update(chunk)
        if found.hexdigest() != name:
            part.unlink()
            self._size_file(name).unlink(missing_ok=True)
            raise Rejected(
                "hash-mismatch",
                f"The uploaded bytes have the SHA-256 {found.hexdigest()}, not {name}.",
                "Upload the file again; nothing of this upload was kept.",
            )
        part.rename(self._blobs / name)
        _sync_folder(self._blobs)
        self._size_file(name).unlink(missing_ok=True)
        return Progress(offset=size, size=size)

    def _check_room(self, size: int) -> None:
        held = sum(f.stat().st_size for f in (*self._blobs.iterdir(), *self._parts.iterdir()))
        if held + size > self._store_limit:
            raise Unavailable(
                "blob-store-full",
                f"The node holds {held} of {self._store_limit} bytes of blobs.",
                "Try later, or ask the operator for room.",
            )

    @staticmethod
    def _check_name(name: str) -> None:
        if not _NAME.fullmatch(name):
            raise Rejected(
                "malformed-blob-name", f"{name[:80]!r} is not a SHA-256.", "Give 64 hexadecimal digits."
            )

    def _part(self, name: str) -> Path:
        return self._parts / f"{name}.part"

    def _size_file(self, name: str) -> Path:
        return self._parts / f"{name}.size"


class OversizedUpload(Rejected):
    """An upload is larger than what is taken, or than its own announcement."""

    http_status = 413

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            "oversized-upload",
            f"The upload has {size} bytes, of which {limit} are taken.",
            "Send a smaller file, or ask the operator to raise the limit.",
            limit=limit,
        )


def _chunks(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(_READ):
            yield chunk


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
