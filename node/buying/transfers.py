"""Files to and from a node: content-addressed, in chunks, resumed where they stopped, checked at the end."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ledger.market.errors import Broken, LostRace, Rejected
from ledger.market.facts import OutputFile
from ledger.market.job import check_path
from node.buying.client import NodeClient
from node.buying.progress import Progress, no_progress

CHUNK = 4 << 20
_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBlob:
    """A file of this machine by its content."""

    path: Path
    sha256: str
    size: int


def read_blob(path: Path, progress: Progress = no_progress) -> LocalBlob:
    """Hash a file; `Rejected` where it is missing or not a regular file."""
    if not path.is_file():
        raise Rejected("file-not-found", f"There is no file {path}.", "Correct its path.")
    total, done, hasher = path.stat().st_size, 0, hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                hasher.update(piece)
                done += len(piece)
                progress(f"reading {path.name}", done, total)
    except OSError as exc:
        raise Rejected(
            "file-unreadable", f"{path} cannot be read: {exc.strerror}.", "Correct its rights."
        ) from exc
    return LocalBlob(path=path, sha256=hasher.hexdigest(), size=done)


def upload(node: NodeClient, blob: LocalBlob, progress: Progress = no_progress) -> None:
    """Bring a blob to the node from wherever an earlier upload stopped; nothing where it is there."""
    where = f"/v1/blobs/{blob.sha256}"
    offset = int(node.send("POST", where, query={"size": str(blob.size)}).json()["offset"])
    rounds = 0
    with blob.path.open("rb") as file:
        while offset < blob.size:
            file.seek(offset)
            piece = file.read(min(CHUNK, blob.size - offset))
            if not piece:
                raise Rejected("file-changed", f"{blob.path} became shorter.", "Submit it again.")
            try:
                offset = _append(node, where, offset, piece)
            except LostRace as exc:
                rounds += 1
                if "offset" not in exc.facts or rounds > _ROUNDS:
                    raise
                offset = int(str(exc.facts["offset"]))
            progress(f"uploading {blob.path.name}", offset, blob.size)


def _append(node: NodeClient, where: str, offset: int, piece: bytes) -> int:
    headers = {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
    return int(node.send("PATCH", where, content=piece, headers=headers).json()["offset"])


def download(node: NodeClient, output: OutputFile, folder: Path, progress: Progress = no_progress) -> Path:
    """Fetch one output below `folder`, going on with a part of an earlier try; the file appears under
    its name only when its sha256 is right."""
    target = folder / check_path(output.path)
    if _has(target, output):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{output.sha256[:16]}.partial")
    _fetch(node, output, partial, progress)
    found = read_blob(partial)
    if found.sha256 != output.sha256:
        partial.unlink()
        raise Broken(
            "hash-mismatch",
            f"{output.path} came with sha256 {found.sha256}, not {output.sha256}.",
            "Fetch it again; if it repeats, do not trust this node.",
        )
    partial.replace(target)
    return target


def _has(target: Path, output: OutputFile) -> bool:
    return target.is_file() and read_blob(target).sha256 == output.sha256


def _fetch(node: NodeClient, output: OutputFile, partial: Path, progress: Progress) -> None:
    done = partial.stat().st_size if partial.exists() else 0
    if done >= output.size:
        partial.write_bytes(b"")
        done = 0
    if output.size == 0:
        return
    headers = {"Range": f"bytes={done}-"} if done else {}
    with node.download(f"/v1/blobs/{output.sha256}", headers) as pieces, partial.open("ab") as file:
        for piece in pieces:
            done += len(piece)
            if done > output.size:
                break
            file.write(piece)
            progress(f"fetching {output.path}", done, output.size)
