"""An archive is known by its image's config digest, or refused."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from ledger.market.errors import Rejected
from node.buying.image_archive import read_config_digest

CONFIG = b'{"architecture":"amd64"}'
NAME = hashlib.sha256(CONFIG).hexdigest()


def archive(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as out:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def blob(data: bytes) -> tuple[str, str]:
    digest = hashlib.sha256(data).hexdigest()
    return f"blobs/sha256/{digest}", f"sha256:{digest}"


def test_a_docker_archive_names_its_image(tmp_path: Path) -> None:
    manifest = json.dumps([{"Config": f"{NAME}.json", "Layers": []}]).encode()
    path = archive(tmp_path / "a.tar", {"manifest.json": manifest, f"{NAME}.json": CONFIG})
    assert read_config_digest(path) == f"sha256:{NAME}"


def test_an_oci_archive_names_its_image(tmp_path: Path) -> None:
    config_path, config_digest = blob(CONFIG)
    manifest = json.dumps({"config": {"digest": config_digest}}).encode()
    manifest_path, manifest_digest = blob(manifest)
    index = json.dumps({"manifests": [{"digest": manifest_digest}]}).encode()
    members = {"index.json": index, manifest_path: manifest, config_path: CONFIG}
    assert read_config_digest(archive(tmp_path / "a.tar", members)) == config_digest


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"manifest.json": b"[]"},
        {"manifest.json": b"nonsense"},
        {"manifest.json": b'[{"Config":"absent"}]'},
        {"manifest.json": b'[{"Config":"a"},{"Config":"b"}]'},
        {"index.json": b'{"manifests":[{"digest":"sha256:00"}]}'},
        {"index.json": b'{"manifests":[{"digest":"sha256:00"}]}', "blobs/sha256/00": b"{}"},
    ],
)
def test_an_archive_without_exactly_one_whole_image_is_refused(
    members: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(Rejected):
        read_config_digest(archive(tmp_path / "a.tar", members))


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar at all")
    with pytest.raises(Rejected) as refused:
        read_config_digest(tmp_path / "a.tar")
    assert refused.value.code == "image-archive"


def test_a_file_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refused:
        read_config_digest(tmp_path / "absent.tar")
    assert refused.value.code == "image-not-found"
