import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from ledger.chain.documents import document_hash
from ledger.chain.keys import LocalKey
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, keccak, receipt_digest, request_digest
from ledger.market.errors import LostRace, Rejected, Unavailable
from ledger.market.identity import Digest, LeaseId, from_text, text
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.usage_plain import line_to_plain
from ledger.market.usage_tree import UsageLine
from ledger.market.wire import signed_receipt_to_plain
from provider_agent.connections.node_client import Identity, NodeClient, UsageAnswer
from tests.factories import NOW, a_digest, an_address

DOMAIN = Domain(chain_id=7, market=an_address("market"))
KEY, SIGNER = LocalKey(b"\x01" * 32), LocalKey(b"\x02" * 32)
LEASE = LeaseId(a_digest("lease"))
T = TypeVar("T")
Answer = Callable[[httpx.Request], httpx.Response]


def ask(answer: Answer, call: Callable[[NodeClient], Awaitable[T]]) -> T:
    async def scene() -> T:
        identity = Identity(domain=DOMAIN, key=KEY)
        transport = httpx.MockTransport(answer)
        client = NodeClient("http://node", identity, lambda: NOW, lambda _: 5, transport=transport)
        async with client as node:
            return await call(node)

    return asyncio.run(scene())


def problem(status: int, code: str, **facts: object) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "cause": "Why.", "remedy": "How.", **facts})


def a_receipt(milliseconds: int = 5, key: LocalKey = SIGNER) -> SignedReceipt:
    body = UsageReceipt(lease=LEASE, milliseconds=milliseconds, evidence=a_digest("e"), last=False)
    return SignedReceipt(receipt=body, signature=key.sign(receipt_digest(DOMAIN, body)))


LINE = UsageLine(lease=LEASE, sequence=3, milliseconds=5, cpu_ns=1, peak_bytes=2, last=False)
ROOT = Digest(a_digest("root"))


def test_a_call_is_signed_over_method_target_and_body() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        header = request.headers
        digest = request_digest(
            DOMAIN,
            request.method,
            "/v1/leases/" + text(LEASE) + "/logs?offset=3",
            keccak(b"abc"),
            int(header["bingwang-nonce"]),
            int(header["bingwang-deadline"]),
        )
        assert recover(digest, from_text(header["bingwang-signature"], 64)) == KEY.address
        return httpx.Response(200, json={"offset": 6})

    assert ask(answer, lambda node: node.append_log(LEASE, 3, b"abc")) == 6


def test_a_wrong_offset_is_put_right_by_the_nodes_word() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return problem(409, "wrong-offset", offset=2)

    assert ask(answer, lambda node: node.append_log(LEASE, 3, b"abc")) == 2


def test_a_receipt_counts_only_with_its_signers_signature() -> None:
    def answer_with(receipt: SignedReceipt | None) -> Answer:
        plain = None if receipt is None else signed_receipt_to_plain(receipt)
        return lambda _: httpx.Response(200, json={"receipt": plain, "lines": 4})

    def report(node: NodeClient) -> Awaitable[UsageAnswer]:
        return node.report_usage(LINE, ROOT, SIGNER.address)

    good = a_receipt()
    assert ask(answer_with(good), report) == UsageAnswer(signed=good, held=4)
    assert ask(answer_with(None), report) == UsageAnswer(signed=None, held=4)
    with pytest.raises(Rejected, match="another key"):
        ask(answer_with(a_receipt(key=KEY)), report)
    with pytest.raises(Rejected, match="lines"):
        ask(lambda _: httpx.Response(200, json={"receipt": None}), report)


def test_a_line_is_sent_with_the_root_over_the_lines_up_to_it() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content) == line_to_plain(LINE) | {"evidence": text(ROOT)}
        return httpx.Response(200, json={"receipt": None, "lines": 4})

    ask(answer, lambda node: node.report_usage(LINE, ROOT, SIGNER.address))


def test_lines_that_the_node_has_are_read_from_a_number_on() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["first"] == "3"
        return httpx.Response(200, json={"lines": [line_to_plain(LINE) | {"at": 1}]})

    assert ask(answer, lambda node: node.usage_lines(LEASE, 3)) == [LINE]
    with pytest.raises(Rejected):
        ask(lambda _: httpx.Response(200, json={"lines": [{}]}), lambda node: node.usage_lines(LEASE, 3))


def test_a_document_counts_only_with_its_hash() -> None:
    plain = {"kind": "x"}

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=json.dumps(plain))

    assert ask(answer, lambda node: node.document(document_hash(plain))) == plain
    with pytest.raises(Rejected, match="another hash"):
        ask(answer, lambda node: node.document(Digest(a_digest("x"))))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(422, Rejected), (409, LostRace), (401, Unavailable), (503, Unavailable), (500, Unavailable)],
)
def test_an_error_keeps_its_kind(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="Why"):
        ask(
            lambda _: problem(status, "some-code"), lambda node: node.report_usage(LINE, ROOT, SIGNER.address)
        )


def test_what_the_node_does_not_know_yet_may_come() -> None:
    with pytest.raises(Unavailable):
        ask(lambda _: problem(404, "unknown-lease"), lambda node: node.bid_of(LEASE))


def test_a_silent_node_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Unavailable, match="does not answer"):
        ask(answer, lambda node: node.bid_of(LEASE))


CONTENT = b"0123456789"
NAME = hashlib.sha256(CONTENT).hexdigest()


def serve(content: bytes) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        begin = int(request.headers.get("range", "bytes=0-")[6:-1])
        return httpx.Response(206 if begin else 200, content=content[begin:])

    return answer


def test_a_download_goes_on_where_it_stopped_and_is_checked(tmp_path: Path) -> None:
    target = tmp_path / "blob"
    target.with_suffix(".part").write_bytes(CONTENT[:4])
    ask(serve(CONTENT), lambda node: node.download(NAME, target, len(CONTENT)))
    assert target.read_bytes() == CONTENT
    for content in (b"0123456780", CONTENT + b"x"):
        with pytest.raises(Rejected, match="another content"):
            ask(serve(content), lambda node: node.download(NAME, tmp_path / "bad", 20))
    assert not (tmp_path / "bad").exists()


def test_an_upload_goes_on_where_it_stopped(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(CONTENT)
    got = bytearray(CONTENT[:3])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            assert int(request.headers["upload-offset"]) == len(got)
            got.extend(request.content)
        return httpx.Response(200, json={"offset": len(got)})

    ask(answer, lambda node: node.upload(source, NAME))
    assert bytes(got) == CONTENT
