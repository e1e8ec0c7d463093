"""Valid values of the market with every field filled; a test names only the fields it is about."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from ledger.market.bid import Bid
from ledger.market.identity import Address, BidId, Digest, OfferId
from ledger.market.job import Image, Job
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, ANY_VENDOR, FEATURES, REGIONS, VENDORS, Traits, bits
from matcher.orders import BidOrder, OfferOrder

NOW = 1_800_000_000
"""the tests' time, in seconds since 1970"""
HOUR = 3_600


def an_address(name: str) -> Address:
    return Address(sha256(name.encode()).digest()[:20])


def a_digest(name: str) -> Digest:
    return Digest(sha256(name.encode()).digest())


PROCESSORS = Traits(
    vendors=1 << VENDORS["cpu"],
    regions=1 << REGIONS["eu-west"],
    features=bits(FEATURES, "feature", ("runc", "hard-disk-quota", "grade-e", "grade-d", "grade-c")),
)
"""what the offer of the factories is: processors alone, in eu-west, grade C"""


def an_offer(**changes: Any) -> Offer:
    """4 cores, 8 GiB, 20 GiB of disk; 1,000 base units a core-hour, valid for a day."""
    offer = Offer(
        provider=an_address("provider"),
        capacity=Quantities(cpu=4_000, memory=8_192, disk=20_480),
        ask=Quantities(cpu=1_000, memory=100),
        traits=PROCESSORS,
        min_seconds=1,
        max_seconds=8 * HOUR,
        valid_until=NOW + 24 * HOUR,
        epoch=0,
        salt=1,
        document=a_digest("offer document"),
    )
    return replace(offer, **changes)


def a_bid(**changes: Any) -> Bid:
    """1 core, 1 GiB, 1 GiB of disk for 10 minutes, at a limit far above the offer's ask (1,102,400)."""
    bid = Bid(
        buyer=an_address("buyer"),
        signer=an_address("buyer"),
        want=Quantities(cpu=1_000, memory=1_024, disk=1_024),
        traits=Traits(vendors=ANY_VENDOR, regions=ANY_REGION, features=1 << FEATURES["runc"]),
        limit_rate=5_000_000,
        max_over_ask_bps=0,
        duration=600,
        start_by=NOW + HOUR,
        valid_until=NOW + HOUR,
        open_after=NOW + HOUR,
        epoch=0,
        nonce=1,
        job=a_digest("job document"),
    )
    return replace(bid, **changes)


def a_job(**changes: Any) -> Job:
    """The job behind `a_bid`'s quantities, limit and duration."""
    job = Job(
        name="digits",
        image=Image(reference="bingwang/python:3", config="sha256:" + "ab" * 32),
        command=("python3", "train.py"),
        cpu=1_000,
        memory=1_024,
        disk=1_024,
        max_rate=5_000_000,
        max_seconds=600,
    )
    return replace(job, **changes)


def some_terms(**changes: Any) -> LeaseTerms:
    """`a_bid` on `an_offer`, at its ask."""
    terms = LeaseTerms(
        offer=OfferId(a_digest("offer")),
        bid=BidId(a_digest("bid")),
        member=0,
        provider=an_address("provider"),
        buyer=an_address("buyer"),
        signer=an_address("buyer"),
        matcher=an_address("node"),
        want=a_bid().want,
        rate=1_102_400,
        duration=600,
    )
    return replace(terms, **changes)


def offer_order(name: str = "offer", domain: str = "lab/berlin", **changes: Any) -> OfferOrder:
    """`an_offer` as the matcher sees it; `name` makes the id."""
    return OfferOrder(id=OfferId(a_digest(name)), offer=an_offer(**changes), domain=domain)


def bid_order(name: str = "bid", sequence: int = 1, **changes: Any) -> BidOrder:
    """`a_bid` as the matcher sees it; `allow`, `deny`, `exclude` and `arrived_at` go to the order."""
    own = {key: changes.pop(key) for key in ("allow", "deny", "exclude", "arrived_at") if key in changes}
    identity = BidId(a_digest(name))
    order = BidOrder(id=identity, job=identity, bid=a_bid(**changes), sequence=sequence, arrived_at=NOW)
    return replace(order, **own)
