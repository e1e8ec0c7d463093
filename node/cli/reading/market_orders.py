"""What the entries of a simulation's files say: offers in the words of `bingwang provider`, bids in those of
a job file, both with the times at which they come.

An offer has name provider domain region resources{cpus memory disk accelerators{vendor model count memory
profile capability{bf16 ...}}} prices{core gib disk_gib device device_gib} min_duration max_duration
reputation latency{region: 20ms} features grade stake from until count; the largest stake that a provider's
offers name, in tokens, is what it has in all. A bid has the keys of a job file (image
and command may be missing) and at buyer runs count. Times are from the start of the simulation on.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Final

from yaml.nodes import MappingNode

from ledger.chain.typed_data import model_tag
from ledger.market.domains import check_domain
from ledger.market.errors import Rejected
from ledger.market.identity import Address, BidId, Digest, OfferId
from ledger.market.job import Accelerators
from ledger.market.offer import Offer
from ledger.market.resource import Quantities
from ledger.market.traits import FEATURES, GRADES, REGIONS, VENDORS, Traits, bit, bits, thermometer
from matcher.orders import BidOrder, OfferOrder
from matcher.simulation.scenario import Arrival, Listing
from node.buying.bidding import Parties, bid_for
from node.buying.draft import NO_IMAGE, JobDraft
from node.cli.reading.amounts import parse_amount
from node.cli.reading.job_file import draft_of
from node.cli.reading.job_goods import accelerators_of
from node.cli.reading.market_files import named, read_entries, renamed, split, with_default
from node.cli.reading.quantities import parse_count, parse_milli, parse_size, parse_time
from node.cli.reading.yaml_section import Section
from node.trading.bid_orders import Queued, bid_order
from provider_agent.offers.lending import Prices, ask_of

START: Final = 1_900_000_000
"""the moment 0 of a simulation on files, in seconds since 1970: the engine counts from then"""
DECIMALS: Final = 6
"""of the tokens in which files state prices"""
MOST_COPIES: Final = 1_000_000
"""of all entries of a file together"""
_TOKENS: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_OWN: Final = ("at", "buyer", "runs", "count")
_NODE: Final = Address(sha256(b"node").digest()[:20])
_FOREVER: Final = "365d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Listings and arrivals, the names of the models in them by their tags, and what providers have at stake
    where that is known."""

    listings: tuple[Listing, ...]
    arrivals: tuple[Arrival, ...]
    models: dict[int, str]
    stakes: dict[Address, int] = field(default_factory=dict)


def read_market(offers: Path, bids: Path) -> Files:
    """Both files; a faulty entry is `Rejected` with its file and line."""
    models: dict[int, str] = {0: "cpu"}
    stakes: dict[Address, int] = {}
    with named(offers):
        listings = tuple(_listings(read_entries(offers, "offers"), models, stakes))
    with named(bids):
        arrivals = tuple(_arrivals(read_entries(bids, "bids")))
    return Files(listings=listings, arrivals=arrivals, models=models, stakes=stakes)


def account(name: str) -> Address:
    """The account that stands for a trader of this name."""
    return Address(sha256(name.encode()).digest()[:20])


def _listings(
    entries: list[MappingNode], models: dict[int, str], stakes: dict[Address, int]
) -> Iterator[Listing]:
    total = 0
    for number, entry in enumerate(entries):
        read = Section(renamed(entry, ("resources", "accelerators", "capability"), "floors"), "offer")
        since = START + read.convert("from", parse_time, "0")
        until = START + read.convert("until", parse_time, _FOREVER)
        copies = read.convert("count", _copies(total), "1")
        total += copies
        order = _offer(read, number, until, models)
        provider, stake = order.offer.provider, read.convert("stake", _base_units, "0")
        stakes[provider] = max(stake, stakes.get(provider, 0))
        read.done()
        for copy in range(copies):
            name = f"offer {number} {copy}"
            yield Listing(order=replace(order, id=OfferId(_digest(name))), since=since, until=until)


def _offer(read: Section, number: int, until: int, models: dict[int, str]) -> OfferOrder:
    name = read.text("name", f"offer {number + 1}")
    capacity, traits, devices = _machine(read, models)
    prices = read.section("prices") or Section(MappingNode("", []), "prices")
    offer = Offer(
        provider=account(read.text("provider", name)),
        capacity=capacity,
        ask=ask_of(_prices(prices), DECIMALS),
        traits=traits,
        min_seconds=read.convert("min_duration", parse_time, "1s"),
        max_seconds=read.convert("max_duration", parse_time, "30d"),
        valid_until=until,
        epoch=0,
        salt=number,
        document=_digest(name),
    )
    prices.done()
    latency = read.section("latency")
    distances = [(key, latency.convert(key, _milliseconds)) for key, _ in latency.pairs()] if latency else []
    return OfferOrder(
        id=OfferId(_digest(name)),
        offer=offer,
        domain=read.convert("domain", check_domain, "anywhere/here"),
        reputation=read.convert("reputation", parse_milli, "0"),
        profile=devices.profile,
        capability=devices.floors,
        latency=tuple(sorted(distances)),
    )


