"""One offer as a person compares it: prices per core, GiB and GPU, place, and what is free."""

from dataclasses import dataclass
from typing import Any

from ledger.market.capability import Vector, below_floors
from ledger.market.resource import Quantities
from ledger.market.traits import FEATURES, REGIONS, VENDORS, canonical_model, names_of
from ledger.market.wire import offer_from_plain
from node.cli.reading.amounts import ask_prices
from node.cli.reading.job_goods import format_figure
from node.cli.reading.quantities import format_mib, format_milli, format_seconds

COLUMNS = ("offer", "domain", "region", "free", "tokens an hour", "longest", "reputation", "live")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which offers somebody wants to see; empty for any, `min_reputation` per mille."""

    live: bool = False
    vendor: str = ""
    models: tuple[str, ...] = ()
    profile: str = ""
    floors: Vector = ()
    min_reputation: int = 0

    def meets(self, row: dict[str, Any]) -> bool:
        """Whether an `offer_row` is one of them."""
        return (
            (bool(row["live"]) or not self.live)
            and self.vendor in ("", row["vendor"])
            and (not self.models or canonical_model(row["model"]) in map(canonical_model, self.models))
            and self.profile.lower() in ("", row["profile"])
            and not below_floors(tuple(row["capability"].items()), self.floors)
            and bool(row["reputation"] >= self.min_reputation)
        )


def offer_row(shown: dict[str, Any], decimals: int) -> dict[str, Any]:
    """The offer in plain values; quantities in lane units, prices exact decimal texts."""
    offer = offer_from_plain(shown["offer"])
    free = offer.capacity.less(Quantities.unpack(int(shown["used"])))
    document = shown.get("document") or {}
    lent = document.get("accelerators") or {}
    return {
        "id": shown["id"],
        "provider": shown["offer"]["provider"],
        "name": document.get("name", ""),
        "domain": document.get("domain", ""),
        "region": document.get("region") or ", ".join(names_of(REGIONS, offer.traits.regions)),
        "vendor": ", ".join(names_of(VENDORS, offer.traits.vendors)),
        "features": list(names_of(FEATURES, offer.traits.features)),
        "devices": document.get("devices", []),
        "model": lent.get("model", ""),
        "profile": lent.get("profile", ""),
        "capability": lent.get("capability", {}),
        "source": lent.get("source", ""),
        "latency": document.get("latency", {}),
        "disk_limit": document.get("disk_limit", ""),
        "free": _lanes(free),
        "capacity": _lanes(offer.capacity),
        "prices": ask_prices(offer.ask, decimals),
        "min_seconds": offer.min_seconds,
        "max_seconds": offer.max_seconds,
        "valid_until": offer.valid_until,
        "reputation": int(shown["reputation"]),
        "live": bool(shown["live"]),
    }


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """The table's row in the order of `COLUMNS`."""
    return (
        row["id"][:12],
        row["domain"],
        row["region"],
        "\n".join((_capacity(row["free"], row["disk_limit"]), *_figures(row))),
        _prices(row["prices"]),
        format_seconds(row["max_seconds"]),
        f"{row['reputation'] / 1000:.3f}",
        "yes" if row["live"] else "no",
    )


def _capacity(free: dict[str, int], disk_limit: str) -> str:
    lines = [
        f"{format_milli(free['cpu'])} cores",
        f"{format_mib(free['memory'])} memory",
        f"{format_mib(free['disk'])} disk" + (f" ({disk_limit} limit)" if disk_limit == "soft" else ""),
    ]
    if free["gpu"]:
        lines.append(f"{format_milli(free['gpu'])} GPUs with {format_mib(free['gpu_memory'])}")
    return "\n".join(lines)


def _figures(row: dict[str, Any]) -> tuple[str, ...]:
    """What its devices are and do, where its document says so, and who says it."""
    kind = f"{row['model']} MIG {row['profile']}" if row["profile"] else row["model"]
    done = ", ".join(format_figure(name, figure) for name, figure in row["capability"].items())
    return tuple(line for line in (kind, f"{done} ({row['source']})" if done else "") if line)


def _prices(prices: dict[str, str]) -> str:
    """One line for each thing that costs something."""
    named = {
        "core": "core",
        "memory_gib": "GiB memory",
        "disk_gib": "GiB disk",
        "gpu": "GPU",
        "gpu_memory_gib": "GiB GPU memory",
    }
    return "\n".join(f"{prices[key]} {name}" for key, name in named.items() if prices[key] != "0")


def _lanes(amount: Quantities) -> dict[str, int]:
    return {
        "cpu": amount.cpu,
        "memory": amount.memory,
        "disk": amount.disk,
        "gpu": amount.gpu,
        "gpu_memory": amount.gpu_memory,
        "network": amount.network,
    }
