"""From signed values and their documents to the matcher's orders: the one place where a demand of a job, or
a figure of an offer, is told to the matcher, so that none is signed and then forgotten.
"""

from dataclasses import dataclass, field

from ledger.chain.typed_data import model_tag
from ledger.market.bid import Bid
from ledger.market.gang import SAME_DOMAIN, SAME_PROVIDER
from ledger.market.identity import NO_DIGEST, Address, BidId, OfferId
from ledger.market.job import Job
from ledger.market.offer import Offer
from ledger.market.offer_document import OfferDocument
from matcher.orders import WHOLE, BidOrder, OfferOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """How one way of an order stands in the queue: `job` is the order's name and group, `sequence` its
    place, `arrived_at` seconds since 1970, `exclude` the providers that get it no more, `seed` the draw's."""

    job: BidId
    sequence: int
    arrived_at: int
    exclude: frozenset[Address] = field(default_factory=frozenset)
    seed: bytes = NO_DIGEST


def bid_order(name: BidId, bid: Bid, job: Job, queued: Queued) -> BidOrder:
    """The bid called `name`, whose words are those of `job` (`ledger.market.demand`), for the matcher."""
    gpu, gang = job.accelerators, job.gang
    same = gang.same if gang else ""
    return BidOrder(
        id=name,
        job=queued.job,
        bid=bid,
        sequence=queued.sequence,
        arrived_at=queued.arrived_at,
        allow=job.allow,
        deny=job.deny,
        exclude=queued.exclude | frozenset(job.providers.deny),
        min_reputation=job.min_reputation,
        seed=queued.seed,
        group=queued.job,
        models=frozenset(map(model_tag, gpu.models)) if gpu else frozenset(),
        devices=gpu.count if gpu else 0,
        share=gpu.share if gpu else WHOLE,
        device_memory=gpu.memory if gpu else 0,
        profile=gpu.profile if gpu else "",
        prefer=job.prefer,
        providers=frozenset(job.providers.allow),
        floors=gpu.floors if gpu else (),
        weights=gpu.weights if gpu else (),
        min_score=gpu.min_score if gpu else 0,
        data_region=job.data.region,
        max_latency_ms=job.data.max_latency,
        same_domain=same == SAME_DOMAIN,
        same_provider=same == SAME_PROVIDER,
        deadline=job.times.deadline,
        start_at=job.times.start_at,
        notice=job.notice,
    )


def offer_order(name: OfferId, offer: Offer, document: OfferDocument, reputation: int) -> OfferOrder:
    """The offer called `name` as the matcher sees it. How many devices it lends is what was signed, its
    capacity; the document says of what kind they are."""
    lent = document.accelerators
    return OfferOrder(
        id=name,
        offer=offer,
        domain=document.domain,
        reputation=reputation,
        profile=lent.profile if lent else "",
        capability=lent.capability if lent else (),
        latency=document.latency,
    )
