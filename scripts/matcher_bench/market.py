"""A market of a given size: GPU offers of sixteen models in sixteen regions, and bids for some of them."""

import random
from dataclasses import replace

from ledger.market.bid import Bid
from ledger.market.identity import Address, BidId, OfferId
from ledger.market.offer import Offer
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, Traits
from matcher.book import Book, OfferListed, StakeChanged
from matcher.orders import BidOrder, OfferOrder
from tests.factories import NOW, a_digest, an_address

PROVIDERS = 1_000
MODELS = 16
REGIONS = 16
STAKE_BPS = 1_000
RARE = 1 << 40
"""a feature that no offer has"""


def _provider(number: int) -> Address:
    return an_address(f"provider {number}")


class Market:
    """Draws orders; the same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a benchmark draws its market
        self._drawn = 0

    def offers(self, count: int) -> list[OfferOrder]:
        """Offers of one to eight devices at prices that differ fourfold."""
        return [self._offer(number) for number in range(count)]

    def _offer(self, number: int) -> OfferOrder:
        draw = self._random
        devices, memory = draw.choice((1, 2, 4, 8)), draw.choice((24_000, 40_000, 80_000))
        price = draw.randint(500, 2_000)
        offer = Offer(
            provider=_provider(draw.randrange(PROVIDERS)),
            capacity=Quantities(
                cpu=devices * 16_000,
                memory=devices * 64_000,
                disk=1_000_000,
                gpu=devices * 1_000,
                gpu_memory=devices * memory,
                network=draw.choice((100, 1_000, 10_000)),
            ),
            ask=Quantities(cpu=price // 10, memory=draw.randint(1, 9), disk=1, gpu=price * 10),
            traits=Traits(
                vendors=2,
                regions=1 << draw.randrange(REGIONS),
                features=draw.choice((0b1, 0b11, 0b111)),
                gpu_memory_mib=memory,
                capability=draw.choice((70, 80, 90)),
                model=draw.randint(1, MODELS),
            ),
            min_seconds=60,
            max_seconds=draw.choice((3_600, 86_400, 864_000)),
            valid_until=NOW + draw.choice((7_200, 86_400, 864_000)),
            epoch=0,
            salt=number,
            document=a_digest("document"),
        )
        domain = f"group{draw.randrange(30)}/site{draw.randrange(10)}"
        return OfferOrder(
            id=OfferId(a_digest(f"offer {number}")),
            offer=offer,
            domain=domain,
            reputation=draw.randrange(1_001),
        )

    def bids(self, count: int) -> list[BidOrder]:
        """Bids for one model in one region; one in three lists domains, some share one device."""
        return [self._bid() for _ in range(count)]

    def _bid(self) -> BidOrder:
        draw = self._random
        self._drawn += 1
        devices = draw.choice((1, 1, 1, 2, 4))
        gpu = draw.choice((250, 500)) if draw.random() < 0.2 else devices * 1_000
        memory = draw.choice((0, 24_000, 40_000))
        bid = Bid(
            buyer=an_address(f"buyer {self._drawn % 999}"),
            signer=an_address("signer"),
            want=Quantities(
                cpu=gpu * 8,
                memory=gpu * 16,
                disk=1_000,
                gpu=gpu,
                gpu_memory=-(-gpu // 1_000) * memory,
                network=10,
            ),
            traits=Traits(
                vendors=2,
                regions=1 << draw.randrange(REGIONS),
                features=1,
                gpu_memory_mib=memory,
                capability=70,
                model=draw.randint(1, MODELS),
            ),
            limit_rate=gpu * 30_000,
            max_over_ask_bps=0,
            duration=draw.choice((600, 3_600, 7_200)),
            start_by=NOW + 600,
            valid_until=NOW + 600,
            open_after=NOW + 600,
            epoch=0,
            nonce=self._drawn,
            job=a_digest("job"),
        )
        identity = BidId(a_digest(f"bid {self._drawn}"))
        return BidOrder(
            id=identity,
            job=identity,
            bid=bid,
            sequence=self._drawn,
            arrived_at=NOW,
            allow=draw.choice(((), (), ("group1*", "group2*"))),
            exclude=frozenset({_provider(draw.randrange(PROVIDERS))}),
            min_reputation=draw.choice((0, 100)),
        )


def any_model(order: BidOrder) -> BidOrder:
    """The same for any model in any region."""
    return _with_traits(order, model=0, regions=ANY_REGION)


def impossible(order: BidOrder) -> BidOrder:
    """The same with a feature that no offer has."""
    return _with_traits(order, features=RARE)


def too_cheap(order: BidOrder) -> BidOrder:
    """For any model in any region, at a limit just below what is asked anywhere."""
    wide = any_model(order)
    return replace(wide, bid=replace(wide.bid, limit_rate=order.bid.want.gpu * 4_000))


def never_together(order: BidOrder) -> BidOrder:
    """For any model in any region: each part of it is had somewhere, all of it nowhere."""
    wide = _with_traits(any_model(order), features=0b111, capability=90, gpu_memory_mib=80_000)
    return replace(wide, bid=replace(wide.bid, duration=864_000), min_reputation=1_000)


def _with_traits(order: BidOrder, **changes: int) -> BidOrder:
    return replace(order, bid=replace(order.bid, traits=replace(order.bid.traits, **changes)))


def listed(offers: list[OfferOrder]) -> Book:
    """A book of these offers, their providers well staked."""
    book = Book(stake_bps=STAKE_BPS)
    for number in range(PROVIDERS):
        book.apply(StakeChanged(provider=_provider(number), free=10**12))
    for order in offers:
        book.apply(OfferListed(order=order))
    return book
