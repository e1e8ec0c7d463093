"""What a buyer signs, in which order, and how a job is ended."""

import base64
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.chain.client import ChainLease, ChainState
from ledger.chain.documents import document_hash
from ledger.chain.keys import LocalKey
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, bid_id
from ledger.market.errors import Broken, Rejected, Unavailable
from ledger.market.identity import Address, BidId, LeaseId
from ledger.market.job import Image, job_from_plain
from ledger.market.wire import signed_bid_from_plain
from node.buying.buyer import Buyer, Cancelled
from node.buying.client import Identity, NodeClient
from node.buying.draft import EngineImage, JobDraft, LocalInput
from node.buying.nonces import NonceCounter
from tests.fakes.joined_home import a_profile

KEY = LocalKey(b"\5" * 32)
PROFILE = a_profile(node_url="http://node.test", rpc_url="http://rpc.test")
DOMAIN = Domain(chain_id=PROFILE.chain_id, market=PROFILE.market)
DRAFT = JobDraft(
    name="j",
    image=Image(reference="r", config="sha256:" + "ab" * 32),
    command=("true",),
    cpu=1000,
    memory=64,
    disk=64,
    max_rate=10**9,
    max_seconds=600,
    local_inputs=(LocalInput(path="a.csv", source="a.csv"),),
    retry=2,
)
JOB = BidId(b"\x0a" * 32)


class Chain:
    """The chain that the profile names, or another one; `open_leases` are open on it, and the wallet has
    no coin."""

    market = PROFILE.market

    def __init__(self, chain_id: int = 7, open_leases: tuple[LeaseId, ...] = ()) -> None:
        self._chain_id = chain_id
        self._open = open_leases

    def check_chain(self, expected: int) -> None:
        if expected != self._chain_id:
            raise Rejected("wrong-chain", "Another chain.", "Correct the URL.")

    def epoch_of(self, account: Address) -> int:
        return 4

    def lease_of(self, lease: LeaseId) -> ChainLease | None:
        if lease not in self._open:
            return None
        return ChainLease(
            escrow=9, paid=0, start=990, ended_after=None, state=ChainState.ACTIVE, undecided=False
        )

    def coin_balance(self, account: Address) -> int:
        return 0

    def next_nonces(self, account: Address, count: int, first: int) -> list[int]:
        return list(range(first, first + count))


