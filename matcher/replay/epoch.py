"""One epoch from a file, cleared: so that anybody can compare the welfare reached with the proven optimum.

The file lists offers and bids in the plain fields of `Offer` and `Bid` below; money is whole micro-credits,
asks are per hour, a limit is for the whole job.
"""

import json
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ledger.market.errors import MarketError, Rejected
from matcher.compiled import Numbers
from matcher.devices import WHOLE
from matcher.welfare.problem import (
    NO_GROUP,
    SAME_DOMAIN,
    Bids,
    Candidates,
    Offers,
    Problem,
    Solution,
    numbers,
)
from matcher.welfare.solve import solve

MASK = (1 << 64) - 1
MOST = 1_000_000
"""of anything but money: cores, GiB, hours, ids"""
MOST_COUNTED = 4_096
"""devices of an offer, members of a gang and devices of each"""
MOST_MONEY = 1 << 52


Row = TypeVar("Row", "Offer", "Bid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """`gpus` devices of `gmem` GiB and what else the host has; asks per device, core and GiB, per hour."""

    id: int
    prov: int
    model: str
    region: str
    dom: int
    gpus: int
    gmem: int
    cpu: int
    ram: int
    disk: int
    until: int
    ask_gpu: int
    ask_cpu: int
    ask_ram: int
    ask_disk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """`gang` members with `gpu` whole devices or `milli` of one, for `hours`, worth `limit` together."""

    id: int
    models: list[str]
    regions: list[str]
    gpu: int
    milli: int
    gmem: int
    cpu: int
    ram: int
    disk: int
    hours: int
    deadline: int
    gang: int
    same_dom: bool
    limit: int
    seq: int

    @property
    def devices(self) -> int:
        """How many devices one member uses."""
        return self.gpu or min(self.milli, 1)

    @property
    def share(self) -> int:
        """Milli of each device used."""
        return WHOLE if self.gpu else self.milli


def main(path: Path, as_json: bool) -> int:
    """Clear the epoch of a file and print the result; 0, or the exit code of what is wrong with the file."""
    try:
        offers, bids = read(path)
        started = time.process_time()
        problem = problem_of(offers, bids)
        solution = solve(problem)
        milliseconds = (time.process_time() - started) * 1_000
    except MarketError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return error.exit_code
    allocation = {
        str(bid.id): places
        for bid, places in zip(bids, allocated(offers, bids, solution), strict=True)
        if places
    }
    figures = {"welfare": solution.welfare, "bound": solution.bound, "milliseconds": round(milliseconds, 3)}
    if as_json:
        print(json.dumps(figures | {"allocation": allocation}, separators=(", ", ": ")))
    else:
        print(f"{len(allocation)} of {len(bids)} bids served in {milliseconds:.1f} ms")
        print(
            f"welfare {solution.welfare}, at most {solution.bound}{' (optimal)' if solution.proven else ''}"
        )
    return 0


def allocated(offers: list[Offer], bids: list[Bid], solution: Solution) -> list[list[list[str | int | None]]]:
    """For each bid `[offer, members, device]` entries: whole devices may be any that no share is on."""
    found: list[list[list[str | int | None]]] = []
    for bid, members in zip(bids, solution.chosen, strict=True):
        places: dict[tuple[int, int | None], int] = {}
        for member in members:
            place = (member.offer, member.devices[0] if bid.milli and not bid.gpu else None)
            places[place] = places.get(place, 0) + 1
        found.append([[str(offers[offer].id), count, device] for (offer, device), count in places.items()])
    return found


def read(path: Path) -> tuple[list[Offer], list[Bid]]:
    """The offers and bids of a file; `Rejected` names what is not as described."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(str(path), f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _refused(str(path), "it is not JSON") from error
    return parsed(document, str(path))


def parsed(document: object, name: str) -> tuple[list[Offer], list[Bid]]:
    """The offers and bids of a document, called `name` where it is refused."""
    if not isinstance(document, dict):
        raise _refused(name, "it is not an object")
    offers = [_row(name, Offer, row) for row in _list(name, document, "offers")]
    bids = [_row(name, Bid, row) for row in _list(name, document, "bids")]
    for kind, ids in (("offers", [offer.id for offer in offers]), ("bids", [bid.id for bid in bids])):
        if len(set(ids)) != len(ids):
            raise _refused(name, f"two {kind} have one id")
    for bid in bids:
        if bid.gang < 1 or bid.milli > WHOLE or (bid.gpu and bid.milli):
            raise _refused(name, f"bid {bid.id} has no member, or both whole devices and a share")
    return offers, bids


def problem_of(offers: list[Offer], bids: list[Bid]) -> Problem:
    """The epoch as a clearing problem with lanes for cores, memory and disk."""
    pools = {prov: number for number, prov in enumerate(sorted({offer.prov for offer in offers}))}
    listed = [_candidates(offers, bid) for bid in bids]
    flat = numbers((number for pairs in listed for pair in pairs for number in pair), 2)
    candidates = Candidates(
        first=np.cumsum([0, *map(len, listed)], dtype=np.int64),
        offer=flat[:, 1].copy(),
        cost=flat[:, 0].copy(),
        lock=np.zeros(len(flat), np.int64),
        fragment=np.zeros(len(flat), np.int64),
    )
    return Problem(
        offers=_offers(offers, pools),
        bids=_bids(bids),
        candidates=candidates,
        purse=np.zeros(len(pools), np.int64),
    )


def _offers(offers: list[Offer], pools: dict[int, int]) -> Offers:
    gpus = numbers(offer.gpus for offer in offers)
    return Offers(
        keys=tuple(_lot(offer.id).to_bytes(8, "big") for offer in offers),
        capacity=_lanes(offers),
        device_from=np.concatenate((np.zeros(1, np.int64), np.cumsum(gpus))),
        device_milli=np.full(int(gpus.sum()), WHOLE, np.int64),
        device_memory=np.repeat(numbers(offer.gmem for offer in offers), gpus),
        pool=numbers(pools[offer.prov] for offer in offers),
        domain=numbers(offer.dom for offer in offers),
    )


def _bids(bids: list[Bid]) -> Bids:
    none = np.zeros(len(bids), np.int64)
    return Bids(
        keys=tuple(_lot(bid.id).to_bytes(8, "big") for bid in bids),
        value=numbers(bid.limit for bid in bids),
        members=numbers(bid.gang for bid in bids),
        want=_lanes(bids),
        devices=numbers(bid.devices for bid in bids),
        share=numbers(bid.share for bid in bids),
        memory=numbers(bid.gmem if bid.devices else 0 for bid in bids),
        work=numbers(bid.devices * bid.share * bid.gang * bid.hours for bid in bids),
        distinct=none,
        together=numbers(SAME_DOMAIN if bid.same_dom else 0 for bid in bids),
        group=none + NO_GROUP,
        seq=numbers(bid.seq for bid in bids),
    )


def _candidates(offers: list[Offer], bid: Bid) -> list[tuple[int, int]]:
    """Cost and row of each offer that may serve a member, the cheapest first, ties by lot."""
    if bid.deadline < bid.hours:
        return []
    rows = [row for row, offer in enumerate(offers) if _eligible(offer, bid)]
    keyed = sorted((_cost(offers[row], bid), _lot(bid.id) ^ _lot(offers[row].id), row) for row in rows)
    others = keyed[0][0] * (bid.gang - 1) if keyed else 0
    return [(cost, row) for cost, _, row in keyed if cost + others <= bid.limit]


def _eligible(offer: Offer, bid: Bid) -> bool:
    return (
        offer.model in bid.models
        and offer.region in bid.regions
        and offer.until >= bid.hours
        and offer.gpus >= bid.devices
        and offer.gmem >= bid.gmem
        and offer.cpu >= bid.cpu
        and offer.ram >= bid.ram
        and offer.disk >= bid.disk
    )


def _cost(offer: Offer, bid: Bid) -> int:
    device = -(-offer.ask_gpu * bid.devices * bid.share // WHOLE)
    rest = offer.ask_cpu * bid.cpu + offer.ask_ram * bid.ram + offer.ask_disk * bid.disk
    return bid.hours * (device + rest)


def _lot(number: int) -> int:
    """A place in a fixed draw, so that nobody wins by his number (splitmix64)."""
    mixed = (number + 0x9E3779B97F4A7C15) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return mixed ^ (mixed >> 31)


def _lanes(rows: list[Offer] | list[Bid]) -> Numbers:
    return numbers((number for row in rows for number in (row.cpu, row.ram, row.disk)), 3)


def _list(name: str, document: dict[str, Any], kind: str) -> list[object]:
    rows = document.get(kind)
    if not isinstance(rows, list):
        raise _refused(name, f"it has no list of {kind}")
    return rows


def _row(name: str, kind: type[Row], row: object) -> Row:
    """One offer or bid; a field of another type, or out of its range, is named."""
    called = kind.__name__.lower()
    if not isinstance(row, dict):
        raise _refused(name, f"one {called} is not an object")
    values: dict[str, Any] = {field.name: row.get(field.name) for field in fields(kind)}
    for field in fields(kind):
        if not _typed(values[field.name], field.name, field.type):
            raise _refused(name, f"{field.name} of {called} {row.get('id')} is missing or out of its range")
    return kind(**values)


def _typed(value: object, name: str, kind: object) -> bool:
    if kind is int:
        most = MOST_MONEY if name.startswith(("ask", "limit")) else MOST
        most = MOST_COUNTED if name in ("gpus", "gpu", "gang") else most
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
    if kind in (str, bool):
        return type(value) is kind
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _refused(name: str, why: str) -> Rejected:
    return Rejected("bad-epoch", f"{name} is not an epoch: {why}.", "Correct the file.", name=name, why=why)
