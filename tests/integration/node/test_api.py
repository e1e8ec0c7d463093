import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from ledger.chain.documents import canonical, document_hash
from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import bid_id, keccak, receipt_digest
from ledger.market.bid import SignedBid
from ledger.market.demand import wanted
from ledger.market.identity import NOBODY, Digest, LeaseId, from_text, text
from ledger.market.job import Image, InputFile, Job
from ledger.market.lifecycle import JobState
from ledger.market.offer_document import OfferDocument
from ledger.market.receipt import UsageReceipt
from ledger.market.usage_plain import line_to_plain, settled_line_from_plain
from node.api.orders import ORDER_LIMIT
from node.trading.presence import Heartbeat
from node.trading.usage_lines import line_of
from tests.factories import a_job, an_offer
from tests.fakes.node_server import BLOB_LIMIT, CHUNK_LIMIT, NodeServer, order_plain
from tests.fakes.node_twin import BUYER, DOMAIN, OTHER, RATE, NodeTwin

PROVIDER = LocalKey(sha256(b"provider's key").digest())
DATA = bytes(range(256)) * 300
NAME = sha256(DATA).hexdigest()
ZERO = "0x" + "00" * 32


@pytest.fixture
def offer(node: NodeTwin) -> str:
    """A live offer of `PROVIDER`."""
    plain = OfferDocument(name="p", domain="lab/berlin", region="eu-west").to_plain()
    offer = an_offer(provider=PROVIDER.address, document=document_hash(plain))
    with node.books.transaction() as unit:
        unit.keep_document(offer.document, canonical(plain))
    name = node.register(offer)
    node.seal()
    beat = Heartbeat(offers=frozenset({name}), draining=False, engine_ok=True, at=node.now)
    node.exchange.beat(PROVIDER.address, beat)
    return text(name)


def submit(server: NodeServer, job: Job | None = None, wait: int = 0, **changes: Any) -> httpx.Response:
    document, attempts = server.twin.signed(job or a_job(), **changes)
    return server.call("POST", "/v1/bids", order_plain(document, attempts, wait), key=BUYER)


def opened(server: NodeServer) -> tuple[str, str]:
    """A job and its open lease."""
    job = submit(server).json()["job"]
    server.twin.mine()
    server.twin.seal()
    return job, server.call("GET", f"/v1/jobs/{job}").json()["lease"]


def usage(server: NodeServer, lease: str, milliseconds: int, *, last: bool = False) -> dict[str, Any]:
    """The lease's next line, as its agent would send it."""
    fact = server.twin.used(LeaseId(from_text(lease, 32)), milliseconds, last=last)
    return line_to_plain(line_of(fact)) | {"evidence": text(fact.evidence)}


def report(phase: str, **changes: Any) -> dict[str, Any]:
    return {"phase": phase, "exit_code": None, "code": "", "cause": "", "outputs": []} | changes


