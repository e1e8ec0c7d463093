"""Hypothesis strategies: any value that the kernel's types allow, and small markets that often match."""

from typing import Any

from hypothesis import strategies as st

from ledger.market.bid import AGREE_SHIFT, DISTINCT, MAX_MEMBERS, MAX_REPLICAS, REPLICAS, Bid, SignedBid
from ledger.market.capability import REFERENCE, SOURCES, Vector
from ledger.market.delegation import Delegation, Role
from ledger.market.domains import Preference
from ledger.market.identity import NOBODY, Address, BidId, Digest, LeaseId, OfferId
from ledger.market.job import (
    Accelerators,
    DataPlace,
    Gang,
    Image,
    InputFile,
    Job,
    Providers,
    Times,
)
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.offer_document import OfferDocument, OfferedDevices
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.resource import LANE_NAMES, Quantities
from ledger.market.traits import FEATURES, GRADES, REGIONS, TRUSTS, VENDORS, Traits
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal, Withdrawal
from matcher.orders import BidOrder, OfferOrder
from tests.factories import HOUR, NOW, a_bid, an_address, an_offer


def words(bits: int) -> st.SearchStrategy[int]:
    return st.integers(min_value=0, max_value=(1 << bits) - 1)


addresses = st.binary(min_size=20, max_size=20).map(Address)
digests = st.binary(min_size=32, max_size=32).map(Digest)
offer_ids = digests.map(OfferId)
bid_ids = digests.map(BidId)
lease_ids = digests.map(LeaseId)
signatures = st.binary(min_size=64, max_size=64)
quantities = st.builds(Quantities, **dict.fromkeys(LANE_NAMES, words(31)))
traits = st.builds(
    Traits,
    vendors=words(32),
    regions=words(64),
    features=words(64),
    gpu_memory_mib=words(32),
    capability=words(32),
    model=words(32),
)
spans = st.tuples(words(32), words(32)).map(sorted)
offers = spans.flatmap(
    lambda span: st.builds(
        Offer,
        provider=addresses,
        capacity=quantities,
        ask=quantities,
        traits=traits,
        min_seconds=st.just(span[0]),
        max_seconds=st.just(span[1]),
        valid_until=words(40),
        epoch=words(64),
        salt=words(64),
        document=digests,
    )
)
bids = st.builds(
    Bid,
    buyer=addresses,
    signer=addresses,
    want=quantities,
    traits=traits,
    limit_rate=words(96),
    max_over_ask_bps=words(16),
    duration=words(32),
    start_by=words(40),
    valid_until=words(40),
    open_after=words(40),
    members=words(8),
    flags=words(8),
    epoch=words(64),
    nonce=words(64),
    job=digests,
    provider=addresses,
    matcher=addresses,
    continues=digests,
)
signed_bids = st.builds(SignedBid, bid=bids, signature=signatures)
lease_terms = st.builds(
    LeaseTerms,
    offer=offer_ids,
    bid=bid_ids,
    member=words(8),
    provider=addresses,
    buyer=addresses,
    signer=addresses,
    matcher=addresses,
    want=quantities,
    rate=words(96),
    duration=words(32),
)
delegations = st.builds(
    Delegation,
    key=addresses,
    roles=st.sampled_from([Role.SPEND, Role.OPERATE, Role.SPEND | Role.OPERATE]),
    allowance=words(128),
    until=words(40),
)
withdrawals = st.builds(
    Withdrawal, account=addresses, to=addresses, amount=words(256), nonce=words(64), deadline=words(40)
)
signed_withdrawals = st.builds(SignedWithdrawal, withdrawal=withdrawals, signature=signatures)
signed_permits = st.builds(
    SignedPermit, owner=addresses, amount=words(256), deadline=words(256), signature=signatures
)
receipts = st.builds(
    UsageReceipt, lease=lease_ids, milliseconds=words(64), evidence=digests, last=st.booleans()
)
signed_receipts = st.builds(SignedReceipt, receipt=receipts, signature=signatures)

