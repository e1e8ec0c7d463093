"""What a buyer signs for a job, from values alone. All attempts differ in their nonce and nothing else.

Only the chosen node may open the bids during their whole validity (`open_after` lies behind it): a
stranger who could open a second attempt would run and bill the job twice.
"""

from dataclasses import dataclass

from ledger.chain.typed_data import model_tag
from ledger.market.bid import Bid
from ledger.market.demand import demanded, wanted
from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, NOBODY, Address, Digest
from ledger.market.job import Job

OPENING_SECONDS = 300
"""how long an accepted bid may take to be opened on chain; covers slow blocks and clocks that differ"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Who stands behind a bid: who pays, who agrees to usage, and who may match it; `provider` where only
    one may serve it, `continues` the lease that it follows."""

    buyer: Address
    signer: Address
    matcher: Address
    epoch: int
    provider: Address = NOBODY
    continues: Digest = NO_DIGEST


def bid_for(job: Job, document: Digest, parties: Parties, nonce: int, at: int, wait: int) -> Bid:
    """The bid of one attempt, made at `at` (seconds since 1970) to rest `wait` seconds at most.

    A retry begins after an attempt that may have run its whole duration, so validity covers all; none
    begins later than the job's own times allow, which the contract holds by `start_by`. `Rejected` where
    they are over already.
    """
    tag = model_tag(job.accelerators.model) if job.accelerators else 0
    latest = job.times.latest_start(job.max_seconds)
    if latest is not None and latest < at:
        raise Rejected(
            "times-too-near",
            f"A job of {job.max_seconds} s had to start {at - latest} s ago to keep its times.",
            "Give a later deadline or start_by, or a shorter max_duration.",
        )
    valid_until = at + wait + OPENING_SECONDS + job.retry * (job.max_seconds + OPENING_SECONDS)
    return Bid(
        buyer=parties.buyer,
        signer=parties.signer,
        want=wanted(job),
        traits=demanded(job, tag),
        limit_rate=job.max_rate,
        max_over_ask_bps=job.max_over_ask,
        duration=job.max_seconds,
        start_by=valid_until if latest is None else min(valid_until, latest),
        valid_until=valid_until,
        open_after=valid_until + 1,
        members=job.gang.members if job.gang else 1,
        flags=job.gang.flags if job.gang else 0,
        epoch=parties.epoch,
        nonce=nonce,
        job=document,
        provider=parties.provider,
        matcher=parties.matcher,
        continues=parties.continues,
    )
