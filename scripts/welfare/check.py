"""An epoch's allocation, judged by the epoch's own rules without any of the matcher's code."""

from collections import Counter, defaultdict
from typing import Any

Row = dict[str, Any]
Place = tuple[str, int, int | None]
"""offer, members, device of a share (none where the members take whole devices)"""


def welfare_of(offers: list[Row], bids: list[Row], allocation: dict[str, list[Place]]) -> int:
    """What the allocation is worth; `AssertionError` names the rule that it breaks."""
    lent = {str(offer["id"]): offer for offer in offers}
    asked = {str(bid["id"]): bid for bid in bids}
    for bid, places in allocation.items():
        _check_bid(asked[bid], lent, places)
    for offer in lent:
        _check_offer(
            lent[offer],
            [(asked[bid], p) for bid, places in allocation.items() for p in places if p[0] == offer],
        )
    return sum(
        asked[bid]["limit"] - sum(count * cost(lent[offer], asked[bid]) for offer, count, _ in places)
        for bid, places in allocation.items()
    )


def cost(offer: Row, bid: Row) -> int:
    """What one member of the bid costs on the offer for all its hours."""
    device = -(-offer["ask_gpu"] * (1000 * bid["gpu"] + bid["milli"]) // 1000)
    return int(
        bid["hours"] * (device + sum(offer[f"ask_{lane}"] * bid[lane] for lane in ("cpu", "ram", "disk")))
    )


def eligible(offer: Row, bid: Row) -> bool:
    """Whether the offer could serve a member, were nobody else there."""
    return (
        offer["model"] in bid["models"]
        and offer["region"] in bid["regions"]
        and min(offer["until"], bid["deadline"]) >= bid["hours"]
        and offer["gpus"] >= max(bid["gpu"], 1 if bid["milli"] else 0)
        and offer["gmem"] >= bid["gmem"]
        and all(offer[lane] >= bid[lane] for lane in ("cpu", "ram", "disk"))
    )


def _check_bid(bid: Row, lent: dict[str, Row], places: list[Place]) -> None:
    assert sum(count for _, count, _ in places) == bid["gang"], f"bid {bid['id']} is not whole"
    assert all(eligible(lent[offer], bid) for offer, _, _ in places), f"bid {bid['id']} is not eligible"
    domains = {lent[offer]["dom"] for offer, _, _ in places}
    assert not bid["same_dom"] or len(domains) == 1, f"bid {bid['id']} is in {len(domains)} domains"


def _check_offer(offer: Row, hosted: list[tuple[Row, Place]]) -> None:
    for lane in ("cpu", "ram", "disk"):
        assert sum(count * bid[lane] for bid, (_, count, _) in hosted) <= offer[lane], (
            f"{lane} of {offer['id']}"
        )
    milli: Counter[int] = Counter()
    memory: dict[int, int] = defaultdict(int)
    for bid, (_, count, device) in hosted:
        assert bid["gpu"] or not bid["milli"] or device is not None, f"bid {bid['id']} has no device"
        if bid["milli"] and device is not None:
            assert 0 <= device < offer["gpus"], f"device {device} of {offer['id']}"
            milli[device] += count * bid["milli"]
            memory[device] += count * bid["gmem"]
    whole = sum(count * bid["gpu"] for bid, (_, count, _) in hosted)
    assert len(milli) + whole <= offer["gpus"], f"devices of {offer['id']}"
    assert all(used <= 1000 for used in milli.values()), f"milli of {offer['id']}"
    assert all(used <= offer["gmem"] for used in memory.values()), f"device memory of {offer['id']}"
