"""The buyer's pen signs what it can check, and nothing else."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from ledger.chain.client import ChainLease, ChainState
from ledger.chain.documents import document_hash
from ledger.chain.keys import LocalKey
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, bid_id, keccak, lease_id, offer_id, receipt_digest
from ledger.market.errors import Rejected, Unavailable
from ledger.market.identity import Address, Digest, LeaseId, OfferId, text
from ledger.market.job import Accelerators, DataPlace, Gang, Image, Job, Providers, Times
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.offer_document import OfferDocument
from ledger.market.resource import Quantities
from ledger.market.traits import Traits
from ledger.market.wire import bid_to_plain, offer_to_plain, terms_to_plain
from node.buying.bidding import Parties, bid_for
from node.buying.client import Identity, NodeClient
from node.buying.cosigner import Cosigner
from tests.fakes.usage_reports import ShownLines

DOMAIN = Domain(chain_id=7, market=Address(b"\1" * 20))
KEY = LocalKey(b"\5" * 32)
NODE = Address(b"\3" * 20)
PROVIDER = Address(b"\4" * 20)
START = 1_000
JOB = Job(
    name="j",
    image=Image(reference="r", config="sha256:" + "ab" * 32),
    command=("true",),
    cpu=1000,
    memory=64,
    disk=64,
    max_rate=10**9,
    max_seconds=600,
    allow=("lab/*",),
)


@dataclass(kw_only=True)
class Grid:
    """A node and a chain that say what a test wants them to say."""

    job: Job = JOB
    place: str = "lab/berlin"
    claimed: dict[str, Any] = field(default_factory=dict)
    terms_change: dict[str, Any] = field(default_factory=dict)
    signer: Address = KEY.address
    on_chain: bool = True
    undecided: bool = False
    arrives: bool = True
    ended_after: int | None = None
    result: Digest | None = None
    delivered: list[dict[str, Any]] = field(default_factory=list)
    receipt: dict[str, Any] | None = None
    page: int = 2

    def __post_init__(self) -> None:
        document = OfferDocument(name="o", domain=self.place, region="local").to_plain()
        self.document = document
        self.offer = Offer(
            provider=PROVIDER,
            capacity=Quantities(cpu=4000),
            ask=Quantities(cpu=10),
            traits=Traits(),
            min_seconds=1,
            max_seconds=10_000,
            valid_until=10**9,
            epoch=0,
            salt=1,
            document=document_hash(document),
        )
        self.offer_id = offer_id(DOMAIN, self.offer)
        parties = Parties(buyer=KEY.address, signer=self.signer, matcher=NODE, epoch=0)
        self.bid = bid_for(self.job, document_hash(self.job.to_plain()), parties, 5, START - 10, 0)
        self.terms = LeaseTerms(
            offer=OfferId(self.offer_id),
            bid=bid_id(DOMAIN, self.bid),
            member=0,
            provider=PROVIDER,
            buyer=KEY.address,
            signer=self.signer,
            matcher=NODE,
            want=self.bid.want,
            rate=10_000,
            duration=600,
        )
        self.lease = lease_id(DOMAIN, self.terms)
        self.lines = ShownLines(self.lease)
        self.lines.add(5_000)

    def lease_of(self, lease: LeaseId) -> ChainLease | None:
        assert lease == self.lease
        if not self.on_chain:
            return None
        return ChainLease(
            escrow=100,
            paid=0,
            start=START,
            ended_after=self.ended_after,
            state=ChainState.ACTIVE,
            undecided=self.undecided,
        )

    def result_of(self, lease: LeaseId) -> Digest | None:
        assert lease == self.lease
        return self.result

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/usage"):
            return httpx.Response(200, json={"usage": self.lines.lines[-1] | self.claimed})
        if path.endswith("/usage/lines"):
            return httpx.Response(200, json=self.lines.page(int(request.url.params["first"]), self.page))
        if path.endswith("/receipts") and not self.arrives:
            return httpx.Response(503, json={"code": "away", "cause": "It is away.", "remedy": "Wait."})
        if path.endswith("/receipts"):
            self.delivered.append(json.loads(request.content))
            return httpx.Response(201, json={})
        if path.startswith("/v1/documents/"):
            return httpx.Response(200, json=self.job.to_plain())
        if path == "/v1/offers":
            shown = {"id": text(self.offer_id), "offer": offer_to_plain(self.offer)}
            return httpx.Response(200, json={"offers": [shown | {"document": self.document}]})
        assert path == f"/v1/leases/{text(self.lease)}"
        terms = replace(self.terms, **self.terms_change)
        view: dict[str, Any] = {"terms": terms_to_plain(terms), "bid": bid_to_plain(self.bid)}
        return httpx.Response(200, json=view | {"receipt": self.receipt})

    def cosigner(self, at: int) -> Cosigner:
        node = NodeClient(
            "http://node.test",
            lambda: at,
            lambda bits: 1,
            Identity(domain=DOMAIN, key=KEY),
            transport=httpx.MockTransport(self.answer),
        )
        return Cosigner(domain=DOMAIN, key=KEY, node=node, chain=self, clock=lambda: at)

    def shown(self) -> dict[str, Any]:
        return {"leases": [{"lease": text(self.lease), "state": "active"}]}


def test_usage_within_the_time_that_passed_is_agreed_to() -> None:
    grid = Grid()
    (signed,) = grid.cosigner(at=START + 10).step(grid.shown())
    assert signed.receipt.milliseconds == 5_000
    assert recover(receipt_digest(DOMAIN, signed.receipt), signed.signature) == KEY.address
    assert len(grid.delivered) == 1


def test_the_same_report_is_agreed_to_once() -> None:
    grid = Grid()
    cosigner = grid.cosigner(at=START + 10)
    assert len(cosigner.step(grid.shown())) == 1
    assert cosigner.step(grid.shown()) == []
    assert len(grid.delivered) == 1


@pytest.mark.parametrize(
    "grid",
    [
        Grid(job=replace(JOB, providers=Providers(allow=(PROVIDER,)))),
        Grid(job=replace(JOB, times=Times(deadline=START + 600))),
        Grid(job=replace(JOB, accelerators=Accelerators(vendor="nvidia"))),
    ],
    ids=["a provider allowed", "an end before the deadline", "any model"],
)
def test_a_lease_that_keeps_its_document_is_agreed_to(grid: Grid) -> None:
    assert len(grid.cosigner(at=START + 10).step(grid.shown())) == 1


@pytest.mark.parametrize(
    "grid",
    [
        Grid(claimed={"milliseconds": 26_000}),
        Grid(terms_change={"rate": 20_000}),
        Grid(place="rival/paris"),
        Grid(job=replace(JOB, providers=Providers(deny=(PROVIDER,)))),
        Grid(job=replace(JOB, data=DataPlace(region="eu-west", max_latency=9))),
        Grid(job=replace(JOB, times=Times(deadline=START + 599))),
        Grid(job=replace(JOB, accelerators=Accelerators(models=("a", "b")))),
    ],
    ids=[
        "more than passed",
        "other terms",
        "a domain not permitted",
        "a provider denied",
        "data too far away",
        "an end past the deadline",
        "another model",
    ],
)
def test_what_does_not_hold_is_refused_and_not_signed(grid: Grid) -> None:
    with pytest.raises(Rejected):
        grid.cosigner(at=START + 10).step(grid.shown())
    assert grid.delivered == []


def test_a_report_below_what_was_signed_is_refused() -> None:
    grid = Grid()
    cosigner = grid.cosigner(at=START + 10)
    cosigner.step(grid.shown())
    grid.lines.add(4_000, last=True)
    with pytest.raises(Rejected):
        cosigner.step(grid.shown())


def refused(grid: Grid, cosigner: Cosigner) -> str:
    """Why the newest report is not signed."""
    before = list(grid.delivered)
    with pytest.raises(Rejected) as caught:
        cosigner.step(grid.shown())
    assert caught.value.code == "report-refused"
    assert grid.delivered == before
    return caught.value.cause


def test_each_report_is_agreed_to_over_all_lines_so_far() -> None:
    grid = Grid()
    cosigner = grid.cosigner(at=START + 10)
    for milliseconds in (6_000, 7_000, 8_000):
        for step in range(3):
            grid.lines.add(milliseconds + step)
        (signed,) = cosigner.step(grid.shown())
        assert signed.receipt.evidence == grid.lines.tree.root(keccak)


@pytest.mark.parametrize(
    ("claimed", "cause"),
    [
        ({"evidence": "0x" + "07" * 32}, "not what its lines say"),
        ({"milliseconds": 4_999}, "not what its lines say"),
        ({"last": True}, "not what its lines say"),
        ({"sequence": None}, "names no line"),
        ({"sequence": 1}, "does not show line 1"),
    ],
)
def test_a_report_that_its_lines_do_not_bear_out_is_refused(claimed: dict[str, Any], cause: str) -> None:
    grid = Grid(claimed=claimed)
    assert cause in refused(grid, grid.cosigner(at=START + 10))


def test_lines_that_do_not_follow_each_other_are_refused() -> None:
    grid = Grid()
    grid.lines.add(6_000)
    grid.lines.lines[0] |= {"sequence": 1}
    assert "follow" in refused(grid, grid.cosigner(at=START + 10))


def with_another_first_line(grid: Grid) -> None:
    grid.lines = ShownLines(grid.lease)
    for milliseconds in (4_999, 6_000):
        grid.lines.add(milliseconds)


def test_a_line_that_was_signed_for_cannot_be_changed_afterwards() -> None:
    grid = Grid()
    cosigner = grid.cosigner(at=START + 10)
    cosigner.step(grid.shown())
    with_another_first_line(grid)
    assert "not what its lines say" in refused(grid, cosigner)


def test_nor_where_the_signature_did_not_arrive() -> None:
    grid = Grid(arrives=False)
    cosigner = grid.cosigner(at=START + 10)
    with pytest.raises(Unavailable):
        cosigner.step(grid.shown())
    grid.arrives = True
    with_another_first_line(grid)
    assert "not what its lines say" in refused(grid, cosigner)
    grid.lines = ShownLines(grid.lease)
    grid.lines.add(5_000)
    assert len(cosigner.step(grid.shown())) == 1


def test_nor_after_the_co_signer_forgot_it() -> None:
    grid = Grid()
    grid.cosigner(at=START + 10).step(grid.shown())
    grid.receipt = grid.delivered[0]
    grid.lines.add(6_000)
    assert len(grid.cosigner(at=START + 10).step(grid.shown())) == 1
    with_another_first_line(grid)
    assert "signed for before" in refused(grid, grid.cosigner(at=START + 10))


def test_a_line_from_before_a_termination_is_agreed_to_up_to_the_end() -> None:
    grid = Grid(ended_after=4)
    (signed,) = grid.cosigner(at=START + 10).step(grid.shown())
    assert signed.receipt.milliseconds == 4_000
    assert signed.receipt.evidence == grid.lines.tree.root(keccak)


def test_a_receipt_of_another_key_binds_nobody() -> None:
    grid = Grid()
    grid.cosigner(at=START + 10).step(grid.shown())
    grid.receipt = grid.delivered[0] | {"milliseconds": 5_001}
    with_another_first_line(grid)
    assert len(grid.cosigner(at=START + 10).step(grid.shown())) == 1


REPLICAS = replace(JOB, outputs=("a",), gang=Gang(members=3, distinct=True, agree=2))


def test_a_replica_is_agreed_to_once_it_was_judged() -> None:
    grid = Grid(job=REPLICAS, result=Digest(b"\1" * 32))
    assert len(grid.cosigner(at=START + 10).step(grid.shown())) == 1


@pytest.mark.parametrize(
    "grid",
    [Grid(job=REPLICAS, undecided=True, result=Digest(b"\1" * 32)), Grid(job=REPLICAS)],
    ids=["not judged yet", "its provider showed no result"],
)
def test_a_replica_without_a_verdict_or_a_result_is_not_paid(grid: Grid) -> None:
    assert grid.cosigner(at=START + 10).step(grid.shown()) == []


def test_another_signers_lease_is_left_to_them() -> None:
    grid = Grid(signer=NODE)
    assert grid.cosigner(at=START + 10).step(grid.shown()) == []


def test_a_lease_that_the_chain_does_not_have_is_not_signed() -> None:
    grid = Grid(on_chain=False)
    assert grid.cosigner(at=START + 10).step(grid.shown()) == []
    assert Grid().cosigner(at=START).step({"leases": []}) == []
