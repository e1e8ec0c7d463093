"""Offer document: what an offer's `document` hash stands for, beyond what fits the contract's words."""

from dataclasses import dataclass

from ledger.market.domains import check_domain
from ledger.market.errors import Rejected
from ledger.market.plain import Reader

KIND = "bingwang/offer/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferDocument:
    """Who lends what: `domain` is group/location, `devices` lines for people, `disk_limit` hard or soft."""

    name: str
    domain: str
    region: str
    devices: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ("runc",)
    disk_limit: str = "hard"

    def __post_init__(self) -> None:
        check_domain(self.domain)
        if self.disk_limit not in ("hard", "soft"):
            raise Rejected("malformed-disk-limit", f"{self.disk_limit!r} is unknown.", "Use hard or soft.")

    def to_plain(self) -> dict[str, object]:
        return {
            "kind": KIND,
            "name": self.name,
            "domain": self.domain,
            "region": self.region,
            "devices": list(self.devices),
            "runtimes": list(self.runtimes),
            "disk_limit": self.disk_limit,
        }


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
    )
    read.done()
    return document