def _machine(read: Section, models: dict[int, str]) -> tuple[Quantities, Traits, Accelerators]:
    """What the offer lends, what the contract may check of it, and the kind of its devices."""
    resources = read.section("resources")
    if resources is None:
        raise Rejected("missing-key", "An offer lacks 'resources'.", "Add resources.")
    gpu = accelerators_of(resources.section("accelerators"))
    count = gpu.count if gpu else 0
    gpu = gpu or Accelerators(vendor="cpu")
    tag = model_tag(gpu.model) if gpu.model else 0
    capacity = Quantities(
        cpu=resources.convert("cpus", parse_milli),
        memory=resources.convert("memory", parse_size),
        disk=resources.convert("disk", parse_size, "0MiB"),
        gpu=1_000 * count,
        gpu_memory=count * gpu.memory,
    )
    resources.done()
    if count:
        models.setdefault(tag, gpu.model or "any")
    words = bits(FEATURES, "feature", read.texts("features") or ("runc", "outbound-network"))
    traits = Traits(
        vendors=bit(VENDORS, "vendor", gpu.vendor or "nvidia"),
        regions=read.convert("region", lambda name: bit(REGIONS, "region", name), "local"),
        features=words | thermometer("grade", GRADES, read.text("grade", "c").lower()),
        gpu_memory_mib=gpu.memory,
        model=tag,
    )
    return capacity, traits, gpu


def _milliseconds(text: str) -> int:
    return parse_count(text.strip().removesuffix("ms"))


def _prices(read: Section) -> Prices:
    return Prices(
        core=read.convert("core", _tokens, "0"),
        gib=read.convert("gib", _tokens, "0"),
        disk_gib=read.convert("disk_gib", _tokens, "0"),
        device=read.convert("device", _tokens, "0"),
        device_gib=read.convert("device_gib", _tokens, "0"),
    )


def _tokens(text: str) -> Decimal:
    if not _TOKENS.fullmatch(text.strip()):
        raise Rejected("malformed-price", f"{text[:40]!r} is not a price.", "Write tokens, as 0.5.")
    return Decimal(text.strip())


def _base_units(text: str) -> int:
    return parse_amount(text, DECIMALS)


def _copies(before: int) -> Callable[[str], int]:
    """Reads the count of an entry that so many copies stand before."""

    def read(text: str) -> int:
        count = parse_count(text)
        if not 1 <= count <= MOST_COPIES - before:
            raise Rejected(
                "count-out-of-range",
                f"The count is {count}, after {before} before it.",
                f"Give 1 or more, and no more than {MOST_COPIES} in the file.",
            )
        return count

    return read


def _digest(name: str) -> Digest:
    return Digest(sha256(name.encode()).digest())


def _arrivals(entries: list[MappingNode]) -> Iterator[Arrival]:
    sequence, total = 0, 0
    for number, entry in enumerate(entries):
        own, rest = split(entry, _OWN, "bid")
        at = START + own.convert("at", parse_time, "0")
        buyer = own.text("buyer", f"buyer {number + 1}")
        copies, runs = own.convert("count", _copies(total), "1"), own.convert("runs", parse_time, "0")
        total += copies
        own.done()
        rest = with_default(with_default(rest, "image", NO_IMAGE.config), "command", "run", "it")
        draft = draft_of(Section(with_default(rest, "name", f"bid-{number + 1}"), "bid"), DECIMALS, at)
        for copy in range(copies):
            yield _arrival(draft, account(buyer), at, (number, copy, sequence), runs)
            sequence += len(draft.forms)


def _arrival(draft: JobDraft, buyer: Address, at: int, place: tuple[int, int, int], runs: int) -> Arrival:
    number, copy, sequence = place
    ways = []
    job = BidId(_digest(f"bid {number} {copy}"))
    for way, form in enumerate(draft.forms):
        document = form.job(NO_IMAGE, form.stored_inputs)
        parties = Parties(buyer=buyer, signer=buyer, matcher=_NODE, epoch=0)
        name = job if way == 0 else BidId(_digest(f"bid {number} {copy} {way}"))
        bid = bid_for(document, _digest(f"document {number}"), parties, sequence, at, draft.wait + _SLACK)
        queued = Queued(
            job=job, sequence=sequence + way, arrived_at=at, seed=_digest(f"seed {number} {copy}")
        )
        ways.append(bid_order(name, bid, document, queued))
    return Arrival(name=draft.name, ways=tuple(ways), rests_until=at + draft.wait, runs=_runs(ways[0], runs))


_SLACK: Final = 7 * 86_400
"""seconds for which a bid stays valid beyond its wait, so that no epoch is too long for it"""


def _runs(order: BidOrder, runs: int) -> int:
    return min(runs or order.bid.duration, order.bid.duration)
