"""Whether an epoch's result is what the rules make of its book, and where it first is not."""

from collections.abc import Iterator
from dataclasses import fields

from ledger.market.errors import Rejected
from ledger.market.identity import text
from matcher.bundle.epoch import Bundle, recompute, result_of
from matcher.clearing import Clearing, Match


def check(bundle: Bundle) -> Clearing:
    """Clear again; the whole clearing. `Rejected` "replay-differs", with the first difference named."""
    again = recompute(bundle)
    found = next(differences(bundle.clearing, again), None)
    if found is None and result_of(again) != bundle.header.result:
        found = "the bids that stay unmatched, or their order"
    if found is not None:
        raise Rejected(
            "replay-differs",
            f"The rules make something else of this book: {found}.",
            "The node did not clear by its rules, or runs another release: compare its sources' hash.",
            difference=found,
        )
    return again


def differences(published: Clearing, again: Clearing) -> Iterator[str]:
    """What is not the same, apart from the unmatched, in words."""
    for place in range(max(len(published.matches), len(again.matches))):
        ours, theirs = (one.matches[place : place + 1] for one in (again, published))
        if ours != theirs:
            yield f"match {place} is {_shown(*theirs)}, and should be {_shown(*ours)}"
    for name in (one.name for one in fields(Clearing) if one.name not in ("matches", "unmatched")):
        theirs, ours = getattr(published, name), getattr(again, name)
        if theirs != ours:
            yield f"{name} is {theirs}, and should be {ours}"


def _shown(match: Match | None = None) -> str:
    if match is None:
        return "none"
    members = (f"{text(one.offer)} at {one.rate}{_devices(one.devices)}" for one in match.members)
    return f"bid {text(match.bid)} with {', '.join(members)}"


def _devices(numbers: tuple[int, ...]) -> str:
    return f" on devices {' '.join(map(str, numbers))}" if numbers else ""
