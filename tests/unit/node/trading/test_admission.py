from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger.chain.documents import document_hash
from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import Domain, bid_id
from ledger.market.bid import Bid, SignedBid
from ledger.market.demand import demanded, wanted
from ledger.market.errors import Rejected
from ledger.market.identity import NOBODY, Address
from ledger.market.job import Accelerators, Gang, Job
from ledger.market.resource import Quantities
from node.trading.admission import MOST_ALTERNATIVES, Order, Proposal, admit, tag_of
from node.trading.resting import INCLUSION_SECONDS
from tests.factories import HOUR, NOW, a_bid, a_digest, a_job, an_address

DOMAIN = Domain(chain_id=77, market=an_address("market"))
BUYER = LocalKey(b"\x01" * 32)
OTHER = LocalKey(b"\x02" * 32)
NODE = an_address("node")
Change = Callable[[Bid], Bid]


def same(bid: Bid) -> Bid:
    return bid


def attempts_of(job: Job, change: Change = same) -> list[SignedBid]:
    bids = [
        change(
            a_bid(
                buyer=BUYER.address,
                signer=NODE,
                matcher=NODE,
                want=wanted(job),
                traits=demanded(job, tag_of(job)),
                job=document_hash(job.to_plain()),
                limit_rate=job.max_rate,
                members=job.gang.members if job.gang else 1,
                flags=job.gang.flags if job.gang else 0,
                nonce=nonce,
            )
        )
        for nonce in range(1 + job.retry)
    ]
    return [SignedBid(bid=bid, signature=BUYER.sign(bid_id(DOMAIN, bid))) for bid in bids]


def proposal(job: Job, attempts: list[SignedBid] | None = None) -> Proposal:
    return Proposal(document=job.to_plain(), attempts=tuple(attempts or attempts_of(job)))


def admitted(job: Job, attempts: list[SignedBid] | None = None, node: Address = NODE, at: int = NOW) -> Order:
    return admit(DOMAIN, [proposal(job, attempts)], node, at)


def code_of(job: Job, attempts: list[SignedBid] | None = None, **more: Any) -> str:
    with pytest.raises(Rejected) as caught:
        admitted(job, attempts, **more)
    assert caught.value.cause
    assert caught.value.remedy
    return caught.value.code


def test_an_order_is_its_job_its_document_and_one_bid_an_attempt() -> None:
    order = admitted(a_job(retry=2))
    (way,) = order.ways
    assert way.job == a_job(retry=2)
    assert order.id == order.ids[0] == bid_id(DOMAIN, order.bid)
    assert len(set(order.ids)) == 3
    assert way.document == document_hash(a_job(retry=2).to_plain())
    assert order.delegate == NOBODY


def test_a_model_of_gpu_is_tagged() -> None:
    job = a_job(accelerators=Accelerators(vendor="nvidia", model="h100"))
    assert admitted(job).bid.traits.model == tag_of(job) != 0
    assert tag_of(a_job()) == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda bid: replace(bid, job=a_digest("other")), "document-mismatch"),
        (lambda bid: replace(bid, limit_rate=1), "bid-differs-from-job"),
        (lambda bid: replace(bid, want=Quantities(cpu=1)), "bid-differs-from-job"),
        (lambda bid: replace(bid, matcher=an_address("other node")), "other-matcher"),
        (lambda bid: replace(bid, matcher=NOBODY), "other-matcher"),
        (lambda bid: replace(bid, members=2), "bid-differs-from-job"),
        (lambda bid: replace(bid, flags=1), "bid-differs-from-job"),
        (lambda bid: replace(bid, signer=NOBODY), "malformed-bid"),
        (lambda bid: replace(bid, valid_until=NOW + INCLUSION_SECONDS - 1), "bid-expired"),
        (lambda bid: replace(bid, start_by=NOW - HOUR), "bid-expired"),
    ],
)
def test_a_bid_that_cannot_stand_is_refused(change: Change, code: str) -> None:
    assert code_of(a_job(), attempts_of(a_job(), change)) == code


