"""A running job goes on under a new bid that names its lease, at the same provider, for the rest and more."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from ledger.chain.client import ChainLease, ChainState
from ledger.chain.documents import document_hash
from ledger.chain.keys import LocalKey
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, keccak, lease_id, offer_id, receipt_digest
from ledger.market.demand import wanted
from ledger.market.errors import Rejected
from ledger.market.identity import Address, LeaseId, text
from ledger.market.job import Gang, Job, job_from_plain
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.wire import (
    bid_to_plain,
    offer_to_plain,
    signed_bid_from_plain,
    signed_receipt_from_plain,
    terms_to_plain,
)
from node.buying.buyer import Buyer
from node.buying.client import Identity, NodeClient
from node.buying.continuing import Change, continue_job
from node.buying.nonces import NonceCounter
from tests.factories import a_bid, a_job, an_offer
from tests.fakes.joined_home import a_profile
from tests.fakes.usage_reports import ShownLines

KEY = LocalKey(b"\5" * 32)
DOMAIN = Domain(chain_id=7, market=Address(b"\1" * 20))
NODE = Address(b"\3" * 20)
START, NOW = 1_000, 1_020


class World:
    """A node and a chain with one lease of `job` that has run for 20 s."""

    market = DOMAIN.market

    def __init__(self, job: Job, signer: Address = NODE) -> None:
        self.job = job
        self.usage: dict[str, Any] | None = None
        self.offer = an_offer()
        self.bid = a_bid(buyer=KEY.address, job=document_hash(job.to_plain()), want=wanted(job))
        self.terms = LeaseTerms(
            offer=offer_id(DOMAIN, self.offer),
            bid=self.bid.job,  # type: ignore[arg-type]  # any digest will do
            member=0,
            provider=self.offer.provider,
            buyer=KEY.address,
            signer=signer,
            matcher=NODE,
            want=self.bid.want,
            rate=rate_of(self.offer.ask, wanted(job)),
            duration=job.max_seconds,
        )
        self.lease = lease_id(DOMAIN, self.terms)
        self.lines = ShownLines(self.lease)
        self.order: dict[str, Any] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        shown: dict[str, Any] = {
            "offers": [{"id": text(self.terms.offer), "offer": offer_to_plain(self.offer)}]
        }
        if path.endswith("/usage/lines"):
            shown = self.lines.page(int(request.url.params["first"]))
        elif path.startswith("/v1/leases/"):
            shown = {"terms": terms_to_plain(self.terms), "bid": bid_to_plain(self.bid)}
            shown |= {"usage": self.usage, "receipt": None}
        elif path.startswith("/v1/documents/"):
            shown = self.job.to_plain()
        elif path == "/v1/bids":
            self.order = json.loads(request.content)
            shown = {"job": "0x" + "0a" * 32, "state": "running", "leases": []}
        return httpx.Response(200, json=shown)

    def check_chain(self, expected: int) -> None:
        assert expected == DOMAIN.chain_id

    def epoch_of(self, account: Address) -> int:
        return 0

    def next_nonces(self, account: Address, count: int, first: int) -> list[int]:
        return list(range(first, first + count))

    def lease_of(self, lease: LeaseId) -> ChainLease | None:
        return ChainLease(
            escrow=9, paid=0, start=START, ended_after=None, state=ChainState.ACTIVE, undecided=False
        )

    def shown(self, state: str = "running") -> dict[str, Any]:
        return {"lease": text(self.lease), "state": state}


def buyer(world: World, counter: Callable[[Callable[[int, int], list[int]]], NonceCounter]) -> Buyer:
    identity = Identity(domain=DOMAIN, key=KEY)
    transport = httpx.MockTransport(world.answer)
    profile = a_profile(
        node_url="http://node.test",
        rpc_url="http://rpc.test",
        chain_id=DOMAIN.chain_id,
        market=DOMAIN.market,
        node=NODE,
    )
    return Buyer(
        profile=profile,
        key=KEY,
        node=NodeClient("http://node.test", lambda: NOW, lambda bits: 1, identity, transport=transport),
        chain=world,  # type: ignore[arg-type]  # the part of the client that is asked
        nonces=counter(lambda count, first: world.next_nonces(KEY.address, count, first)),
        clock=lambda: NOW,
    )


@pytest.fixture
def counter(tmp_path: Any) -> Callable[[Callable[[int, int], list[int]]], NonceCounter]:
    return lambda unused: NonceCounter(tmp_path / "nonces", unused)


def test_an_extension_asks_for_what_is_left_and_more_at_the_same_place(counter: Any) -> None:
    world = World(replace(a_job(), max_rate=10**12))
    submitted = continue_job(buyer(world, counter), world.shown(), Change(by=60))
    bid = signed_bid_from_plain(world.order["attempts"][0]).bid
    assert text(bid.continues) == text(world.lease)
    assert (bid.provider, bid.signer, bid.want) == (world.terms.provider, NODE, world.terms.want)
    assert bid.duration == world.terms.duration - 20 + 60
    assert submitted.job == b"\x0a" * 32


def test_a_resize_changes_what_is_wanted_and_the_document_says_so(counter: Any) -> None:
    job = replace(a_job(), max_rate=10**12)
    world = World(job)
    continue_job(buyer(world, counter), world.shown(), Change(cpu=2 * job.cpu, memory=job.memory + 1))
    changed = job_from_plain(world.order["document"])
    assert (changed.cpu, changed.memory, changed.command) == (2 * job.cpu, job.memory + 1, job.command)
    assert signed_bid_from_plain(world.order["attempts"][0]).bid.want == wanted(changed)


def test_where_the_buyer_signs_it_brings_the_last_receipt_up_to_now(counter: Any) -> None:
    world = World(replace(a_job(), max_rate=10**12), signer=KEY.address)
    world.lines.add(4_000)
    world.usage = world.lines.add(9_000) | {"at": NOW - 5}
    continue_job(buyer(world, counter), world.shown(), Change(by=60))
    signed = signed_receipt_from_plain(world.lease, world.order["receipt"])
    assert (signed.receipt.milliseconds, signed.receipt.last) == (14_000, True)
    assert signed.receipt.evidence == world.lines.tree.root(keccak)
    assert recover(receipt_digest(DOMAIN, signed.receipt), signed.signature) == KEY.address


def test_a_last_receipt_is_not_signed_over_lines_that_are_not_shown(counter: Any) -> None:
    world = World(replace(a_job(), max_rate=10**12), signer=KEY.address)
    world.usage = world.lines.add(9_000) | {"at": NOW - 5, "evidence": "0x" + "0c" * 32}
    with pytest.raises(Rejected) as caught:
        continue_job(buyer(world, counter), world.shown(), Change(by=60))
    assert (caught.value.code, world.order) == ("report-refused", {})


def test_where_the_node_signs_the_buyer_brings_no_receipt(counter: Any) -> None:
    world = World(replace(a_job(), max_rate=10**12))
    continue_job(buyer(world, counter), world.shown(), Change(by=60))
    assert "receipt" not in world.order


@pytest.mark.parametrize(
    ("state", "job", "code"),
    [
        ("succeeded", replace(a_job(), max_rate=10**12), "not-running"),
        ("running", replace(a_job(), max_rate=1), "limit-below-ask"),
        ("running", replace(a_job(), max_rate=10**12, gang=Gang(members=2)), "gang-goes-on"),
    ],
)
def test_what_cannot_go_on_is_refused_before_anything_is_signed(
    state: str, job: Job, code: str, counter: Any
) -> None:
    world = World(job)
    with pytest.raises(Rejected) as refused:
        continue_job(buyer(world, counter), world.shown(state), Change(by=60))
    assert refused.value.code == code
    assert world.order == {}
