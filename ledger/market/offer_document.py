"""Offer document: what an offer's `document` hash stands for, beyond what fits the contract's words."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.market.capability import SOURCES, Vector, check_vector, vector
from ledger.market.domains import check_domain
from ledger.market.errors import Rejected
from ledger.market.latency import Distances, check_distances, distances
from ledger.market.plain import Reader
from ledger.market.profiles import check_profile
from ledger.market.ranges import unsigned

KIND = "bingwang/offer/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedDevices:
    """The accelerators that an offer lends, all alike: `count` of `model` with `memory` MiB each, or that
    many MIG instances of `profile`. `capability` is what one does by precision, `source` who says so:
    claimed by the owner, measured by the agent, or challenged by a third."""

    vendor: str
    model: str
    count: int
    memory: int
    profile: str = ""
    capability: Vector = ()
    source: str = "claimed"

    def __post_init__(self) -> None:
        unsigned("count", self.count, 16)
        unsigned("memory", self.memory, 31)
        check_profile(self.profile)
        check_vector("capability", self.capability)
        if self.source not in SOURCES:
            raise Rejected("unknown-source", f"{self.source!r} is no source.", f"Use one of {SOURCES}.")

    def to_plain(self) -> dict[str, object]:
        """Its part of the document; what there is not is no key."""
        plain: dict[str, object] = {
            "vendor": self.vendor,
            "model": self.model,
            "count": self.count,
            "memory": self.memory,
        }
        optional: dict[str, object] = {"profile": self.profile, "capability": dict(self.capability)}
        plain |= {key: value for key, value in optional.items() if value}
        return plain | ({"source": self.source} if self.capability else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferDocument:
    """Who lends what: `domain` is group/location, `devices` lines for people, `disk_limit` hard or soft,
    `latency` the milliseconds of a round trip to each region that was measured."""

    name: str
    domain: str
    region: str
    devices: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ("runc",)
    disk_limit: str = "hard"
    accelerators: OfferedDevices | None = None
    latency: Distances = ()

    def __post_init__(self) -> None:
        check_domain(self.domain)
        check_distances(self.latency)
        if self.disk_limit not in ("hard", "soft"):
            raise Rejected("malformed-disk-limit", f"{self.disk_limit!r} is unknown.", "Use hard or soft.")

    def to_plain(self) -> dict[str, object]:
        """The document; what there is not is no key, so that an older one keeps its hash."""
        plain: dict[str, object] = {
            "kind": KIND,
            "name": self.name,
            "domain": self.domain,
            "region": self.region,
            "devices": list(self.devices),
            "runtimes": list(self.runtimes),
            "disk_limit": self.disk_limit,
        }
        optional: dict[str, object] = {
            "accelerators": self.accelerators.to_plain() if self.accelerators else {},
            "latency": dict(self.latency),
        }
        return plain | {key: value for key, value in optional.items() if value}


def offer_document_from_plain(value: object) -> OfferDocument:
    """The offer's document; `Rejected` for an unknown key, a wrong type or another kind."""
    read = Reader(value, "offer")
    if read.get("kind", str) != KIND:
        raise Rejected("unknown-document", "The document is not an offer of a known kind.", f"Use {KIND}.")
    document = OfferDocument(
        name=read.get("name", str),
        domain=read.get("domain", str),
        region=read.get("region", str),
        devices=read.texts("devices"),
        runtimes=read.texts("runtimes"),
        disk_limit=read.get("disk_limit", str),
        accelerators=_read_devices(read.get("accelerators", dict, {})),
        latency=distances(read.get("latency", dict, {})),
    )
    read.done()
    return document


def _read_devices(value: Mapping[str, object]) -> OfferedDevices | None:
    if not value:
        return None
    read = Reader(value, "accelerators")
    devices = OfferedDevices(
        vendor=read.get("vendor", str),
        model=read.get("model", str),
        count=read.get("count", int),
        memory=read.get("memory", int),
        profile=read.get("profile", str, ""),
        capability=vector("capability", read.get("capability", dict, {})),
        source=read.get("source", str, SOURCES[0]),
    )
    read.done()
    return devices
