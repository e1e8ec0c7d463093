"""A provider's record as a person weighs it; every figure comes from the market's events."""

from typing import Any

from node.cli.reading.amounts import format_amount

COLUMNS = (
    "provider",
    "reputation",
    "done",
    "no-shows",
    "lost",
    "uptime",
    "fees",
    "parties",
    "free stake",
    "offers",
)


def cells(shown: dict[str, Any], decimals: int) -> tuple[str, ...]:
    """One row of the list, from the node's view."""
    record = shown["reputation"]
    return (
        str(shown["provider"]),
        f"{int(record['per_mille']) / 1000:.3f}",
        str(record["completed"]),
        str(record["no_shows"]),
        str(record["disputes_lost"]),
        f"{int(record['uptime_per_mille']) / 10:.1f} %",
        format_amount(int(record["volume"]), decimals),
        str(record["counterparties"]),
        format_amount(int(shown["stake"]), decimals),
        str(len(shown["offers"])),
    )
