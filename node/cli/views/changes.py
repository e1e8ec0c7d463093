"""The changes of a remedy in the words and units of a job file: tokens an hour, cores, GiB, hours."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ledger.market.moments import moment
from node.cli.reading.amounts import format_rate
from node.cli.reading.quantities import format_mib, format_milli, format_seconds

_FIGURES: Final[Mapping[str, tuple[str, Callable[[int], str]]]] = {
    "cpu": ("resources.cpus", format_milli),
    "memory": ("resources.memory", format_mib),
    "disk": ("resources.disk", format_mib),
    "share": ("accelerators.share", format_milli),
    "gpu_memory": ("accelerators.memory", format_mib),
    "duration": ("max_duration", format_seconds),
    "deadline": ("deadline", moment),
    "reputation": ("min_reputation", format_milli),
}


def changes_words(changes: Sequence[Mapping[str, Any]], decimals: int) -> str:
    """The changes of one remedy, as the API tells them, on one line."""
    return ", and ".join(_words(change, decimals) for change in changes)


def figure_words(demand: str, before: int, after: int, decimals: int) -> str | None:
    """A demand whose figure changes, None where its figures have no unit of a job file."""
    verb = "raise" if after > before else "lower"
    if demand == "price":
        return f"{verb} max_price from {format_rate(before, decimals)} to {format_rate(after, decimals)}"
    if demand not in _FIGURES:
        return None
    name, shown = _FIGURES[demand]
    return f"{verb} {name} from {shown(before)} to {shown(after)}"


def _words(change: Mapping[str, Any], decimals: int) -> str:
    before, after = change["before"], change["after"]
    if before is None or after is None:
        return str(change["says"])
    if change["demand"] == "wait":
        return f"wait until {moment(int(after))}, when a lease ends"
    told = figure_words(str(change["demand"]), int(before), int(after), decimals)
    return str(change["says"]) if told is None else told
