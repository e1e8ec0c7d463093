"""Orders over HTTP where one bid is not all: gangs, alternatives, delegates, leases that go on."""

from hashlib import sha256
from typing import Any

import httpx
import pytest

from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import receipt_digest
from ledger.market.delegation import Role
from ledger.market.facts import JobPhase
from ledger.market.identity import NO_DIGEST, Digest, LeaseId, from_text, text
from ledger.market.job import Gang, Job
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.wire import signed_receipt_to_plain
from node.trading.admission import MOST_ALTERNATIVES
from tests.factories import HOUR, a_digest, a_job
from tests.fakes.node_server import NodeServer, order_plain
from tests.fakes.node_twin import BUYER, DOMAIN, OTHER, RATE, NodeTwin

LAPTOP = LocalKey(sha256(b"laptop").digest())


@pytest.fixture(autouse=True)
def offer(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()


def post(server: NodeServer, body: dict[str, Any], key: LocalKey = BUYER) -> httpx.Response:
    return server.call("POST", "/v1/bids", body, key=key)


def alternatives(server: NodeServer, *jobs: Job, **changes: Any) -> dict[str, Any]:
    """The body of an order whose ways share their nonces."""
    before = server.twin.nonces
    bodies = []
    for job in jobs:
        server.twin.nonces = before
        document, attempts = server.twin.signed(job, **changes)
        bodies.append(order_plain(document, attempts))
    first, *others = bodies
    return first | {"alternatives": [{key: one[key] for key in ("document", "attempts")} for one in others]}


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["code"])


def test_a_gangs_members_each_carry_their_own_outputs(server: NodeServer) -> None:
    document, attempts = server.twin.signed(a_job(gang=Gang(members=2)))
    job = post(server, order_plain(document, attempts)).json()
    server.twin.mine()
    server.twin.seal()
    shown = server.call("GET", f"/v1/jobs/{job['job']}").json()
    assert [(one["member"], one["outputs"]) for one in shown["members"]] == [(0, []), (1, [])]
    assert shown["replicas"] is None
    assert [one["lock"] for one in shown["members"]] == ["18", "18"]


def test_an_alternative_that_matches_is_the_job_that_is_shown(server: NodeServer) -> None:
    large, small = a_job(cpu=64_000, name="large"), a_job(name="small")
    job = post(server, alternatives(server, large, small)).json()
    assert (job["state"], job["name"]) == ("opening", "small")
    assert len(job["alternatives"]) == 2
    assert job["document"] == job["alternatives"][1]


def test_alternatives_that_are_malformed_or_too_many_are_refused(server: NodeServer) -> None:
    body = alternatives(server, a_job(), a_job(cpu=2_000))
    body["alternatives"][0] |= {"wait": 5}
    assert code_of(post(server, body)) == "unknown-key"
    body = alternatives(server, *(a_job(cpu=1_000 + n) for n in range(MOST_ALTERNATIVES + 1)))
    assert code_of(post(server, body)) == "alternatives-count"
    assert post(server, body | {"alternatives": {}}).status_code == 422


def test_an_estimate_answers_for_every_alternative_and_every_member(server: NodeServer) -> None:
    body = alternatives(server, a_job(gang=Gang(members=2)), a_job(cpu=64_000))
    asked = {"document": body["document"], "bid": body["attempts"][0]["bid"]}
    other = body["alternatives"][0]
    asked["alternatives"] = [{"document": other["document"], "bid": other["attempts"][0]["bid"]}]
    told = server.call("POST", "/v1/estimates", asked).json()
    assert [one["rate"] for one in told["members"]] == [str(RATE)] * 2
    assert told["needed"] == str(2 * 834)
    (second,) = told["alternatives"]
    assert (second["members"], second["eligible"]) == ([], [])
    assert second["excluded"][0]["dimensions"] == ["cpu", "price"]


def test_a_delegate_sends_and_withdraws_for_the_buyer(server: NodeServer) -> None:
    twin = server.twin
    document, attempts = twin.signed(a_job(max_rate=RATE - 1), LAPTOP, behalf=BUYER.address)
    body = order_plain(document, attempts, wait=60)
    assert code_of(post(server, body, LAPTOP)) == "not-the-buyer"
    twin.pending += twin.model.set_delegate(
        BUYER.address, LAPTOP.address, Role.SPEND, 10_000, twin.now + HOUR
    )
    twin.seal()
    twin.now += 10
    job = post(server, body, LAPTOP).json()
    assert (job["buyer"], job["delegate"]) == (text(BUYER.address), text(LAPTOP.address))
    path = f"/v1/jobs/{job['job']}/withdrawal"
    assert server.call("POST", path, {}, key=OTHER).status_code == 403
    assert server.call("POST", path, {}, key=LAPTOP).json()["state"] == "cancelled"


def test_a_lease_goes_on_with_the_last_receipt_of_its_signer(server: NodeServer) -> None:
    twin = server.twin
    document, attempts = twin.signed(a_job(), signer=BUYER.address)
    job = post(server, order_plain(document, attempts)).json()
    twin.mine()
    twin.seal()
    lease = LeaseId(from_text(job["lease"], 32))
    twin.say(lease, JobPhase.RUNNING)
    twin.now += 10
    document, attempts = twin.signed(a_job(max_seconds=1_200), signer=BUYER.address, continues=Digest(lease))
    body = order_plain(document, attempts)
    assert code_of(post(server, body)) == "last-receipt-missing"

    receipt = UsageReceipt(lease=lease, milliseconds=10_000, evidence=NO_DIGEST, last=True)
    signed = SignedReceipt(receipt=receipt, signature=BUYER.sign(receipt_digest(DOMAIN, receipt)))
    answer = post(server, body | {"receipt": signed_receipt_to_plain(signed)}).json()
    assert (answer["job"], answer["state"]) == (job["job"], "running")
    twin.mine()
    twin.seal()
    shown = server.call("GET", f"/v1/jobs/{job['job']}").json()
    assert shown["duration"] == 1_200
    assert shown["members"][0]["continues"] == job["lease"]
    assert shown["leases"][0]["because"] == "continued"


def test_a_receipt_without_a_lease_to_continue_is_refused(server: NodeServer) -> None:
    document, attempts = server.twin.signed(a_job())
    plain = {
        "milliseconds": 1,
        "evidence": text(a_digest("evidence")),
        "last": True,
        "signature": "0x" + "00" * 64,
    }
    answer = post(server, order_plain(document, attempts) | {"receipt": plain})
    assert code_of(answer) == "receipt-without-lease"
