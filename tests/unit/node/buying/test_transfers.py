"""Files go on where they stopped, and count only when their hash is right."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import Domain
from ledger.market.errors import Broken, LostRace, Rejected
from ledger.market.facts import OutputFile
from ledger.market.identity import Address
from node.buying.client import Identity, NodeClient
from node.buying.transfers import CHUNK, download, read_blob, upload

IDENTITY = Identity(domain=Domain(chain_id=7, market=Address(b"\1" * 20)), key=LocalKey(b"\5" * 32))


@dataclass(kw_only=True)
class Store:
    """A node's blob store in memory; `lie` makes it answer with other bytes."""

    held: bytearray = field(default_factory=bytearray)
    requests: list[httpx.Request] = field(default_factory=list)
    lie: bytes | None = None
    offset_shown: int | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "POST":
            shown = len(self.held) if self.offset_shown is None else self.offset_shown
            return httpx.Response(200, json={"offset": shown})
        if request.method == "PATCH":
            if int(request.headers["Upload-Offset"]) != len(self.held):
                problem = {"code": "wrong-offset", "offset": len(self.held)}
                return httpx.Response(409, json=problem)
            self.held += request.content
            return httpx.Response(200, json={"offset": len(self.held)})
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        data = bytes(self.held) if self.lie is None else self.lie
        return httpx.Response(206 if start else 200, content=data[start:])

    def client(self) -> NodeClient:
        transport = httpx.MockTransport(self.answer)
        return NodeClient("http://node.test", lambda: 1.0, lambda bits: 1, IDENTITY, transport=transport)


def output(data: bytes, path: str = "sub/a.bin") -> OutputFile:
    return OutputFile(path=path, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def test_a_large_file_goes_in_chunks_and_a_second_time_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * (CHUNK + 5))
    store = Store()
    blob = read_blob(path)
    upload(store.client(), blob)
    assert bytes(store.held) == path.read_bytes()
    store.requests.clear()
    upload(store.client(), blob)
    assert [request.method for request in store.requests] == ["POST"]


def test_an_upload_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abcdef")
    store = Store(held=bytearray(b"abc"))
    upload(store.client(), read_blob(path))
    assert bytes(store.held) == b"abcdef"
    assert store.requests[-1].content == b"def"


def test_an_offset_that_the_node_corrects_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abcdef")
    store = Store(held=bytearray(b"abcd"), offset_shown=1)
    upload(store.client(), read_blob(path))
    assert bytes(store.held) == b"abcdef"


def test_a_lost_race_without_an_offset_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"offset": 0})
        return httpx.Response(409, json={"code": "busy"})

    transport = httpx.MockTransport(answer)
    node = NodeClient("http://node.test", lambda: 1.0, lambda bits: 1, IDENTITY, transport=transport)
    with pytest.raises(LostRace):
        upload(node, read_blob(path))


@pytest.mark.parametrize("data", [b"", b"hello", b"y" * (CHUNK + 1)])
def test_an_output_comes_whole_under_its_own_path(data: bytes, tmp_path: Path) -> None:
    store = Store(held=bytearray(data))
    path = download(store.client(), output(data), tmp_path)
    assert path == tmp_path / "sub" / "a.bin"
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


def test_a_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data = b"abcdef"
    wanted = output(data, "a.bin")
    (tmp_path / f".a.bin.{wanted.sha256[:16]}.partial").write_bytes(b"abc")
    store = Store(held=bytearray(data))
    assert download(store.client(), wanted, tmp_path).read_bytes() == data
    assert store.requests[0].headers["Range"] == "bytes=3-"


def test_what_is_already_here_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    store = Store(held=bytearray(b"abc"))
    download(store.client(), output(b"abc", "a.bin"), tmp_path)
    assert store.requests == []


@pytest.mark.parametrize("lie", [b"abX", b"", b"abcdef"])
def test_other_bytes_than_promised_never_appear_under_the_name(lie: bytes, tmp_path: Path) -> None:
    store = Store(lie=lie)
    with pytest.raises(Broken):
        download(store.client(), output(b"abc", "a.bin"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_leads_away_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected):
        download(Store().client(), output(b"abc", "../a"), tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected):
        read_blob(tmp_path / "absent")
    with pytest.raises(Rejected):
        read_blob(tmp_path)
