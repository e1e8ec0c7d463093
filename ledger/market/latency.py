"""Latency: how far an offer is from where a job's data lies, in milliseconds of round trip to a region.

An offer's document tells what its agent measured; a region that it does not name is out of reach for a
bid that states a maximum, since an unknown distance keeps no promise.
"""

from collections.abc import Mapping
from typing import TypeAlias

from ledger.market.errors import Rejected
from ledger.market.ranges import unsigned
from ledger.market.traits import REGIONS, bit

Distances: TypeAlias = tuple[tuple[str, int], ...]
"""milliseconds by region, sorted by region, each once"""
MOST_MILLISECONDS = 60_000


def distances(figures: Mapping[str, int]) -> Distances:
    """Milliseconds by region as a table; `Rejected` for an unknown region or an absurd time."""
    return check_distances(tuple(sorted(figures.items(), key=lambda one: str(one[0]))))


def check_distances(distances: Distances) -> Distances:
    """The table itself; `Rejected` for an unknown region, an absurd time, or a region out of order."""
    regions = [region for region, _ in distances]
    for region, milliseconds in distances:
        bit(REGIONS, "region", region)
        unsigned(f"latency.{region}", milliseconds, 16)
    if regions != sorted(set(regions)):
        raise Rejected("latency-order", "The latency table is not sorted.", "Name each region once, sorted.")
    return distances


def check_reach(region: str, most: int) -> None:
    """`Rejected` where a maximum and the region that it is to are not stated together."""
    unsigned("max_latency_ms", most, 16)
    if bool(region) != bool(most) or most > MOST_MILLISECONDS:
        raise Rejected(
            "latency-incomplete",
            f"The data's region is {region!r} and the most latency {most} ms.",
            f"Give the region and 1 to {MOST_MILLISECONDS} ms, or neither.",
        )
    if region:
        bit(REGIONS, "region", region)


def within(distances: Distances, region: str, most: int) -> bool:
    """Whether the region's data is known to be at most `most` milliseconds away."""
    milliseconds = dict(distances).get(region)
    return milliseconds is not None and milliseconds <= most
