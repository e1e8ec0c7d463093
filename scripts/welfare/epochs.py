"""Epochs made up from a seed, in the shape of a real market's: several models and regions, shares, gangs."""

from random import Random
from typing import Any

Epoch = dict[str, list[dict[str, Any]]]

MODELS = {
    "4090": (406_000, 24),
    "H100": (2_650_000, 80),
    "A100": (1_210_000, 80),
    "590": (514_000, 48),
    "910B": (921_000, 64),
    "MI300": (2_220_000, 192),
}
"""middle ask per device and hour, GiB of a device"""
REGIONS = ("cn-e", "cn-n", "cn-w", "sg", "eu")
SHARES = (100, 230, 320, 470, 500, 650, 810)


def epoch(seed: int, offers: int, bids: int) -> Epoch:
    """So many offers and bids; about two thirds of the bids have a limit above what they would cost."""
    chance = Random(seed)  # noqa: S311 - made-up markets, no secrets
    return {
        "offers": [_offer(chance, number, offers) for number in range(offers)],
        "bids": [_bid(chance, number) for number in range(bids)],
    }


def _near(chance: Random, middle: float) -> int:
    return max(int(middle * chance.lognormvariate(0, 0.25)), 1)


def _offer(chance: Random, number: int, offers: int) -> dict[str, Any]:
    model = chance.choice(list(MODELS))
    ask, memory = MODELS[model]
    devices = chance.choices((1, 2, 4, 8), (1, 2, 3, 4))[0]
    return {
        "id": number,
        "prov": chance.randrange(max(offers // 3, 1)),
        "model": model,
        "gmem": memory,
        "region": chance.choice(REGIONS),
        "dom": chance.randrange(max(offers // 5, 3)),
        "gpus": devices,
        "cpu": devices * chance.choice((8, 12, 16, 24)),
        "ram": devices * chance.choice((32, 64, 128)),
        "disk": devices * chance.choice((200, 500, 1000)),
        "ask_gpu": _near(chance, ask),
        "ask_cpu": _near(chance, 2_000),
        "ask_ram": _near(chance, 300),
        "ask_disk": _near(chance, 5),
        "until": chance.choice((6, 24, 72, 240)),
    }


def _bid(chance: Random, number: int) -> dict[str, Any]:
    shared = chance.random() < 0.45
    gpu = 0 if shared else chance.choices((1, 2, 4, 8), (5, 2, 2, 1))[0]
    milli = chance.choice(SHARES) if shared else 0
    gang = 1 if shared else chance.choices((1, 2, 4), (3, 1, 1))[0]
    models = chance.sample(list(MODELS), chance.choice((1, 1, 2, 2, 3, 6)))
    regions = chance.sample(REGIONS, chance.choice((1, 2, 2, 5, 5)))
    cpu = max(int((gpu or 1) * chance.choice((4, 8, 12)) * (milli / 1000 if shared else 1)), 1)
    ram, disk, hours = cpu * chance.choice((1, 2, 3, 4, 8)), chance.choice((10, 50, 200)), _hours(chance)
    device = min(MODELS[model][0] for model in models) * (gpu + milli / 1000)
    fair = gang * hours * (device + 2_000 * cpu + 300 * ram + 5 * disk)
    return {
        "id": number,
        "models": models,
        "regions": regions,
        "gpu": gpu,
        "milli": milli,
        "gmem": chance.choice((4, 8, 16, 24) if shared else (16, 24, 40, 80)),
        "cpu": cpu,
        "ram": ram,
        "disk": disk,
        "hours": hours,
        "deadline": chance.choice((24, 96, 400)),
        "gang": gang,
        "same_dom": gang > 1 and chance.random() < 0.4,
        "limit": int(fair * chance.lognormvariate(0.5, 0.55)),
        "seq": number,
    }


def _hours(chance: Random) -> int:
    return chance.choice((1, 2, 4, 12, 24, 72))
