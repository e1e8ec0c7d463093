"""Sentences: what each change means to its buyer, in figures with units and in the words of the job file."""

from collections.abc import Callable
from typing import Any, Final

from ledger.market.identity import text
from ledger.market.resource import LANE_NAMES
from ledger.market.traits import FEATURES, REGIONS, VENDORS
from matcher.remedy.change import Change
from matcher.wording import LANE_UNITS, model_tag, named

Says = Callable[[Any, Any], str]


def sentence(change: Change) -> str:
    """One imperative sentence, without its full stop."""
    return SAYS[change.demand](change.before, change.after)


def _figure(name: str, unit: str = "") -> Says:
    def says(before: int, after: int) -> str:
        verb = "raise" if after > before else "lower"
        return f"{verb} {name} from {before}{unit} to {after}{unit}"

    return says


def _count(name: str) -> Says:
    return lambda before, after: f"start with {after} {name}{'' if after == 1 else 's'} instead of {before}"


def _words(name: str, table: dict[str, int]) -> Says:
    def says(before: int, after: int) -> str:
        more, less = named(table, after & ~before), named(table, before & ~after)
        return f"admit {name} {more} too" if after & ~before else f"do without {name} {less}"

    return says


def _entries(name: str, shown: Callable[[Any], str] = str) -> Says:
    def says(before: Any, after: Any) -> str:  # noqa: ANN401 - lists of any kind
        more = ", ".join(sorted(map(shown, set(after) - set(before))))
        less = ", ".join(sorted(map(shown, set(before) - set(after))))
        parts = [f"add {more} to {name}"] if more else []
        return " and ".join([*parts, *([f"take {less} out of {name}"] if less else [])])

    return says


def _account(address: bytes) -> str:
    return text(address)[:12]


def _dates(_before: object, after: tuple[int, int]) -> str:
    return f"sign it again, so that it may start at {after[1]} or later"


def _profile(before: str, after: str) -> str:
    return f"ask for {after or 'whole devices'} instead of {before or 'whole devices'}"


def _floors(before: Any, after: Any) -> str:  # noqa: ANN401 - vectors by name
    later = dict(after)
    moved = ((name, least, later.get(name, 0)) for name, least in before)
    return ", ".join(
        f"lower the floor of {name} from {was} to {now}" for name, was, now in moved if was != now
    )


def _latency(before: tuple[str, int], after: tuple[str, int]) -> str:
    if not after[0]:
        return f"drop the latency to {before[0]}"
    return f"allow {after[1]} ms to {after[0]} instead of {before[1]} ms"


def _model(before: int, _after: int) -> str:
    return f"take any model instead of {model_tag(before)}"


SAYS: Final[dict[str, Says]] = {
    "price": _figure("the limit (max_price)", " milli-base-units per hour"),
    "members": _count("member"),
    "distinct": lambda _before, _after: "let members share a provider",
    **{lane: _figure(lane, f" {LANE_UNITS.get(lane, 'MiB')}") for lane in LANE_NAMES[:3]},
    "network": _figure("network", " Mbit/s"),
    "devices": _count("device"),
    "share": _figure("accelerators.share", " milli-devices"),
    "device_memory": _figure("the memory reserved of each device", " MiB"),
    "duration": _figure("max_duration", " s"),
    "dates": _dates,
    "deadline": _figure("deadline", " (seconds since 1970)"),
    "start_at": lambda _before, _after: "let it start now",
    "vendor": _words("vendor", VENDORS),
    "region": _words("region", REGIONS),
    "features": _words("the feature", FEATURES),
    "gpu_memory": _figure("accelerators.memory", " MiB"),
    "capability": _figure("capability"),
    "model": _model,
    "models": _entries("accelerators.models", model_tag),
    "profile": _profile,
    "floors": _floors,
    "score": _figure("accelerators.min_score", " per mille"),
    "latency": _latency,
    "allow": _entries("domains.allow"),
    "deny": _entries("domains.deny"),
    "provider": lambda before, _after: f"take any provider instead of {_account(before)}",
    "providers": _entries("providers.allow", _account),
    "excluded": _entries("the excluded providers", _account),
    "reputation": _figure("min_reputation", " per mille"),
    "same_domain": lambda _before, _after: "let members be in several domains",
    "same_provider": lambda _before, _after: "let members be at several providers",
    "wait": lambda _before, after: f"wait until {after} (seconds since 1970), when a lease ends",
}
"""a sentence for each of `DEMANDS`, and for waiting"""
