"""Interruptible: leases and orders as preemption sees them, read from the ledger's books.

Whether a lease was sold as interruptible, and with which notice, stands in the job document behind its bid.
"""

import json

from ledger.books.queries import Queries
from ledger.books.rows import LeaseRow
from ledger.market.bid import Bid
from ledger.market.identity import BidId
from ledger.market.job import job_from_plain
from ledger.market.lifecycle import JobState, LeaseState
from ledger.market.money import escrow_for, rate_of
from ledger.market.policy import Policy
from matcher.orders import BidOrder
from matcher.preemption.running import Running
from node.trading.bid_orders import Queued, bid_order
from node.trading.open_lease import is_being_continued


def running_of(queries: Queries, policy: Policy, row: LeaseRow) -> Running | None:
    """A lease that this node planned, as preemption has it; None for one that never yields."""
    if row.signed is None or row.job is None or row.agree or row.start is None:
        return None
    order = _as_order(queries, row.terms.bid, row.signed.bid, Queued(job=row.job, sequence=0, arrived_at=0))
    offer = queries.offer(row.terms.offer) if order is not None and order.notice else None
    if order is None or offer is None:
        return None
    terms = row.terms
    return Running(
        lease=row.id,
        bid=terms.bid,
        job=order.job,
        buyer=terms.buyer,
        offer=terms.offer,
        want=terms.want,
        limit=order.bid.limit_rate,
        cost=min(terms.rate, rate_of(offer.offer.ask, terms.want)),
        ends_at=row.start + terms.duration,
        notice=order.notice,
        lock=policy.lock_for(escrow_for(terms.rate, terms.duration)),
        count=order.devices,
        share=order.share,
        device_memory=order.device_memory,
    )


def order_of(queries: Queries, by: BidId) -> BidOrder | None:
    """The order whose next attempt this bid is, while it rests."""
    job = queries.job_of_bid(by)
    row = None if job is None else queries.job(job)
    if row is None or row.state is not JobState.RESTING:
        return None
    queued = Queued(job=row.job, sequence=row.sequence, arrived_at=row.accepted_at, exclude=row.excluded)
    for way in row.ways:
        if way.attempt_ids[row.next_attempt] == by:
            return _as_order(queries, by, way.attempts[row.next_attempt].bid, queued)
    return None


def goes_on(queries: Queries, row: LeaseRow) -> bool:
    """Whether the lease runs, and nothing ends it yet."""
    over = row.terminated or row.agent_lost_at is not None or row.claim is not None
    signed = row.receipt is not None and row.receipt.receipt.last
    told = row.phase is not None and row.phase.final
    if row.state is not LeaseState.ACTIVE or row.yields is not None or over or signed or told:
        return False
    return not is_being_continued(queries, row)


def _as_order(queries: Queries, name: BidId, bid: Bid, queued: Queued) -> BidOrder | None:
    """The bid as the matcher has it; None where nobody here knows its document."""
    body = queries.document(bid.job)
    return None if body is None else bid_order(name, bid, job_from_plain(json.loads(body)), queued)