def test_a_bid_with_just_enough_time_is_taken() -> None:
    def brief(bid: Bid) -> Bid:
        return replace(bid, valid_until=NOW + INCLUSION_SECONDS, start_by=NOW + INCLUSION_SECONDS)

    admitted(a_job(), attempts_of(a_job(), brief))


def test_bids_and_retries_must_agree() -> None:
    assert code_of(a_job(retry=1), attempts_of(a_job(retry=1))[:1]) == "attempts-differ-from-retry"
    assert code_of(a_job(), attempts_of(a_job(retry=1))) == "attempts-differ-from-retry"


def test_attempts_differ_in_their_nonce_and_in_nothing_else() -> None:
    job = a_job(retry=1)
    first, second = attempts_of(job)
    dearer = replace(second, bid=replace(second.bid, duration=601))
    assert code_of(job, [first, dearer]) == "attempts-differ"
    assert code_of(job, [first, first]) == "nonce-repeated"


def test_one_key_signs_every_bid() -> None:
    job = a_job(retry=1)
    first, second = attempts_of(job)
    assert code_of(job, [first, replace(second, signature=first.signature)]) == "bad-signature"
    forged = replace(first, signature=OTHER.sign(bid_id(DOMAIN, first.bid)))
    assert code_of(job, [forged, second]) == "bad-signature"


def test_another_key_than_the_buyers_is_named_for_the_chain_to_judge() -> None:
    (signed,) = attempts_of(a_job())
    by_delegate = replace(signed, signature=OTHER.sign(bid_id(DOMAIN, signed.bid)))
    assert admitted(a_job(), [by_delegate]).delegate == OTHER.address


def test_a_gang_and_a_bid_that_continues_a_lease_are_taken() -> None:
    gang = a_job(gang=Gang(members=3, distinct=True))
    assert admitted(gang).bid.members == 3

    def continued(bid: Bid) -> Bid:
        return replace(bid, continues=a_digest("lease"))

    assert admitted(a_job(), attempts_of(a_job(), continued)).bid.continues == a_digest("lease")
    assert code_of(gang, attempts_of(gang, continued)) == "malformed-bid"


def test_alternatives_share_their_nonces_attempt_by_attempt() -> None:
    jobs = [a_job(retry=1), a_job(cpu=2_000, retry=1)]
    order = admit(DOMAIN, [proposal(job) for job in jobs], NODE, NOW)
    assert [way.job for way in order.ways] == jobs
    assert [way.attempts[1].bid.nonce for way in order.ways] == [1, 1]
    assert order.id == order.ways[0].ids[0]
    assert len(set(order.ids)) == 4


def test_alternatives_that_could_both_open_are_refused() -> None:
    def later(bid: Bid) -> Bid:
        return replace(bid, nonce=bid.nonce + 7)

    other = a_job(cpu=2_000)
    assert refused([proposal(a_job()), proposal(other, attempts_of(other, later))]) == "alternatives-differ"
    assert refused([proposal(a_job()), proposal(a_job())]) == "alternative-repeated"
    assert refused([proposal(a_job()), proposal(a_job(cpu=2_000, retry=1))]) == "alternatives-differ"
    assert refused([]) == "alternatives-count"
    assert refused([proposal(a_job())] * (MOST_ALTERNATIVES + 1)) == "alternatives-count"


def test_a_continuation_has_no_alternatives() -> None:
    def continued(bid: Bid) -> Bid:
        return replace(bid, continues=a_digest("lease"))

    jobs = (a_job(), a_job(cpu=2_000))
    proposals = [proposal(job, attempts_of(job, continued)) for job in jobs]
    assert refused(proposals) == "continues-one-way"


def refused(proposals: list[Proposal]) -> str:
    with pytest.raises(Rejected) as caught:
        admit(DOMAIN, proposals, NODE, NOW)
    assert caught.value.cause
    assert caught.value.remedy
    return caught.value.code


def test_an_oversized_document_is_refused() -> None:
    many = tuple(f"out/{'x' * 200}{number}" for number in range(400))
    assert code_of(a_job(outputs=many)) == "oversized-document"
