"""What image an archive file holds: its config digest, which the signed bid binds.

Reads `docker save` archives (`manifest.json`) and OCI layouts in a tar (`index.json`; OCI image layout
specification 1.0). Nothing is unpacked; sizes of what is read are bounded, since archives are passed on.
"""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from ledger.market.errors import Rejected

_MAX_JSON = 8 << 20
_DIGEST = "sha256:"


def read_config_digest(path: Path) -> str:
    """`sha256:…` of the archive's one image; `Rejected` where it holds none, several, or is no archive."""
    try:
        with tarfile.open(path) as archive:
            names = set(archive.getnames())
            if "manifest.json" in names:
                return _of_docker(archive)
            if "index.json" in names:
                return _of_oci(archive)
    except FileNotFoundError as exc:
        raise Rejected("image-not-found", f"There is no file {path}.", "Name an existing archive.") from exc
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as exc:
        raise _refused(path, "is not a readable image archive") from exc
    raise _refused(path, "holds neither manifest.json nor index.json")


def _of_docker(archive: tarfile.TarFile) -> str:
    manifest = json.loads(_read(archive, "manifest.json"))
    config = _read(archive, str(_only(manifest)["Config"]))
    return _DIGEST + hashlib.sha256(config).hexdigest()


def _of_oci(archive: tarfile.TarFile) -> str:
    descriptor = _only(json.loads(_read(archive, "index.json"))["manifests"])
    manifest = json.loads(_blob(archive, descriptor["digest"]))
    config: str = manifest["config"]["digest"]
    _blob(archive, config)
    return config


def _only(items: Any) -> Any:  # noqa: ANN401 - foreign JSON, checked by its use
    if len(items) != 1:
        raise ValueError("not exactly one image")
    return items[0]


def _blob(archive: tarfile.TarFile, digest: str) -> bytes:
    data = _read(archive, "blobs/sha256/" + digest.removeprefix(_DIGEST))
    if _DIGEST + hashlib.sha256(data).hexdigest() != digest:
        raise ValueError("a blob is not what its name says")
    return data


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    if stream is None:
        raise ValueError("not a file")
    with stream:
        data = stream.read(_MAX_JSON + 1)
    if len(data) > _MAX_JSON:
        raise ValueError("too large")
    return data


def _refused(path: Path, why: str) -> Rejected:
    return Rejected("image-archive", f"{path} {why}.", "Export one image with `docker save IMAGE -o FILE`.")
