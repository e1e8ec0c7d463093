"""A market drawn from a seed: many offers, few values of each attribute, so that bids meet, tie or miss."""

import random
from typing import TypeVar

from ledger.market.bid import Bid
from ledger.market.domains import Preference
from ledger.market.identity import NOBODY, BidId, OfferId
from ledger.market.offer import Offer
from ledger.market.resource import Quantities
from ledger.market.traits import Traits
from matcher.book import (
    Book,
    BookEvent,
    CapacityFreed,
    CapacityTaken,
    OfferDelisted,
    OfferListed,
    StakeChanged,
)
from matcher.orders import BidOrder, OfferOrder
from tests.factories import HOUR, NOW, a_digest, an_address

T = TypeVar("T")
DOMAINS = ("lab/berlin", "lab/paris", "club/berlin", "club/rome")
PROVIDERS = tuple(an_address(f"provider {number}") for number in range(7))
PROFILES = ("", "", "", "1g.10gb")


class RandomMarket:
    """Draws orders and events; the same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._drawn = 0
        self._held: list[CapacityTaken] = []
        self.book = Book(stake_bps=self._one_of(0, 2_500, 10_000))

    def _one_of(self, *values: T) -> T:
        return self._random.choice(values)

    def _mostly(self, usual: T, *seldom: T) -> T:
        return usual if self._random.random() < 0.85 else self._random.choice(seldom)

    def offer(self) -> OfferOrder:
        """An offer with a fresh id: processors alone, a slice of one device, or up to four devices."""
        self._drawn += 1
        gpu = self._one_of(0, 500, 1_000, 2_000, 4_000)
        count = gpu // 1_000 or int(gpu > 0)
        memory = self._one_of(8, 16)
        return OfferOrder(
            id=OfferId(a_digest(f"offer {self._drawn} {self._random.random()}")),
            domain=self._one_of(*DOMAINS),
            reputation=self._one_of(0, 500, 900),
            profile=self._one_of(*PROFILES) if gpu else "",
            capability=self._one_of((), (("fp16", 5), ("fp32", 3)), (("fp16", 9),)),
            latency=self._one_of((), (("eu-west", 20),)),
            offer=self._signed_offer(gpu, count * memory),
        )

    def _signed_offer(self, gpu: int, gpu_memory: int) -> Offer:
        return Offer(
            provider=self._one_of(*PROVIDERS),
            capacity=Quantities(
                cpu=self._one_of(4, 8, 16),
                memory=self._one_of(4, 8),
                disk=self._mostly(8, 4),
                gpu=gpu,
                gpu_memory=gpu_memory,
                network=self._mostly(4, 0),
            ),
            ask=Quantities(
                cpu=self._random.randrange(6), memory=self._random.randrange(4), gpu=self._random.randrange(6)
            ),
            traits=Traits(
                vendors=self._mostly(0b10, 0b01, 1 << 31),
                regions=self._mostly(1 << self._one_of(0, 1, 63), 0b11, 1 << 63 | 1),
                features=self._mostly(0b11, 0b1, 1 << 63 | 0b11),
                gpu_memory_mib=self._one_of(8, 16),
                capability=self._mostly(80, 70),
                model=self._one_of(1, 2, 1 << 31),
            ),
            min_seconds=self._mostly(1, 600),
            max_seconds=self._mostly(HOUR, 600, (1 << 32) - 1),
            valid_until=self._mostly(NOW + HOUR, NOW + 599, NOW + 600, (1 << 40) - 1),
            epoch=0,
            salt=self._drawn,
            document=a_digest("document"),
        )

    def bid(self) -> BidOrder:
        """A bid with a fresh id that asks for a few of all the things that can be asked for."""
        self._drawn += 1
        gpu = self._one_of(0, 0, 250, 500, 1_000, 2_000)
        count = -(-gpu // 1_000)
        identity = BidId(a_digest(f"bid {self._drawn} {self._random.random()}"))
        return BidOrder(
            id=identity,
            job=identity,
            sequence=self._drawn,
            arrived_at=NOW,
            allow=self._mostly((), ("lab/*",), ("club/rome", "lab/paris")),
            deny=self._mostly((), ("lab/paris",)),
            prefer=self._mostly((), (Preference(pattern="lab/*", bonus=self._one_of(1_000, 9_999)),)),
            exclude=self._mostly(frozenset(), frozenset(PROVIDERS[:2]), frozenset({an_address("stranger")})),
            providers=self._mostly(
                frozenset(), frozenset(PROVIDERS[1:4]), frozenset({an_address("stranger"), PROVIDERS[3]})
            ),
            min_reputation=self._mostly(0, 500, 1_000),
            models=self._mostly(frozenset(), frozenset({1, 1 << 31})),
            profile=self._mostly("", "1g.10gb", "2g.20gb"),
            floors=self._mostly((), (("fp16", 6),)),
            weights=(),
            data_region=(region := self._mostly("", "eu-west")),
            max_latency_ms=self._one_of(19, 20) if region else 0,
            deadline=self._mostly(0, NOW + 600, NOW + 599),
            start_at=self._mostly(0, 0, NOW, NOW + 1),
            bid=self._signed_bid(gpu, count),
        )

    def _signed_bid(self, gpu: int, count: int) -> Bid:
        return Bid(
            buyer=self._mostly(an_address("buyer"), *PROVIDERS),
            signer=an_address("buyer"),
            want=Quantities(
                cpu=self._one_of(1, 2, 4),
                memory=self._one_of(0, 1, 4),
                disk=self._mostly(0, 4, 8),
                gpu=gpu,
                gpu_memory=count * self._one_of(0, 8, 16),
                network=self._mostly(0, 1),
                reserved=self._mostly(0, 0, 0, 1),
            ),
            traits=Traits(
                vendors=self._mostly(0b11, 0b01, (1 << 32) - 1),
                regions=self._one_of((1 << 64) - 1, 0b1, 1 << 63, 0b10),
                features=self._mostly(0b1, 0, 0b11, 1 << 63),
                gpu_memory_mib=self._mostly(0, 8, 16),
                capability=self._mostly(0, 71),
                model=self._mostly(0, 1, 2, 3, 1 << 31),
            ),
            limit_rate=self._mostly(20_000, 0, 10, (1 << 96) - 1),
            max_over_ask_bps=0,
            duration=self._mostly(600, 601, HOUR, 0, (1 << 32) - 1),
            start_by=NOW + self._mostly(HOUR, 0),
            valid_until=NOW + self._mostly(HOUR, 0, -1),
            open_after=NOW,
            members=self._mostly(1, 2, 0),
            epoch=0,
            nonce=self._drawn,
            job=a_digest("job"),
            provider=self._mostly(NOBODY, *PROVIDERS, an_address("stranger")),
        )

    def grow(self, offers: int) -> None:
        """So many offers more, and a word about each provider's stake."""
        for _ in range(offers):
            self.apply(OfferListed(order=self.offer()))
        for provider in PROVIDERS:
            self.apply(StakeChanged(provider=provider, free=self._one_of(0, 1, 3, 1 << 70)))

    def churn(self, steps: int) -> None:
        """So many times: a lease takes or gives back, an offer comes, goes or comes again."""
        for _ in range(steps):
            self.apply(self._move())

    def apply(self, event: BookEvent) -> None:
        self.book.apply(event)

    def _move(self) -> BookEvent:
        standing = self.book.offers().orders
        kind = self._random.random()
        if not standing or kind < 0.2:
            return OfferListed(order=self.offer())
        order = self._random.choice(standing)
        if kind < 0.4:
            return OfferDelisted(offer=order.id)
        if kind < 0.45:
            return OfferListed(order=order)
        if kind < 0.6 and self._held:
            taken = self._held.pop(self._random.randrange(len(self._held)))
            return CapacityFreed(offer=taken.offer, want=taken.want, devices=taken.devices, count=taken.count)
        taken = CapacityTaken(offer=order.id, want=self._part_of(order))
        self._held.append(taken)
        return taken

    def _part_of(self, order: OfferOrder) -> Quantities:
        capacity = order.offer.capacity
        gpu = self._one_of(0, 250, 500, 1_000) if capacity.gpu else 0
        return Quantities(cpu=self._one_of(0, 1, capacity.cpu), memory=1, gpu=gpu, gpu_memory=8 if gpu else 0)
