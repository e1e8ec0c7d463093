"""Accelerators: what a job asks of the devices it runs on, beyond how many: kinds, sizes, and what they do.

One vendor or model fits the bid's words and is checked by the contract; several of them, a MIG profile,
floors by precision and a score stand in the document alone: matcher, agent and buyer hold them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.market.capability import Vector, check_vector, check_weights, vector
from ledger.market.errors import Rejected
from ledger.market.plain import Reader
from ledger.market.profiles import check_profile
from ledger.market.ranges import unsigned

WHOLE_SHARE: Final = 1_000
MOST_KINDS: Final = 32
_BOUNDS: Final = (("count", 1, 255), ("share", 1, WHOLE_SHARE), ("memory", 0, (1 << 31) - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerators:
    """`share` is milli-devices of one device (1000: whole); `memory` MiB of one device, 0 for any.

    `vendor` and `model` name one kind; `vendors` and `models` two or more of which any will do, sorted.
    `profile` asks for MIG instances of that size, `floors` for at least that much by precision, `weights`
    for a weighted geometric mean of at least `min_score` per mille (`ledger.market.capability`)."""

    vendor: str = ""
    model: str = ""
    count: int = 1
    share: int = WHOLE_SHARE
    memory: int = 0
    vendors: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    profile: str = ""
    floors: Vector = ()
    weights: Vector = ()
    min_score: int = 0

    def __post_init__(self) -> None:
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            unsigned(name, value, 31)
            if not least <= value <= most:
                remedy = f"Give {name} from {least} to {most}."
                raise Rejected("field-out-of-range", f"{name} is {value}.", remedy, field=name)
        _check_kinds("vendor", self.vendor, self.vendors)
        _check_kinds("model", self.model, self.models)
        check_profile(self.profile)
        if self.profile and self.share != WHOLE_SHARE:
            raise Rejected(
                "profile-and-share",
                f"A share of {self.share} milli is asked of instances of {self.profile}.",
                "Ask for whole instances of a profile, or for a share of a device.",
            )
        check_vector("floors", self.floors)
        check_weights(self.weights, self.min_score)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The models that will do; none named: any."""
        return self.models or ((self.model,) if self.model else ())

    @property
    def makers(self) -> tuple[str, ...]:
        """The vendors that will do; none named: any."""
        return self.vendors or ((self.vendor,) if self.vendor else ())

    def to_plain(self) -> dict[str, object]:
        """Its part of the document; what was not chosen is not there, as in the first documents."""
        plain: dict[str, object] = {
            "vendor": self.vendor,
            "model": self.model,
            "count": self.count,
            "share": self.share,
            "memory": self.memory,
        }
        score = {"weights": dict(self.weights), "min": self.min_score} if self.weights else {}
        optional: dict[str, object] = {
            "vendors": list(self.vendors),
            "models": list(self.models),
            "profile": self.profile,
            "floors": dict(self.floors),
            "score": score,
        }
        return plain | {key: value for key, value in optional.items() if value}


def _check_kinds(name: str, one: str, several: tuple[str, ...]) -> None:
    if several and (one or not 2 <= len(several) <= MOST_KINDS or list(several) != sorted(set(several))):
        raise Rejected(
            "kinds-unclear",
            f"{name}s are {', '.join(several)[:120]}" + (f", beside {name} {one}." if one else "."),
            f"Name one {name}, or 2 to {MOST_KINDS} different {name}s, sorted.",
        )
    if any(not kind or len(kind) > 128 for kind in several):
        raise Rejected("kinds-unclear", f"A {name} is empty or too long.", "Give names of 1 to 128 letters.")


def accelerators_from_plain(value: Mapping[str, object]) -> Accelerators | None:
    """The part of a job document, None where there is none; `Rejected` for what is unknown or impossible."""
    if not value:
        return None
    read = Reader(value, "accelerators")
    weights, min_score = _read_score(read.get("score", dict, {}))
    wanted = Accelerators(
        vendor=read.get("vendor", str, ""),
        model=read.get("model", str, ""),
        count=read.get("count", int, 1),
        share=read.get("share", int, WHOLE_SHARE),
        memory=read.get("memory", int, 0),
        vendors=read.texts("vendors"),
        models=read.texts("models"),
        profile=read.get("profile", str, ""),
        floors=vector("floors", read.get("floors", dict, {})),
        weights=weights,
        min_score=min_score,
    )
    read.done()
    return wanted


def _read_score(value: Mapping[str, object]) -> tuple[Vector, int]:
    if not value:
        return (), 0
    read = Reader(value, "score")
    weights, least = vector("weights", read.get("weights", dict)), read.get("min", int)
    read.done()
    return weights, least