def check(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """A problem document with cause and remedy."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["cause"]
    assert body["remedy"]
    return body


class TestMarket:
    def test_a_newcomer_learns_market_time_and_health(self, server: NodeServer) -> None:
        assert server.call("GET", "/v1/market").json()["time"] == server.twin.now
        assert server.call("GET", "/v1/health").json() == {"status": "ok"}

    def test_offers_show_use_and_life(self, server: NodeServer, offer: str) -> None:
        opened(server)
        shown = server.call("GET", "/v1/offers?live=true").json()["offers"]
        assert [one["id"] for one in shown] == [offer]
        assert shown[0]["live"] is True
        assert shown[0]["document"]["domain"] == "lab/berlin"
        assert int(shown[0]["used"]) == a_want()
        server.twin.now += 60
        assert server.call("GET", "/v1/offers?live=true").json()["offers"] == []
        assert server.call("GET", "/v1/offers").json()["offers"][0]["live"] is False

    def test_the_description_is_a_page_that_needs_nothing_from_elsewhere(self, server: NodeServer) -> None:
        page = server.call("GET", "/docs").text
        assert "http://" not in page
        assert "https://" not in page
        assert server.call("GET", "/docs/static/swagger-ui-bundle.js").status_code == 200
        paths = server.call("GET", "/openapi.json").json()["paths"]
        assert "/v1/bids" in paths

    def test_an_unknown_path_and_method_are_problems(self, server: NodeServer) -> None:
        check(server.call("GET", "/v1/nothing"), 404, "http-error")
        check(server.call("DELETE", "/v1/market"), 405, "http-error")


def a_want() -> int:
    return wanted(a_job()).pack()


class TestSigning:
    def test_an_unsigned_a_forged_and_a_foreign_request_are_refused(self, server: NodeServer) -> None:
        check(server.call("POST", "/v1/documents", {}), 401, "unsigned-request")
        values = server.credentials(BUYER, "POST", "/v1/documents", b"{}")
        values["address"] = text(OTHER.address)
        headers = {f"Bingwang-{name.title()}": value for name, value in values.items()}
        check(server.call("POST", "/v1/documents", {}, headers=headers), 401, "bad-signature")

    def test_a_request_serves_once(self, server: NodeServer) -> None:
        assert server.call("POST", "/v1/documents", {}, key=BUYER, nonce=5).status_code == 201
        check(server.call("POST", "/v1/documents", {}, key=BUYER, nonce=5), 401, "replayed-request")

    def test_a_wrong_clock_is_told_the_nodes_time(self, server: NodeServer) -> None:
        now = server.twin.now
        for deadline, code in ((now - 1, "request-expired"), (now + 301, "clock-skewed")):
            answer = server.call("POST", "/v1/documents", {}, key=BUYER, deadline=deadline)
            assert check(answer, 401, code)["time"] == now


class TestDocuments:
    def test_a_document_is_kept_under_the_hash_of_its_canonical_form(self, server: NodeServer) -> None:
        answer = server.call("POST", "/v1/documents", b'{"b": 1, "a": "\xc3\xa9"}', key=BUYER)
        name = answer.json()["hash"]
        assert server.call("GET", f"/v1/documents/{name}").content == '{"a":"é","b":1}'.encode()

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b"{", 422, "malformed-json"),
            (b"\xff", 422, "malformed-json"),
            (b"[" * 30_000, 422, "malformed-json"),
            (b"1" * 5_000, 422, "malformed-json"),
            (b"NaN", 422, "not-canonical"),
            (b'"\\ud800"', 422, "not-canonical"),
            (b'"' + b"x" * (64 << 10) + b'"', 413, "oversized-upload"),
        ],
    )
    def test_what_is_no_document_is_refused(
        self, server: NodeServer, body: bytes, status: int, code: str
    ) -> None:
        check(server.call("POST", "/v1/documents", body, key=BUYER), status, code)

    def test_a_jobs_document_is_shown_to_its_parties_alone(self, server: NodeServer, offer: str) -> None:
        job, _ = opened(server)
        name = server.call("GET", f"/v1/jobs/{job}").json()["document"]
        for party in (BUYER, PROVIDER):
            shown = server.call("GET", f"/v1/documents/{name}", key=party)
            assert shown.json()["kind"] == "bingwang/job/1"
        check(server.call("GET", f"/v1/documents/{name}", key=OTHER), 403, "not-yours")
        check(server.call("GET", f"/v1/documents/{name}"), 401, "unsigned-request")

    def test_an_unknown_or_malformed_hash_is_told_so(self, server: NodeServer) -> None:
        check(server.call("GET", f"/v1/documents/{ZERO}"), 404, "unknown-document")
        check(server.call("GET", "/v1/documents/xyz"), 422, "malformed-hex")


class TestBlobs:
    def test_an_upload_in_pieces_is_read_whole_and_in_part(self, server: NodeServer) -> None:
        path = f"/v1/blobs/{NAME}"
        begun = server.call("POST", f"{path}?size={len(DATA)}", key=BUYER)
        assert begun.json() == {"offset": 0}
        first = server.call("PATCH", path, DATA[:CHUNK_LIMIT], key=BUYER, headers={"Upload-Offset": "0"})
        assert first.json() == {"offset": CHUNK_LIMIT}
        stand = server.call("HEAD", path).headers
        assert (stand["upload-offset"], stand["upload-length"]) == (str(CHUNK_LIMIT), str(len(DATA)))
        check(server.call("GET", path, key=BUYER), 404, "unknown-blob")
        resumed = server.call("POST", f"{path}?size={len(DATA)}", key=BUYER).json()["offset"]
        offset = {"Upload-Offset": str(resumed)}
        server.call("PATCH", path, DATA[resumed:], key=BUYER, headers=offset)

        assert server.call("GET", path, key=OTHER).content == DATA
        part = server.call("GET", path, key=OTHER, headers={"Range": "bytes=1000-"})
        assert (part.status_code, part.content) == (206, DATA[1000:])
        assert part.headers["content-range"] == f"bytes 1000-{len(DATA) - 1}/{len(DATA)}"

    def test_an_upload_that_is_wrong_is_told_how(self, server: NodeServer) -> None:
        path = f"/v1/blobs/{NAME}"
        too_large = server.call("POST", f"{path}?size={BLOB_LIMIT + 1}", key=BUYER)
        assert check(too_large, 413, "oversized-upload")["limit"] == BLOB_LIMIT
        check(server.call("POST", f"{path}?size=-1", key=BUYER), 422, "malformed-request")
        check(server.call("POST", f"{path}?size={10**30}", key=BUYER), 422, "malformed-request")
        check(server.call("POST", f"{path}?size=9"), 401, "unsigned-request")
        check(server.call("POST", "/v1/blobs/abc?size=9", key=BUYER), 422, "malformed-blob-name")

        server.call("POST", f"{path}?size=4", key=BUYER)

        def patch(body: bytes, offset: str) -> httpx.Response:
            return server.call("PATCH", path, body, key=BUYER, headers={"Upload-Offset": offset})

        assert check(patch(b"ab", "1"), 409, "wrong-offset")["offset"] == 0
        check(patch(b"ab", "x"), 422, "missing-offset")
        check(patch(b"ab", "9" * 5_000), 422, "missing-offset")
        check(patch(b"abcde", "0"), 413, "oversized-upload")
        check(patch(b"x" * (CHUNK_LIMIT + 1), "0"), 413, "oversized-upload")
        check(patch(b"abcd", "0"), 422, "hash-mismatch")
        assert server.call("HEAD", path).status_code == 404

    def test_a_range_that_is_not_served_is_refused(self, server: NodeServer) -> None:
        keep(server, b"hello")
        path = f"/v1/blobs/{sha256(b'hello').hexdigest()}"
        for value in ("bytes=1-3", "bytes=-3", "lines=1-", f"bytes={'9' * 5000}-"):
            answer = server.call("GET", path, key=BUYER, headers={"Range": value})
            check(answer, 422, "unsupported-range")
        at_end = server.call("GET", path, key=BUYER, headers={"Range": "bytes=5-"})
        assert (at_end.status_code, at_end.content) == (206, b"")


def keep(server: NodeServer, data: bytes) -> str:
    name = sha256(data).hexdigest()
    server.blobs.begin(name, len(data))
    server.blobs.append(name, 0, data)
    return name


class TestOrders:
    def test_an_order_is_accepted_and_shown(self, server: NodeServer, offer: str) -> None:
        answer = submit(server)
        assert answer.status_code == 201
        job = answer.json()
        assert job["state"] == JobState.OPENING.value
        assert job["leases"][0]["terms"]["offer"] == offer
        assert job["name"] == "digits"
        assert server.call("GET", f"/v1/jobs/{job['job']}").json()["job"] == job["job"]
        mine = server.call("GET", f"/v1/jobs?buyer={text(BUYER.address)}").json()["jobs"]
        assert [one["job"] for one in mine] == [job["job"]]
        assert server.call("GET", f"/v1/jobs?buyer={text(OTHER.address)}").json() == {"jobs": []}

    def test_a_replayed_bid_is_a_lost_race(self, server: NodeServer, offer: str) -> None:
        document, attempts = server.twin.signed(a_job())
        order = order_plain(document, attempts)
        first = server.call("POST", "/v1/bids", order, key=BUYER)
        again = server.call("POST", "/v1/bids", order, key=BUYER)
        assert check(again, 409, "replayed-bid")["job"] == first.json()["job"]

    def test_a_limit_below_the_ask_names_the_price(self, server: NodeServer, offer: str) -> None:
        body = check(submit(server, a_job(max_rate=RATE - 1)), 422, "no-match")
        assert body["would_match_at"] == str(RATE)
        assert body["excluded"][0]["dimensions"] == ["price"]

    def test_an_empty_wallet_is_refused(self, server: NodeServer, offer: str) -> None:
        document, attempts = server.twin.signed(a_job(), OTHER)
        answer = server.call("POST", "/v1/bids", order_plain(document, attempts), key=OTHER)
        assert check(answer, 422, "insufficient-balance")["needed"] == "834"

    def test_somebody_elses_bid_is_refused(self, server: NodeServer, offer: str) -> None:
        document, attempts = server.twin.signed(a_job())
        answer = server.call("POST", "/v1/bids", order_plain(document, attempts), key=OTHER)
        check(answer, 422, "not-the-buyer")

    def test_a_bid_over_another_document_is_refused(self, server: NodeServer, offer: str) -> None:
        _, attempts = server.twin.signed(a_job())
        order = order_plain(a_job(name="other").to_plain(), attempts)
        check(server.call("POST", "/v1/bids", order, key=BUYER), 422, "document-mismatch")

    def test_a_forged_bid_is_refused(self, server: NodeServer, offer: str) -> None:
        document, (attempt,) = server.twin.signed(a_job())
        forged = replace(attempt, signature=OTHER.sign(bid_id(DOMAIN, attempt.bid)))
        answer = server.call("POST", "/v1/bids", order_plain(document, [forged]), key=BUYER)
        check(answer, 422, "bad-signature")

    def test_a_bid_that_no_contract_takes_is_refused(self, server: NodeServer, offer: str) -> None:
        check(submit(server, signer=NOBODY), 422, "malformed-bid")
        check(submit(server, members=2), 422, "bid-differs-from-job")
        check(submit(server, valid_until=server.twin.now), 422, "bid-expired")

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"document": {"kind": "bingwang/job/1", "nmae": "x"}}, "missing-key"),
            ({"attempts": []}, "malformed-order"),
            ({"wait": -1}, "malformed-order"),
            ({"wait": "1"}, "wrong-type"),
            ({"wiat": 1}, "unknown-key"),
            ({"document": 5}, "wrong-type"),
            ({"attempts": [{"bid": {}, "signature": "0x"}]}, "missing-key"),
        ],
    )
    def test_a_malformed_order_is_refused(
        self, server: NodeServer, change: dict[str, object], code: str
    ) -> None:
        document, attempts = server.twin.signed(a_job())
        order = order_plain(document, attempts) | change
        check(server.call("POST", "/v1/bids", order, key=BUYER), 422, code)

    def test_an_unknown_key_of_a_document_is_named_with_the_nearest(self, server: NodeServer) -> None:
        document, attempts = server.twin.signed(a_job())
        order = order_plain(document | {"retri": 1}, attempts)
        body = check(server.call("POST", "/v1/bids", order, key=BUYER), 422, "unknown-key")
        assert "retry" in body["remedy"]

    def test_what_is_no_json_or_too_large_is_refused(self, server: NodeServer) -> None:
        check(server.call("POST", "/v1/bids", b"{", key=BUYER), 422, "malformed-json")
        check(server.call("POST", "/v1/bids", b"x" * (ORDER_LIMIT + 1), key=BUYER), 413, "oversized-upload")

    def test_an_order_needs_its_files_at_the_node(self, server: NodeServer, offer: str) -> None:
        name = sha256(b"hello").hexdigest()
        image = Image(reference="r", config="sha256:" + "ab" * 32, archive=name)
        check(submit(server, a_job(image=image)), 422, "image-not-available")
        inputs = (InputFile(path="in.csv", sha256=name, size=5),)
        check(submit(server, a_job(inputs=inputs)), 422, "input-not-available")
        keep(server, b"hello")
        assert submit(server, a_job(image=image, inputs=inputs)).status_code == 201
        wrong_size = (InputFile(path="in.csv", sha256=name, size=6),)
        check(submit(server, a_job(inputs=wrong_size)), 422, "input-not-available")

    def test_an_estimate_needs_no_signature_and_keeps_nothing(self, server: NodeServer, offer: str) -> None:
        document, attempts = server.twin.signed(a_job())
        bid = order_plain(document, attempts)["attempts"][0]["bid"] | {"valid_until": 0, "start_by": 0}
        body = server.call("POST", "/v1/estimates", {"bid": bid, "document": document}).json()
        assert body["eligible"][0]["rate"] == str(RATE)
        assert (body["excluded"], body["would_match_at"]) == ([], None)
        assert (body["needed"], body["balance"]) == ("834", "10000000")
        assert server.call("GET", "/v1/jobs").json() == {"jobs": []}
        check(server.call("POST", "/v1/estimates", {"bid": bid}), 422, "missing-key")

    def test_a_resting_order_is_withdrawn_by_its_buyer_alone(self, server: NodeServer) -> None:
        job = submit(server, wait=60).json()["job"]
        path = f"/v1/jobs/{job}/withdrawal"
        check(server.call("POST", path, {}, key=OTHER), 403, "not-yours")
        check(server.call("POST", path, {}), 401, "unsigned-request")
        assert server.call("POST", path, {}, key=BUYER).json()["state"] == "cancelled"
        check(server.call("POST", path, {}, key=BUYER), 409, "not-resting")

    def test_an_unknown_job_is_not_found(self, server: NodeServer) -> None:
        check(server.call("GET", f"/v1/jobs/{ZERO}"), 404, "unknown-job")
        check(server.call("GET", "/v1/jobs/0x12"), 422, "malformed-hex")
        check(server.call("POST", f"/v1/jobs/{ZERO}/withdrawal", {}, key=BUYER), 404, "unknown-job")


class TestLeases:
    def test_a_lease_is_shown_and_listed(self, server: NodeServer, offer: str) -> None:
        _, lease = opened(server)
        shown = server.call("GET", f"/v1/leases/{lease}").json()
        assert (shown["lease"], shown["state"]) == (lease, "active")
        mine = server.call("GET", f"/v1/leases?provider={text(PROVIDER.address)}&open=true").json()
        assert [one["lease"] for one in mine["leases"]] == [lease]
        nobodys = server.call("GET", f"/v1/leases?provider={text(OTHER.address)}").json()
        assert nobodys == {"leases": []}
        check(server.call("GET", f"/v1/leases/{ZERO}"), 404, "unknown-lease")

    def test_usage_of_the_provider_is_cosigned(self, server: NodeServer, offer: str) -> None:
        _, lease = opened(server)
        path = f"/v1/leases/{lease}/usage"
        first = usage(server, lease, 9_000)
        answer = server.call("POST", path, first, key=PROVIDER).json()
        assert (answer["receipt"]["milliseconds"], answer["lines"]) == (9_000, 1)
        assert server.call("POST", path, first, key=PROVIDER).json() == answer
        check(server.call("POST", path, first, key=BUYER), 403, "not-yours")
        too_much = usage(server, lease, 15_001)
        check(server.call("POST", path, too_much, key=PROVIDER), 422, "usage-beyond-bound")
        check(
            server.call("POST", path, first | {"milliseconds": -1}, key=PROVIDER), 422, "field-out-of-range"
        )
        huge = first | {"cpu_ns": 1 << 70}
        check(server.call("POST", path, huge, key=PROVIDER), 422, "field-out-of-range")
        check(server.call("POST", path, first | {"sequence": None}, key=PROVIDER), 422, "wrong-type")
        differs = check(
            server.call("POST", path, first | {"cpu_ns": 1}, key=PROVIDER), 409, "usage-lines-differ"
        )
        assert differs["held"] == 1
        check(server.call("POST", path, b"{", key=PROVIDER), 422, "malformed-json")
        check(server.call("POST", f"/v1/leases/{ZERO}/usage", {}, key=PROVIDER), 404, "unknown-lease")

    def test_a_buyer_who_signs_for_itself_sees_and_answers_the_report(
        self, server: NodeServer, offer: str
    ) -> None:
        submit(server, signer=BUYER.address)
        server.twin.mine()
        server.twin.seal()
        lease = server.call("GET", "/v1/leases").json()["leases"][0]["lease"]
        path = f"/v1/leases/{lease}"
        answer = server.call("POST", f"{path}/usage", usage(server, lease, 5_000, last=True), key=PROVIDER)
        assert answer.json() == {"receipt": None, "lines": 1}
        check(server.call("GET", f"{path}/usage", key=PROVIDER), 403, "not-yours")
        pending = server.call("GET", f"{path}/usage", key=BUYER).json()["usage"]
        assert (pending["milliseconds"], pending["last"]) == (5_000, True)

        receipt = UsageReceipt(
            lease=LeaseId(from_text(lease, 32)),
            milliseconds=5_000,
            evidence=Digest(from_text(pending["evidence"], 32)),
            last=True,
        )
        plain = {"milliseconds": 5_000, "evidence": text(receipt.evidence), "last": True}
        forged = plain | {"signature": text(OTHER.sign(receipt_digest(DOMAIN, receipt)))}
        check(server.call("POST", f"{path}/receipts", forged), 422, "bad-signature")
        good = plain | {"signature": text(BUYER.sign(receipt_digest(DOMAIN, receipt)))}
        assert server.call("POST", f"{path}/receipts", good).status_code == 201
        check(server.call("POST", f"{path}/receipts", plain), 422, "missing-key")
        assert server.call("GET", path).json()["receipt"] == good

    def test_a_line_is_proven_to_the_root_that_the_chain_shows(self, server: NodeServer, offer: str) -> None:
        _, lease = opened(server)
        path = f"/v1/leases/{lease}/usage"
        for milliseconds in (2_000, 4_000, 6_000):
            server.call("POST", path, usage(server, lease, milliseconds), key=PROVIDER)
        check(server.call("GET", f"{path}/proof?line=1"), 409, "line-not-settled")
        server.call("POST", path, usage(server, lease, 8_000, last=True), key=PROVIDER)
        server.twin.mine()
        server.twin.seal()
        shown = server.call("GET", f"{path}/lines").json()
        assert [one["milliseconds"] for one in shown["lines"]] == [2_000, 4_000, 6_000, 8_000]
        (event,) = server.twin.books.queries.settlements(LeaseId(from_text(lease, 32)))
        for line in shown["lines"]:
            plain = server.call("GET", f"{path}/proof?line={line['sequence']}").json()
            settled = settled_line_from_plain(plain)
            assert settled.proof.line.milliseconds == line["milliseconds"]
            assert settled.proof.root(keccak) == event.event.evidence  # type: ignore[union-attr]
            assert settled.transaction == event.transaction

    def test_lines_are_shown_in_pages(self, server: NodeServer, offer: str) -> None:
        _, lease = opened(server)
        path = f"/v1/leases/{lease}/usage"
        assert server.call("GET", f"{path}/lines").json() == {"lease": lease, "held": 0, "lines": []}
        for milliseconds in (2_000, 4_000, 6_000):
            server.call("POST", path, usage(server, lease, milliseconds), key=PROVIDER)
        page = server.call("GET", f"{path}/lines?first=1&limit=1").json()
        assert ([one["sequence"] for one in page["lines"]], page["held"]) == ([1], 3)
        check(server.call("GET", f"{path}/lines?limit=0"), 422, "malformed-request")
        check(server.call("GET", f"{path}/proof?line=3"), 422, "unknown-line")
        check(server.call("GET", f"/v1/leases/{ZERO}/usage/lines"), 404, "unknown-lease")
        check(server.call("GET", f"/v1/leases/{ZERO}/usage/proof?line=0"), 404, "unknown-lease")

    def test_the_agents_word_ends_the_job_with_its_outputs(self, server: NodeServer, offer: str) -> None:
        job, lease = opened(server)
        path = f"/v1/leases/{lease}/reports"
        output = {"path": "out/a.csv", "sha256": sha256(b"hello").hexdigest(), "size": 5}
        done = report("succeeded", exit_code=0, outputs=[output])
        check(server.call("POST", path, done, key=PROVIDER), 422, "output-not-uploaded")
        keep(server, b"hello")
        lying = report("succeeded", exit_code=0, outputs=[output | {"size": 6}])
        check(server.call("POST", path, lying, key=PROVIDER), 422, "output-not-uploaded")
        escaping = report("succeeded", outputs=[output | {"path": "../a"}])
        check(server.call("POST", path, escaping, key=PROVIDER), 422, "unsafe-path")
        check(server.call("POST", path, report("dancing"), key=PROVIDER), 422, "unknown-phase")
        huge = report("failed", exit_code=1 << 70)
        check(server.call("POST", path, huge, key=PROVIDER), 422, "field-out-of-range")
        check(server.call("POST", path, done, key=OTHER), 403, "not-yours")

        assert server.call("POST", path, done, key=PROVIDER).status_code == 201
        shown = server.call("GET", f"/v1/jobs/{job}").json()
        assert (shown["state"], shown["exit_code"], shown["outputs"]) == ("succeeded", 0, [output])


class TestLogs:
    def test_a_log_is_appended_by_its_provider_and_read_by_its_buyer(
        self, server: NodeServer, offer: str
    ) -> None:
        job, lease = opened(server)
        path = f"/v1/leases/{lease}/logs"
        assert server.call("PUT", f"{path}?offset=0", b"one ", key=PROVIDER).json() == {"offset": 4}
        assert server.call("PUT", f"{path}?offset=4", b"two", key=PROVIDER).json() == {"offset": 7}
        wrong = server.call("PUT", f"{path}?offset=9", b"x", key=PROVIDER)
        assert check(wrong, 409, "wrong-offset")["offset"] == 7
        check(server.call("PUT", f"{path}?offset=7", b"x", key=BUYER), 403, "not-yours")
        check(server.call("PUT", f"{path}?offset=-1", b"x", key=PROVIDER), 422, "malformed-request")
        assert server.call("GET", f"{path}/end").json() == {"offset": 7}

        read = list(events(server.call("GET", f"/v1/jobs/{job}/logs?offset=4", key=BUYER).text))
        assert [base64.b64decode(one["data"]) for name, one in read if not name] == [b"two"]
        assert read[-1] == ("end", {"state": "starting", "exit_code": None})
        check(server.call("GET", f"/v1/jobs/{job}/logs", key=OTHER), 403, "not-yours")
        too_far = f"/v1/jobs/{job}/logs?offset={10**30}"
        check(server.call("GET", too_far, key=BUYER), 422, "malformed-request")

    def test_a_followed_log_ends_with_its_job(self, server: NodeServer, offer: str) -> None:
        job, lease = opened(server)
        target = f"/v1/jobs/{job}/logs?follow=true"
        values = server.credentials(BUYER, "GET", target)
        headers = {f"Bingwang-{name.title()}": value for name, value in values.items()}
        log, reports = f"/v1/leases/{lease}/logs", f"/v1/leases/{lease}/reports"
        with (
            httpx.Client(trust_env=False) as reader,
            reader.stream("GET", f"http://{server.address}{target}", headers=headers) as stream,
        ):
            lines = stream.iter_lines()
            server.call("PUT", f"{log}?offset=0", b"hello", key=PROVIDER)
            assert next(lines) == "id: 5"
            server.call("POST", reports, report("failed", exit_code=3), key=PROVIDER)
            rest = "\n".join(lines)
        assert 'event: end\ndata: {"state": "failed", "exit_code": 3}' in rest


def events(stream: str) -> Iterator[tuple[str, Any]]:
    """Server-sent events by name, "" for none."""
    for block in filter(None, stream.split("\n\n")):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        yield fields.get("event", ""), json.loads(fields["data"])


class TestEvents:
    def test_events_are_listed_by_number(self, server: NodeServer, offer: str) -> None:
        listed = server.call("GET", "/v1/events").json()
        names = ["MarketDeployed", "Deposited", "Deposited", "Staked", "OfferRegistered"]
        assert [one["name"] for one in listed["events"]] == names
        assert listed["events"][1]["args"]["amount"] == "10000000"
        after = server.call("GET", f"/v1/events?after={listed['next']}").json()
        assert after == {"events": [], "next": listed["next"]}
        assert len(server.call("GET", "/v1/events?limit=1").json()["events"]) == 1
        check(server.call("GET", f"/v1/events?after={10**30}"), 422, "malformed-request")

    def test_a_stream_gives_what_is_there_and_what_comes(self, server: NodeServer) -> None:
        url = f"http://{server.address}/v1/events/stream"
        with httpx.Client(trust_env=False) as reader, reader.stream("GET", url) as stream:
            lines = stream.iter_lines()
            assert [next(lines), next(lines)] == ["id: 1", "event: MarketDeployed"]
            server.twin.deposit(5, OTHER.address)
            server.twin.seal()
            server.nudges.publish("events", "events")
            assert [line for line in islice(lines, 8) if line.startswith("id")] == ["id: 2", "id: 3"]


class TestAgents:
    def url(self, server: NodeServer, **changed: int) -> str:
        values = server.credentials(PROVIDER, "GET", "/v1/agent", b"", **changed)
        query = "&".join(f"{name}={value}" for name, value in values.items())
        return f"ws://{server.address}/v1/agent?{query}"

    def test_heartbeats_make_offers_live_and_nudges_come_back(self, server: NodeServer, offer: str) -> None:
        server.twin.now += 60
        assert server.call("GET", "/v1/offers?live=true").json()["offers"] == []
        with connect(self.url(server), proxy=None) as socket:
            beat = {"kind": "heartbeat", "offers": [offer], "draining": False, "engine": "ok"}
            socket.send(json.dumps(beat))
            until = time.monotonic() + 5
            while not server.call("GET", "/v1/offers?live=true").json()["offers"]:
                assert time.monotonic() < until
            server.nudges.publish(PROVIDER.address, '{"kind": "lease"}')
            assert socket.recv(timeout=5) == '{"kind": "lease"}'

    def test_a_stranger_or_a_late_caller_does_not_get_in(self, server: NodeServer) -> None:
        for url in (
            f"ws://{server.address}/v1/agent",
            self.url(server, deadline=server.twin.now - 1),
            self.url(server) + "0",
        ):
            with pytest.raises(InvalidStatus):
                connect(url, proxy=None)

    @pytest.mark.parametrize(
        "message",
        [
            "{",
            "[]",
            '{"kind": "dance"}',
            '{"kind": "heartbeat", "offers": ["0x12"]}',
            '{"kind": "heartbeat", "offers": [], "mood": "good"}',
            json.dumps({"kind": "heartbeat", "offers": [ZERO] * 257}),
            b"\xff\x00",
        ],
    )
    def test_a_malformed_heartbeat_ends_the_connection(
        self, server: NodeServer, message: str | bytes
    ) -> None:
        with connect(self.url(server), proxy=None) as socket:
            socket.send(message)
            with pytest.raises(ConnectionClosed) as caught:
                socket.recv(timeout=5)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008


def test_two_signatures_of_one_bid_are_one_job(server: NodeServer, offer: str) -> None:
    document, (attempt,) = server.twin.signed(a_job())
    again = SignedBid(bid=attempt.bid, signature=BUYER.sign(bid_id(DOMAIN, attempt.bid)))
    server.call("POST", "/v1/bids", order_plain(document, [attempt]), key=BUYER)
    answer = server.call("POST", "/v1/bids", order_plain(document, [again]), key=BUYER)
    check(answer, 409, "replayed-bid")
