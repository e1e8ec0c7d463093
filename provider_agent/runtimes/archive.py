"""An image archive is a stranger's file, so only what the bid names is passed on to the engine.

A `docker save` archive may hold several images and may name them as it likes: loaded as it is, it could
replace the owner's `debian:latest`. This module checks the archive's one image against the config digest
(the sha256 of the image's config file; OCI image specification, "ImageID") and yields a new archive with
that image alone, under a name of ours.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ledger.market.errors import Rejected

_MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_MAX_CONFIG = 4 << 20
_REMEDY = "Export it again with `docker save IMAGE`."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArchive:
    """One checked image of one archive: its config's and its layers' member names, lowest first."""

    path: Path
    digest: str
    config: str
    layers: tuple[str, ...]


def image_name(digest: str) -> str:
    """Name under which the agent's copy of an image is kept: its own, so that no pruning takes it."""
    return f"bingwang-job:{digest.removeprefix('sha256:')}"


def check(path: Path, digest: str) -> ImageArchive:
    """Read an archive's manifest and config; refuse it unless its one image has the config digest."""
    try:
        with tarfile.open(path) as archive:
            entry = _only_image(json.loads(_read(archive, _MANIFEST)))
            config, layers = str(entry["Config"]), tuple(map(str, entry["Layers"]))
            found = "sha256:" + hashlib.sha256(_read(archive, config)).hexdigest()
            for layer in layers:
                _open(archive, layer).close()
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError, TypeError) as exc:
        raise _refused("The file is not a readable image archive.") from exc
    if found != digest:
        raise Rejected(
            "image-digest",
            f"The archive's image is {found}, not {digest}.",
            "Send the archive of the image that the bid names.",
        )
    return ImageArchive(path=path, digest=digest, config=config, layers=layers)


def repack(checked: ImageArchive) -> Iterator[bytes]:
    """Yield an archive of the checked image alone, under `image_name`, a piece at a time."""
    manifest = [
        {
            "Config": checked.config,
            "Layers": list(checked.layers),
            "RepoTags": [image_name(checked.digest)],
        }
    ]
    with tarfile.open(checked.path) as archive:
        yield from _from_bytes(_MANIFEST, json.dumps(manifest).encode())
        for name in dict.fromkeys((checked.config, *checked.layers)):
            yield from _from_member(archive, name)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _only_image(manifest: object) -> dict[str, Any]:
    match manifest:
        case [dict() as entry] if isinstance(entry.get("Layers"), list):
            return entry
    raise _refused("The archive does not hold exactly one image.")


def _open(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    # Docker before version 25 saves a layer that two images share as a link; this follows it.
    stream = archive.extractfile(name)
    if stream is None:
        raise _refused(f"The archive's member {name} is not a file.")
    return stream


def _size(stream: IO[bytes]) -> int:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    with _open(archive, name) as stream:
        if _size(stream) > _MAX_CONFIG:
            raise _refused(f"The archive's member {name} is too large.")
        return stream.read()


def _from_bytes(name: str, data: bytes) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size = len(data)
    yield header.tobuf(tarfile.PAX_FORMAT)
    yield data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _from_member(archive: tarfile.TarFile, name: str) -> Iterator[bytes]:
    with _open(archive, name) as stream:
        header = tarfile.TarInfo(name)
        header.size = _size(stream)
        yield header.tobuf(tarfile.PAX_FORMAT)
        while piece := stream.read(_CHUNK):
            yield piece
        yield bytes(-header.size % tarfile.BLOCKSIZE)


def _refused(cause: str) -> Rejected:
    return Rejected("image-archive", cause, _REMEDY)
