#!/usr/bin/env python3
"""How long it takes to tell a buyer why a bid finds nothing among many offers, beside one plain loop.

Four bids that leave the most to explain: one that no offer is near to, one that all would serve at a higher
price, and gangs of 32 that find too few places. The processor's time is measured, so that neighbours on the
machine do not count.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ledger.market.bid import DISTINCT  # noqa: E402 - after the path
from ledger.market.identity import Digest, OfferId  # noqa: E402
from ledger.market.money import rate_of  # noqa: E402
from ledger.market.offer import Offer  # noqa: E402
from ledger.market.resource import Quantities  # noqa: E402
from ledger.market.traits import ANY_VENDOR, Traits  # noqa: E402
from matcher.book import Book, OfferListed  # noqa: E402
from matcher.explanation import Explanation, explain  # noqa: E402
from matcher.orders import BidOrder, OfferOrder  # noqa: E402
from scripts.figures import Figure, at_most, command_line, percentile, report  # noqa: E402
from tests.factories import HOUR, NOW, an_address, bid_order  # noqa: E402

GOAL_MS = 50.0
_DAY = 24 * HOUR
_DOMAINS = 40
_PROVIDERS = 5_000


def main() -> int:
    """Measure, show, write; 0 where every explanation keeps the goal."""
    arguments = _arguments()
    offers = [machine(number) for number in range(arguments.offers)]
    book = Book(OfferListed(order=order) for order in offers)
    figures = []
    for name, bid in bids().items():
        figures += judge(name, bid, book, offers, arguments.runs)
    return report(figures, arguments.json)


def judge(name: str, bid: BidOrder, book: Book, offers: list[OfferOrder], runs: int) -> list[Figure]:
    """The figures of one bid: the median, the 99th percentile and the slowest of `runs`; the plain loop."""
    told: list[Explanation] = []
    spent = [milliseconds(lambda: told.append(explain(bid, book))) for _ in range(runs)]
    remedy = told[0].remedy
    changes = "nothing" if remedy is None else ", ".join(change.demand for change in remedy.changes)
    print(f"{name}: {told[0].excluded_count:,} offers are out, the cheapest change is in {changes}")
    plain = min(milliseconds(lambda: loop(bid, offers)) for _ in range(3))
    return [
        at_most(f"{name}, p50", statistics.median(spent), "ms", GOAL_MS),
        at_most(f"{name}, p99", percentile(spent, 99), "ms", GOAL_MS),
        at_most(f"{name}, max", max(spent), "ms", GOAL_MS),
        at_most(f"{name}, a loop over the offers", plain, "ms", None),
    ]


def milliseconds(work: Callable[[], object]) -> float:
    """The processor's time that it takes."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1_000


def loop(bid: BidOrder, offers: list[OfferOrder]) -> dict[str, int]:
    """What a plain program does: each offer in turn, and no more than counts and the lowest price."""
    counts: dict[str, int] = {}
    lowest = 0
    for order in offers:
        offer = order.offer
        missed = list(bid.bid.traits.unmet_by(offer.traits))
        missed += bid.bid.want.lacking(offer.capacity)
        rate = rate_of(offer.ask, bid.bid.want)
        if rate > bid.bid.limit_rate:
            missed.append("price")
            lowest = min(lowest or rate, rate)
        for dimension in missed:
            counts[dimension] = counts.get(dimension, 0) + 1
    return counts | {"lowest": lowest}


def bids() -> dict[str, BidOrder]:
    """The bids by what is asked of them."""
    node = Quantities(cpu=8_000, memory=65_536, disk=10_240, gpu=4_000, gpu_memory=160_000)
    gang: dict[str, Any] = {
        "want": node,
        "traits": traits(3, 1),
        "members": 32,
        "limit_rate": 4_000_000_000,
    }
    return {
        "fits nothing": lasting(
            "nothing", want=node.with_lanes(cpu=900_000), traits=traits(99, 1 << 50), limit_rate=1
        ),
        "fits all but the price": lasting("cheap", want=Quantities(cpu=1_000, memory=1_024), limit_rate=1),
        "a gang of 32": lasting("gang", **gang),
        "a gang of 32 apart": lasting("apart", flags=DISTINCT, **gang),
    }


def traits(model: int, regions: int) -> Traits:
    return Traits(vendors=ANY_VENDOR, regions=regions, features=0b1, model=model)


def lasting(name: str, **changes: Any) -> BidOrder:  # noqa: ANN401 - as the factory takes them
    """A bid of an hour, valid for a day."""
    terms = {"duration": HOUR} | dict.fromkeys(("start_by", "valid_until", "open_after"), NOW + _DAY)
    return bid_order(name, **(terms | changes))


def machine(number: int) -> OfferOrder:
    """One of many machines with 0 to 8 devices of ten models in twenty regions."""
    draw = sha256(number.to_bytes(8)).digest()
    gpu = (0, 1, 2, 4, 8, 8)[draw[0] % 6]
    capacity = Quantities(
        cpu=(8_000 + 1_000 * (draw[1] % 120)),
        memory=(16 + draw[2]) * 1_024,
        disk=(100 + draw[3]) * 1_024,
        gpu=gpu * 1_000,
        gpu_memory=gpu * (24_576, 40_960, 81_920)[draw[4] % 3],
    )
    device = capacity.gpu_memory // gpu if gpu else 0
    offer = Offer(
        provider=an_address(f"provider {number % _PROVIDERS}"),
        capacity=capacity,
        ask=Quantities(cpu=5_000 + draw[5] * 10, memory=500 + draw[6], gpu=900_000 + draw[7] * 2_000),
        traits=Traits(
            vendors=0b10 if gpu else 0b1,
            regions=1 << (draw[8] % 20),
            features=0b1 | 0b11111 << 32,
            gpu_memory_mib=device,
            model=1 + draw[9] % 10 if gpu else 0,
        ),
        min_seconds=1,
        max_seconds=_DAY,
        valid_until=NOW + 2 * _DAY,
        epoch=0,
        salt=number,
        document=Digest(draw),
    )
    return OfferOrder(id=OfferId(draw), offer=offer, domain=f"lab-{draw[10] % _DOMAINS}/berlin")


def _arguments() -> argparse.Namespace:
    parser = command_line(__doc__)
    parser.add_argument("--offers", type=int, default=100_000, help="how many offers are live")
    parser.add_argument("--runs", type=int, default=40, help="explanations of each bid")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