sha256_texts = st.binary(min_size=32, max_size=32).map(bytes.hex)
names = st.from_regex(r"[a-z][a-z0-9-]{0,11}", fullmatch=True)
domains = st.builds("{}/{}".format, names, names)
patterns = domains | names.map("{}/*".format) | st.just("*")
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
files = st.builds(InputFile, path=paths, sha256=sha256_texts, size=words(24))
images = st.builds(
    Image,
    reference=texts,
    config=sha256_texts.map("sha256:{}".format),
    archive=sha256_texts,
    archive_bytes=words(40),
) | st.builds(Image, reference=texts, config=sha256_texts.map("sha256:{}".format))


def figures(most: int, *, least: int = 0, some: int = 0) -> st.SearchStrategy[Vector]:
    """A capability vector of `some` precisions or more."""
    found = st.dictionaries(
        st.sampled_from(sorted(REFERENCE)), st.integers(least, most), min_size=some, max_size=3
    )
    return found.map(lambda one: tuple(sorted(one.items())))


several = st.lists(names, min_size=2, max_size=4, unique=True).map(lambda found: tuple(sorted(found)))
profiles = st.sampled_from(["1g.10gb", "3g.40gb", "1g.5gb+me"])
accelerators = (
    st.builds(
        Accelerators,
        vendor=st.sampled_from(["", *VENDORS]),
        model=names,
        count=st.integers(1, 8),
        share=st.integers(1, 1_000),
        memory=words(20),
    )
    | st.builds(
        Accelerators,
        vendors=st.lists(st.sampled_from(sorted(VENDORS)), min_size=2, max_size=3, unique=True).map(
            lambda found: tuple(sorted(found))
        ),
        models=several,
        floors=figures(1 << 30),
        weights=figures(100, least=1, some=1),
        min_score=st.integers(1, 9_999),
    )
    | st.builds(Accelerators, profile=profiles, count=st.integers(1, 7), models=several)
)
gangs = st.builds(Gang, members=st.integers(2, MAX_MEMBERS), distinct=st.booleans()) | st.builds(
    Gang, members=st.integers(2, MAX_MEMBERS), same=st.sampled_from(["provider", "domain"])
)
accounts = st.lists(addresses, max_size=3, unique=True).map(lambda found: tuple(sorted(found)))
data_places = st.builds(DataPlace) | st.builds(
    DataPlace, region=st.sampled_from(sorted(REGIONS)), max_latency=st.integers(1, 60_000)
)
times = st.builds(
    Times,
    start_at=st.integers(0, 1 << 31),
    start_by=st.just(0) | st.integers(1 << 31, 1 << 32),
    deadline=st.just(0) | st.integers(1 << 32, 1 << 33),
)
replica_gangs = st.integers(2, MAX_REPLICAS).flatmap(
    lambda members: st.builds(Gang, members=st.just(members), agree=st.integers(members // 2 + 1, members))
)
_job_fields: dict[str, st.SearchStrategy[Any]] = {
    "name": names,
    "image": images,
    "command": st.lists(texts, min_size=1, max_size=4).map(tuple),
    "cpu": st.integers(1, 1 << 20),
    "memory": st.integers(16, 1 << 20),
    "disk": st.integers(256, 1 << 20),
    "max_rate": words(96),
    "max_seconds": st.integers(1, 1 << 20),
    "envs": st.dictionaries(names.map(lambda name: name.replace("-", "_")), texts, max_size=3).map(
        lambda envs: tuple(sorted(envs.items()))
    ),
    "accelerators": st.none() | accelerators,
    "inputs": st.lists(files, max_size=3, unique_by=lambda file: file.path).map(tuple),
    "allow": st.lists(patterns, max_size=2).map(tuple),
    "deny": st.lists(patterns, max_size=2).map(tuple),
    "regions": st.lists(st.sampled_from(sorted(REGIONS)), max_size=3, unique=True).map(tuple),
    "runtime": st.sampled_from(["runc", "gvisor", "vm"]),
    "grade": st.sampled_from(["", *GRADES]),
    "network": st.booleans(),
    "retry": words(3),
    "min_reputation": st.integers(0, 1_000),
    "max_over_ask": st.just(0) | words(16),
    "trust": st.sampled_from(["", *TRUSTS]),
    "prefer": st.lists(st.builds(Preference, pattern=patterns, bonus=st.integers(1, 10_000)), max_size=2).map(
        tuple
    ),
    "providers": st.builds(Providers, allow=accounts, deny=accounts),
    "data": data_places,
    "times": times,
}
jobs = st.builds(
    Job,
    **_job_fields,
    outputs=st.lists(paths, max_size=3, unique=True).map(tuple),
    gang=st.none() | gangs,
    notice=st.integers(0, 86_400),
) | st.builds(
    Job,
    **_job_fields,
    outputs=st.lists(paths, min_size=1, max_size=3, unique=True).map(tuple),
    gang=replica_gangs,
)
offer_documents = st.builds(
    OfferDocument,
    name=texts,
    domain=domains,
    region=st.sampled_from(sorted(REGIONS)),
    devices=st.lists(texts, max_size=2).map(tuple),
    runtimes=st.lists(names, max_size=2).map(tuple),
    disk_limit=st.sampled_from(["hard", "soft"]),
    accelerators=st.none()
    | st.builds(
        OfferedDevices,
        vendor=st.sampled_from(sorted(VENDORS)),
        model=names,
        count=words(8),
        memory=words(20),
        profile=st.just("") | profiles,
        capability=figures(1 << 30, some=1),
        source=st.sampled_from(SOURCES),
    ),
    latency=st.dictionaries(st.sampled_from(sorted(REGIONS)), words(12), max_size=3).map(
        lambda found: tuple(sorted(found.items()))
    ),
)


def _mostly(usual: Any, *rare: Any) -> st.SearchStrategy[Any]:
    """Eight times in ten the usual value: a market where nearly nothing matches tests nearly nothing."""
    return st.sampled_from([usual] * 4 * len(rare) + list(rare))


_ada, _bob, _cai = (an_address(name) for name in ("ada", "bob", "cai"))
offer_orders = st.builds(
    OfferOrder,
    id=offer_ids,
    domain=st.sampled_from(["lab/berlin", "lab/paris", "club/berlin"]),
    offer=st.builds(
        an_offer,
        provider=st.sampled_from([_ada, _bob, _cai]),
        capacity=st.builds(Quantities, cpu=st.integers(1, 6), memory=st.integers(1, 6), gpu=_mostly(1, 0)),
        ask=st.builds(Quantities, cpu=st.integers(0, 3), memory=st.integers(0, 3)),
        traits=st.builds(
            Traits,
            vendors=_mostly(1, 2),
            regions=_mostly(0b1, 0b10, 0b10000),
            features=_mostly(0b11, 0b1, 1 | 1 << FEATURES["outbound-network"]),
            gpu_memory_mib=_mostly(1, 0),
            capability=_mostly(1, 0),
            model=_mostly(1, 0),
        ),
        min_seconds=_mostly(1, 600),
        max_seconds=_mostly(HOUR, 600, 601),
        valid_until=_mostly(NOW + 24 * HOUR, NOW + 599, NOW + 600),
    ),
)
bid_orders = st.builds(
    BidOrder,
    id=bid_ids,
    job=bid_ids,
    sequence=words(6),
    arrived_at=st.just(NOW),
    allow=_mostly((), ("lab/*",), ("club/berlin", "lab/paris")),
    deny=_mostly((), ("lab/paris",)),
    exclude=_mostly(frozenset(), frozenset({_ada}), frozenset({_bob, an_address("nobody here")})),
    bid=st.builds(
        a_bid,
        buyer=_mostly(an_address("buyer"), _ada, _bob),
        provider=_mostly(NOBODY, _bob, _cai),
        want=st.builds(Quantities, cpu=st.integers(0, 3), memory=st.integers(0, 3), gpu=_mostly(0, 1)),
        traits=st.builds(
            Traits,
            vendors=_mostly(0b11, 0b1, 0b10),
            regions=_mostly(0b11, 0b1, 0b10000),
            features=_mostly(0b1, 0, 0b11),
            gpu_memory_mib=_mostly(0, 1),
            capability=_mostly(0, 1),
            model=_mostly(0, 1, 2),
        ),
        limit_rate=_mostly(18, 0, 3, 6),
        duration=_mostly(600, 601, 0),
        start_by=_mostly(NOW + HOUR, NOW, NOW - 1),
        valid_until=_mostly(NOW + HOUR, NOW, NOW - 1),
        members=_mostly(1, 2, 3),
        flags=_mostly(0, DISTINCT, REPLICAS | 2 << AGREE_SHIFT),
        nonce=words(20),
    ),
)