@dataclass(kw_only=True)
class Node:
    """A node that keeps what it is sent; `states` are a job's states, one a look."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    order: dict[str, Any] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    lease: str | None = None
    withdrawal: int = 200
    terms: dict[str, Any] = field(default_factory=dict)
    bid: dict[str, Any] = field(default_factory=dict)
    offers: list[dict[str, Any]] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.calls.append((request.method, path.split("/")[2]))
        if path.startswith("/v1/blobs/"):
            return httpx.Response(200, json={"offset": 3})
        if path == "/v1/bids":
            self.order = json.loads(request.content)
            return httpx.Response(201, json={"job": "0x" + JOB.hex(), "state": "opening", "leases": []})
        if path == "/v1/estimates":
            return httpx.Response(200, json={"eligible": []})
        if path.endswith("/withdrawal"):
            return httpx.Response(self.withdrawal, json={"code": "too-late"})
        if path.endswith("/logs"):
            data = base64.b64encode(b"hi").decode()
            text = f'data: {{"offset": 2, "data": "{data}"}}\n\nevent: end\ndata: {{}}\n\n'
            return httpx.Response(200, text=text)
        if path.startswith("/v1/leases/"):
            return httpx.Response(200, json={"terms": self.terms, "bid": self.bid})
        if path == "/v1/offers":
            return httpx.Response(200, json={"offers": self.offers})
        if path.startswith("/v1/documents/"):
            return httpx.Response(200, json=self.document)
        if path.endswith("/end"):
            return httpx.Response(200, json={"state": "settling"})
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        leases = [{"lease": self.lease, "state": "active"}] if self.lease else []
        return httpx.Response(
            200,
            json={
                "state": state,
                "lease": self.lease,
                "leases": leases,
                "members": leases,
                "replicas": None,
                "outputs": [],
            },
        )


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def buyer(node: Node, folder: Path, chain: Chain | None = None, behalf: Address | None = None) -> Buyer:
    clock, chain = Clock(), chain or Chain()
    account = behalf or KEY.address
    (folder / "a.csv").write_bytes(b"abc")
    identity = Identity(domain=DOMAIN, key=KEY)
    transport = httpx.MockTransport(node.answer)
    return Buyer(
        profile=PROFILE,
        key=KEY,
        node=NodeClient(PROFILE.node_url, clock, lambda bits: 1, identity, transport=transport),
        chain=chain,  # type: ignore[arg-type]  # the part of the client that is asked
        nonces=NonceCounter(folder / "nonces", lambda count, first: chain.next_nonces(account, count, first)),
        clock=clock,
        sleep=clock.sleep,
        behalf=behalf,
    )


def test_every_attempt_is_signed_over_the_document_that_is_sent(tmp_path: Path) -> None:
    node = Node()
    one = buyer(node, tmp_path)
    submitted = one.submit(one.prepare(DRAFT, tmp_path), wait=30)
    signed = [signed_bid_from_plain(item) for item in node.order["attempts"]]
    assert len(signed) == 1 + DRAFT.retry
    for attempt, name in zip(signed, submitted.attempts, strict=True):
        assert bid_id(one.domain, attempt.bid) == name
        assert recover(name, attempt.signature) == KEY.address
        assert attempt.bid.job == document_hash(node.order["document"])
        assert (attempt.bid.epoch, attempt.bid.matcher) == (4, PROFILE.node)
        assert attempt.bid.signer == PROFILE.node
    assert len({attempt.bid.nonce for attempt in signed}) == len(signed)
    assert (submitted.job, node.order["wait"]) == (submitted.attempts[0], 30)
    assert job_from_plain(node.order["document"]).inputs[0].path == "a.csv"


def test_files_are_there_before_the_bid(tmp_path: Path) -> None:
    node = Node()
    one = buyer(node, tmp_path)
    one.submit(one.prepare(DRAFT, tmp_path))
    assert [what for _, what in node.calls] == ["blobs", "bids"]


def test_the_buyers_own_key_signs_usage_where_it_is_asked_to(tmp_path: Path) -> None:
    node = Node()
    one = buyer(node, tmp_path)
    assert one.submit(one.prepare(DRAFT, tmp_path), signer="buyer").signer == KEY.address


def test_on_another_chain_nothing_is_signed(tmp_path: Path) -> None:
    node = Node()
    one = buyer(node, tmp_path, Chain(chain_id=8))
    with pytest.raises(Rejected, match="Another chain"):
        one.submit(one.prepare(DRAFT, tmp_path))
    assert node.order == {}


def test_an_estimate_takes_no_nonce(tmp_path: Path) -> None:
    one = buyer(Node(), tmp_path)
    one.estimate(one.prepare(DRAFT, tmp_path).job)
    assert not (tmp_path / "nonces").exists()


def test_a_file_that_is_missing_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    node = Node()
    one = buyer(node, tmp_path)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(Rejected):
        one.prepare(DRAFT, tmp_path)
    assert node.calls == []


def test_without_an_engine_an_image_has_to_be_a_file(tmp_path: Path) -> None:
    one = buyer(Node(), tmp_path)
    with pytest.raises(Rejected) as refused:
        one.prepare(replace(DRAFT, image=EngineImage(reference="x:1")), tmp_path)
    assert refused.value.code == "no-engine"


def test_a_job_is_waited_for_until_it_is_final(tmp_path: Path) -> None:
    node = Node(states=["resting", "running", "failed"])
    assert buyer(node, tmp_path).wait(JOB)["state"] == "failed"


def test_waiting_ends_when_its_time_is_over(tmp_path: Path) -> None:
    node = Node(states=["running"])
    assert buyer(node, tmp_path).wait(JOB, timeout=5)["state"] == "running"


def test_a_resting_bid_is_withdrawn_without_a_transaction(tmp_path: Path) -> None:
    node = Node(states=["resting"])
    assert buyer(node, tmp_path).cancel(JOB) == Cancelled(how="withdrawn")


def test_a_wallet_without_coin_has_the_node_end_its_lease(tmp_path: Path) -> None:
    node, lease = Node(states=["running"], lease="0x" + "0b" * 32), LeaseId(b"\x0b" * 32)
    ended = buyer(node, tmp_path, Chain(open_leases=(lease,))).cancel(JOB)
    assert (ended.how, ended.transactions) == ("ended by the node", ())
    assert node.calls[-1] == ("POST", "jobs")


def test_alternatives_share_their_nonces_so_that_one_alone_can_open(tmp_path: Path) -> None:
    node = Node()
    one = buyer(node, tmp_path)
    cheap = replace(DRAFT, cpu=500, max_rate=10**8)
    one.submit(one.prepare(replace(DRAFT, any_of=(DRAFT, cheap)), tmp_path))
    (other,) = node.order["alternatives"]
    nonces = [[a["bid"]["nonce"] for a in form["attempts"]] for form in (node.order, other)]
    assert nonces[0] == nonces[1] == ["0", "1", "2"]
    assert (node.order["document"]["cpu"], other["document"]["cpu"]) == (1000, 500)


def test_a_delegate_bids_for_the_account_that_it_spends_for(tmp_path: Path) -> None:
    node, boss = Node(), Address(b"\7" * 20)
    one = buyer(node, tmp_path, behalf=boss)
    one.submit(one.prepare(DRAFT, tmp_path))
    signed = signed_bid_from_plain(node.order["attempts"][0])
    assert signed.bid.buyer == boss
    assert recover(bid_id(DOMAIN, signed.bid), signed.signature) == KEY.address


def test_a_job_that_ended_cannot_be_cancelled(tmp_path: Path) -> None:
    node = Node(states=["resting", "succeeded"], withdrawal=409)
    with pytest.raises(Rejected) as refused:
        buyer(node, tmp_path).cancel(JOB)
    assert refused.value.code == "job-is-final"


def test_a_match_under_way_is_waited_for_and_then_said(tmp_path: Path) -> None:
    node = Node(states=["opening"], lease="0x" + "0b" * 32)
    with pytest.raises(Unavailable):
        buyer(node, tmp_path).cancel(JOB)


def test_a_log_comes_as_bytes_with_where_to_go_on(tmp_path: Path) -> None:
    pieces = list(buyer(Node(), tmp_path).logs(JOB))
    assert [(piece.data, piece.next_offset) for piece in pieces] == [(b"hi", 2)]


def test_terms_that_are_not_the_leases_are_not_believed(tmp_path: Path) -> None:
    terms = {
        "offer": "0x" + "01" * 32,
        "bid": "0x" + "02" * 32,
        "member": 0,
        "provider": "0x" + "03" * 20,
        "buyer": "0x" + "04" * 20,
        "signer": "0x" + "05" * 20,
        "matcher": "0x" + "06" * 20,
        "want": "1000",
        "rate": "5",
        "duration": 60,
    }
    with pytest.raises(Broken):
        buyer(Node(terms=terms), tmp_path).terms_of(LeaseId(b"\x0b" * 32))
