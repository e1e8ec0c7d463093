"""The owner's file: what is lent, for how much and to whom; every mistake is named before anything runs.

YAML, read strictly: an unknown key is refused with the nearest known one. Sizes are written `8GiB`,
prices in tokens an hour (`0.02`), accounts as `0x…`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from ledger.market.capability import Vector, vector
from ledger.market.domains import check_domain, check_pattern
from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text
from ledger.market.latency import Distances, distances
from ledger.market.plain import Reader
from ledger.market.traits import REGIONS, bit
from provider_agent.offers.lending import Limits, Prices
from provider_agent.offers.rules import OwnersRules

FILE = "provider.yaml"
_SIZE = re.compile(r"(\d+)\s*(MiB|GiB|TiB)")
_MIB = {"MiB": 1, "GiB": 1_024, "TiB": 1_048_576}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DEFAULT_IMAGES_MIB = 20_480


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The market that the owner joined; pinned, so that a node cannot move the agent to another."""

    chain_id: int
    address: Address
    first_block: int = 0
    confirmations: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One provider's file. `engine` is a Docker URL, "" for the environment's; sizes in MiB. `owner` is the
    provider's account where the agent's key only operates for it, `stake` tokens, "" for the default.
    `capability` is what the owner claims that one device does by precision, `latency` the milliseconds of a
    round trip to each region that it vouches for."""

    name: str
    domain: str
    region: str
    node: str
    rpc: str
    market: Market
    prices: Prices
    limits: Limits = field(default_factory=Limits)
    rules: OwnersRules = field(default_factory=OwnersRules)
    engine: str = ""
    images_mib: int = _DEFAULT_IMAGES_MIB
    offer_days: int = 30
    owner: Address | None = None
    stake: str = ""
    capability: Vector = ()
    latency: Distances = ()


def read_settings(directory: Path) -> ProviderSettings:
    """The file in the provider's directory; `Rejected` where it is missing or says something unknown."""
    path = directory / FILE
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise Rejected("no-provider", f"{path} does not exist.", "Run bingwang provider init first.") from exc
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        reason = " ".join(str(exc).split())
        raise Rejected(
            "malformed-settings", f"{path} cannot be read: {reason}.", "Correct the YAML."
        ) from exc
    return settings_from_plain(plain)


def settings_from_plain(value: object) -> ProviderSettings:
    """The settings behind a mapping; `Rejected` for an unknown key, a wrong type or value."""
    read = Reader(_texts(value, "stake"), "provider")
    settings = ProviderSettings(
        name=read.get("name", str),
        domain=check_domain(read.get("domain", str)),
        region=read.get("region", str),
        node=_url("node", read.get("node", str)),
        rpc=_url("rpc", read.get("rpc", str)),
        market=_market(read.get("market", dict)),
        prices=_prices(read.get("prices", dict)),
        limits=_limits(read.get("lend", dict, {})),
        rules=_rules(read.get("rules", dict, {})),
        engine=read.get("engine", str, ""),
        images_mib=_size("images", read.get("images", str, f"{_DEFAULT_IMAGES_MIB}MiB")),
        offer_days=_at_least("offer_days", read.get("offer_days", int, 30), 1),
        owner=_account(read.get("owner", str, "")),
        stake=_stake(read.maybe("stake", str)),
        capability=vector("capability", read.get("capability", dict, {})),
        latency=distances(read.get("latency", dict, {})),
    )
    read.done()
    bit(REGIONS, "region", settings.region)
    return settings


def _market(value: object) -> Market:
    read = Reader(value, "market")
    market = Market(
        chain_id=_at_least("chain_id", read.get("chain_id", int), 1),
        address=Address(from_text(read.get("address", str), 20)),
        first_block=_at_least("first_block", read.get("first_block", int, 0), 0),
        confirmations=_at_least("confirmations", read.get("confirmations", int, 1), 1),
    )
    read.done()
    return market


def _prices(value: Mapping[str, Any]) -> Prices:
    read = Reader(_texts(value, *value), "prices")
    prices = Prices(
        core=_price("core", read.get("core", str)),
        gib=_price("gib", read.get("gib", str)),
        disk_gib=_price("disk_gib", read.get("disk_gib", str, "0")),
        device=_price("device", read.get("device", str, "0")),
        device_gib=_price("device_gib", read.get("device_gib", str, "0")),
    )
    read.done()
    return prices


