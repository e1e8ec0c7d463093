"""Valid values of the market with every field filled; a test names only the fields it is about."""

from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS, Bid
from ledger.market.delegation import Delegation, Role
from ledger.market.identity import Address, BidId, Digest, OfferId
from ledger.market.job import Image, Job
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, ANY_VENDOR, FEATURES, REGIONS, VENDORS, Traits, bits
from ledger.market.withdrawal import Withdrawal
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


def a_gang(members: int, *, distinct: bool = False, agree: int = 0, **changes: Any) -> Bid:
    """`a_bid` for several members; replicas of a quorum where `agree` is given."""
    flags = DISTINCT if distinct else 0
    if agree:
        flags |= REPLICAS | agree << AGREE_SHIFT
    return a_bid(members=members, flags=flags, **changes)


def a_delegation(**changes: Any) -> Delegation:
    """A laptop's key that may spend a million base units for a day."""
    delegation = Delegation(
        key=an_address("laptop"), roles=Role.SPEND, allowance=10**6, until=NOW + 24 * HOUR
    )
    return replace(delegation, **changes)


def a_withdrawal(**changes: Any) -> Withdrawal:
    """A thousand base units of the buyer, to another of its accounts, within the hour."""
    withdrawal = Withdrawal(
        account=an_address("buyer"), to=an_address("vault"), amount=1_000, nonce=7, deadline=NOW + HOUR
    )
    return replace(withdrawal, **changes)


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


def offer_order(
    name: str = "offer", domain: str = "lab/berlin", reputation: int = 0, **changes: Any
) -> OfferOrder:
    """`an_offer` as the matcher sees it; `name` makes the id, fields of the order go to the order."""
    own = {key: changes.pop(key) for key in LISTED_FIELDS if key in changes}
    identity = OfferId(a_digest(name))
    return OfferOrder(id=identity, offer=an_offer(**changes), domain=domain, reputation=reputation, **own)


LISTED_FIELDS = tuple(f.name for f in fields(OfferOrder) if f.name not in ("id", "offer"))
ORDER_FIELDS = tuple(f.name for f in fields(BidOrder) if f.name not in ("id", "job", "bid", "sequence"))


def bid_order(name: str = "bid", sequence: int = 1, **changes: Any) -> BidOrder:
    """`a_bid` as the matcher sees it; `ORDER_FIELDS` go to the order."""
    own = {key: changes.pop(key) for key in ORDER_FIELDS if key in changes}
    identity = BidId(a_digest(name))
    bid = a_bid(**changes)
    return BidOrder(id=identity, job=identity, bid=bid, sequence=sequence, **{"arrived_at": NOW, **own})
