"""Orders: what the matcher knows of an offer or a bid, so that it asks nobody else while it decides.

The signed values come with what does not fit the contract's words: from the offer's document its domain,
devices, measured capability and distances, from the job's document its lists, floors and times; and with
what the node adds: reputation, the providers that lost this job before, the seed of the draw, and the
bid's place in the queue and among its alternatives. A demand at its default asks for nothing.
"""

from dataclasses import dataclass

from ledger.market.bid import Bid
from ledger.market.capability import Vector, check_vector, check_weights
from ledger.market.domains import Preference, check_domain, check_pattern
from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, Address, BidId, OfferId
from ledger.market.latency import Distances, check_distances, check_reach
from ledger.market.offer import Offer
from ledger.market.profiles import check_profile
from ledger.market.ranges import exact_bytes, unsigned
from ledger.market.reputation import PER_MILLE
from matcher.devices import WHOLE, devices_of, lent_devices, per_device

__all__ = ["WHOLE", "BidOrder", "OfferOrder", "Preference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferOrder:
    """A standing offer of a provider whose agent is alive; `domain` is from the offer's document,
    `reputation` the provider's, per mille.

    It lends `device_count` devices of `device_memory` MiB each, MIG instances of `profile` where one is
    named; where neither is said they follow from the offer's capacity. `capability` is what was measured
    of one device, by precision; `latency` the milliseconds to a region's data."""

    id: OfferId
    offer: Offer
    domain: str
    reputation: int = 0
    device_count: int = 0
    device_memory: int = 0
    profile: str = ""
    capability: Vector = ()
    latency: Distances = ()

    def __post_init__(self) -> None:
        exact_bytes("id", self.id, 32)
        check_domain(self.domain)
        _check_per_mille("reputation", self.reputation)
        check_profile(self.profile)
        check_vector("capability", self.capability)
        check_distances(self.latency)
        capacity = self.offer.capacity
        count, _ = lent_devices(capacity.gpu)
        _settle(self, "device_count", count, self.device_count or count)
        memory = capacity.gpu_memory // count if count else 0
        _settle(self, "device_memory", memory, self.device_memory or memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class BidOrder:
    """A bid that waits for offers. `id` is that of this attempt, `job` that of the first one; a lower
    `sequence` is served earlier, `arrived_at` is seconds since 1970, `exclude` names providers that
    must not get the job, `min_reputation` is per mille.

    Orders of one `group` are alternatives: at most one of them is matched. `seed` draws the providers of
    replicas and is of no effect otherwise.

    A member uses `devices` devices, `share` milli and `device_memory` MiB of each, MIG instances of
    `profile` where one is named; where nothing is said they follow from the bid's words. `models` are the
    admissible model tags where there are several, `floors` the least figures by precision, `min_score` the
    least weighted geometric mean per mille. `data_region` must be within `max_latency_ms`. The members of a
    gang may have to be in one domain or at one provider. The lease must end by `deadline` and not begin
    before `start_at` (seconds since 1970, 0 for any); it yields to a higher bid after `notice` seconds, 0
    for never."""

    id: BidId
    job: BidId
    bid: Bid
    sequence: int
    arrived_at: int
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    exclude: frozenset[Address] = frozenset()
    min_reputation: int = 0
    seed: bytes = NO_DIGEST
    group: BidId | None = None
    models: frozenset[int] = frozenset()
    devices: int = 0
    share: int = WHOLE
    device_memory: int = 0
    profile: str = ""
    prefer: tuple[Preference, ...] = ()
    providers: frozenset[Address] = frozenset()
    floors: Vector = ()
    weights: Vector = ()
    min_score: int = 0
    data_region: str = ""
    max_latency_ms: int = 0
    same_domain: bool = False
    same_provider: bool = False
    deadline: int = 0
    start_at: int = 0
    notice: int = 0

    def __post_init__(self) -> None:
        exact_bytes("id", self.id, 32)
        exact_bytes("job", self.job, 32)
        unsigned("sequence", self.sequence, 63)
        for name in ("arrived_at", "deadline", "start_at"):
            unsigned(name, getattr(self, name), 40)
        unsigned("notice", self.notice, 32)
        for pattern in (*self.allow, *self.deny):
            check_pattern(pattern)
        exact_bytes("seed", self.seed, 32)
        _check_per_mille("min_reputation", self.min_reputation)
        if self.group is not None:
            exact_bytes("group", self.group, 32)
        self._check_capability()
        self._check_together()
        self._settle_devices()

    def _check_capability(self) -> None:
        for tag in self.models:
            unsigned("model", tag, 32)
        for provider in self.providers:
            exact_bytes("provider", provider, 20)
        check_profile(self.profile)
        check_vector("floors", self.floors)
        check_weights(self.weights, self.min_score)
        check_reach(self.data_region, self.max_latency_ms)

    def _check_together(self) -> None:
        together = self.same_domain or self.same_provider
        if together and (self.replicated or (self.same_provider and self.distinct)):
            raise Rejected(
                "gang-contradiction",
                "The members must be together and apart.",
                "Ask for one provider or domain, or for distinct ones.",
            )

    def _settle_devices(self) -> None:
        want, said = self.bid.want, self.devices
        count = said or devices_of(want)
        share, memory = per_device(want, count) if count else (WHOLE, 0)
        _settle(self, "share", min(share, WHOLE), self.share if said else share)
        _settle(self, "devices", count if want.gpu >= count else 0, count)
        _settle(self, "device_memory", memory, self.device_memory or memory)

    @property
    def members(self) -> int:
        """How many leases it opens, together or not at all."""
        return self.bid.members

    @property
    def distinct(self) -> bool:
        """Whether no two members may be at one provider."""
        return self.bid.distinct

    @property
    def replicated(self) -> bool:
        """Whether the members are drawn by `seed`, at distinct providers in distinct domains."""
        return self.bid.replicated


def _settle(order: OfferOrder | BidOrder, name: str, follows: int, said: int) -> None:
    """Write a figure that follows from the signed words; `Rejected` where something else was said."""
    if said != follows:
        raise Rejected(
            "devices-differ",
            f"{name} is {said}, by the signed words it is {follows}.",
            "Give what the words say, or nothing.",
            field=name,
        )
    object.__setattr__(order, name, follows)


def _check_per_mille(name: str, value: int) -> None:
    unsigned(name, value, 10)
    if value > PER_MILLE:
        raise Rejected(
            "field-out-of-range", f"{name} is {value}.", f"Give 0 to {PER_MILLE} per mille.", field=name
        )
