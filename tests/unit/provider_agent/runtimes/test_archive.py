"""Of a stranger's archive, exactly the bid's image is passed on, under a name of ours."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ledger.market.errors import Rejected
from provider_agent.runtimes.archive import check, image_name, repack

CONFIG = b'{"os":"linux"}'
DIGEST = "sha256:" + hashlib.sha256(CONFIG).hexdigest()
ENTRY = {"Config": "c.json", "RepoTags": ["debian:latest"], "Layers": ["a/layer.tar", "b/layer.tar"]}
FILES = {"c.json": CONFIG, "a/layer.tar": b"A" * 700, "b/layer.tar": b"", "other.tar": b"hidden"}


def _archive(path: Path, manifest: Any, files: dict[str, bytes] = FILES) -> Path:  # any JSON
    with tarfile.open(path, mode="w") as archive:
        for name, data in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def _members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]  # all are files


def test_only_the_checked_image_is_passed_on(tmp_path: Path) -> None:
    members = _members(b"".join(repack(check(_archive(tmp_path / "i.tar", [ENTRY]), DIGEST))))
    manifest = json.loads(members.pop("manifest.json"))
    assert manifest == [{**ENTRY, "RepoTags": [image_name(DIGEST)]}]
    assert members == {name: FILES[name] for name in ("c.json", "a/layer.tar", "b/layer.tar")}


def test_a_compressed_archive_is_read_as_well(tmp_path: Path) -> None:
    packed = tmp_path / "i.tar.gz"
    packed.write_bytes(gzip.compress(_archive(tmp_path / "i.tar", [ENTRY]).read_bytes()))
    assert check(packed, DIGEST).layers == ("a/layer.tar", "b/layer.tar")


def test_a_layer_that_is_a_link_inside_the_archive_is_followed(tmp_path: Path) -> None:
    path = _archive(tmp_path / "i.tar", [{**ENTRY, "Layers": ["a/layer.tar", "l/layer.tar"]}])
    with tarfile.open(path, mode="a") as archive:
        link = tarfile.TarInfo("l/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../a/layer.tar"
        archive.addfile(link)
    assert _members(b"".join(repack(check(path, DIGEST))))["l/layer.tar"] == FILES["a/layer.tar"]


def test_another_images_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refused:
        check(_archive(tmp_path / "i.tar", [ENTRY]), "sha256:" + "0" * 64)
    assert refused.value.code == "image-digest"


@pytest.mark.parametrize(
    "manifest",
    [
        [],
        [ENTRY, ENTRY],
        {},
        None,
        [1],
        [{"Config": "c.json"}],
        [{"Config": "c.json", "Layers": "a"}],
        [{**ENTRY, "Config": "none"}],
        [{**ENTRY, "Config": "../../etc/passwd"}],
        [{**ENTRY, "Layers": ["none"]}],
    ],
)
def test_an_archive_that_is_not_one_image_is_refused(tmp_path: Path, manifest: object) -> None:
    with pytest.raises(Rejected) as refused:
        check(_archive(tmp_path / "i.tar", manifest), DIGEST)
    assert refused.value.code == "image-archive"


@pytest.mark.parametrize("data", [b"", b"nonsense" * 100, bytes(10240)])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "i.tar"
    path.write_bytes(data)
    with pytest.raises(Rejected) as refused:
        check(path, DIGEST)
    assert refused.value.code == "image-archive"


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    path = _archive(tmp_path / "i.tar", [ENTRY])
    path.write_bytes(path.read_bytes()[:1200])
    with pytest.raises(Rejected):
        check(path, DIGEST)