def _texts(value: object, *keys: str) -> object:
    """YAML reads 0.02 as a binary fraction; its shortest text is what the owner wrote."""
    if not isinstance(value, Mapping):
        return value
    numbers = {key: str(value[key]) for key in keys if type(value.get(key)) in (int, float)}
    return dict(value) | numbers


def _account(written: str) -> Address | None:
    return Address(from_text(written, 20)) if written else None


def _stake(written: str | None) -> str:
    if written is None:
        return ""
    try:
        amount = Decimal(written)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise Rejected("malformed-stake", f"stake is {written!r}.", "Give tokens, such as 25.", key="stake")
    return written


def _price(key: str, written: str) -> Decimal:
    try:
        price = Decimal(written)
    except InvalidOperation:
        price = Decimal(-1)
    if not price.is_finite() or price < 0:
        raise Rejected(
            "malformed-price",
            f"prices.{key} is {written!r}.",
            "Give tokens an hour, such as 0.02.",
            key=f"prices.{key}",
        )
    return price


def _limits(value: Mapping[str, Any]) -> Limits:
    read = Reader(value, "lend")
    cores, devices = read.get("cores", int, -1), read.get("devices", int, -1)
    memory, disk = read.get("memory", str, ""), read.get("disk", str, "")
    limits = Limits(
        cpu=None if cores == -1 else _at_least("cores", cores, 1) * 1_000,
        memory=_size("memory", memory) if memory else None,
        disk=_size("disk", disk) if disk else None,
        devices=None if devices == -1 else _at_least("devices", devices, 0),
        min_seconds=_at_least("min_seconds", read.get("min_seconds", int, 1), 1),
        max_seconds=_at_least("max_seconds", read.get("max_seconds", int, 86_400), 1),
    )
    read.done()
    return limits


def _rules(value: object) -> OwnersRules:
    read = Reader(value, "rules")
    allow_buyers, deny_buyers = _lists(read.get("buyers", dict, {}), "buyers")
    allow_images, deny_images = _lists(read.get("images", dict, {}), "images")
    domains = dict(read.get("domains", dict, {}))
    members = _members(domains.pop("members", {}))
    allow_domains, deny_domains = _lists(domains, "domains")
    read.done()
    for pattern in (*allow_domains, *deny_domains):
        check_pattern(pattern)
    for image in (*allow_images, *deny_images):
        if not _DIGEST.fullmatch(image):
            raise Rejected(
                "malformed-image-digest",
                f"rules.images holds {image!r}.",
                "Give config digests: sha256: and 64 hexadecimal digits.",
            )
    return OwnersRules(
        allow_buyers=_accounts(allow_buyers),
        deny_buyers=_accounts(deny_buyers),
        allow_images=frozenset(allow_images),
        deny_images=frozenset(deny_images),
        allow_domains=allow_domains,
        deny_domains=deny_domains,
        members=members,
    )


def _lists(value: object, where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    read = Reader(value, where)
    lists = read.texts("allow"), read.texts("deny")
    read.done()
    return lists


def _members(value: object) -> tuple[tuple[str, frozenset[Address]], ...]:
    read = Reader(value, "members")
    assert isinstance(value, Mapping)
    return tuple((check_domain(str(domain)), _accounts(read.texts(domain))) for domain in value)


def _accounts(texts: tuple[str, ...]) -> frozenset[Address]:
    return frozenset(Address(from_text(one, 20)) for one in texts)


def _url(key: str, url: str) -> str:
    if not re.fullmatch(r"https?://\S+", url):
        raise Rejected("malformed-url", f"{key} is {url!r}.", "Give a URL such as http://127.0.0.1:8545.")
    return url.rstrip("/")


def _size(key: str, written: str) -> int:
    matched = _SIZE.fullmatch(written.strip())
    if matched is None or int(matched[1]) == 0:
        raise Rejected("malformed-size", f"{key} is {written!r}.", "Give a size such as 8GiB.", key=key)
    return int(matched[1]) * _MIB[matched[2]]


def _at_least(key: str, value: int, least: int) -> int:
    if value < least:
        raise Rejected("too-small", f"{key} is {value}.", f"Give at least {least}.", key=key)
    return value
