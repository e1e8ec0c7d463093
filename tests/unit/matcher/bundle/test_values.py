"""Values as bytes: driven by their fields, exact, and refused in any other spelling."""

from dataclasses import dataclass
from enum import StrEnum

import pytest

from ledger.market.errors import Broken, Rejected
from matcher.bundle.values import decoded, encoded, schema


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Inner:
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Thing:
    name: str
    inner: Inner
    flag: bool = False
    maybe: bytes | None = None
    many: tuple[Inner, ...] = ()
    pair: tuple[str, int] = ("", 0)
    some: frozenset[int] = frozenset()
    colour: Colour = Colour.RED


@dataclass(frozen=True, kw_only=True)
class Longer(Thing):
    added: int = 0


@dataclass(frozen=True, kw_only=True)
class Rough:
    value: float


FULL = Thing(
    name="ö",
    inner=Inner(number=-5),
    flag=True,
    maybe=b"",
    many=(Inner(), Inner(number=1)),
    pair=("a", 1),
    some=frozenset({3, 1, 2}),
)


@pytest.mark.parametrize("thing", [FULL, Thing(name="", inner=Inner())])
def test_a_value_is_read_back_whole(thing: Thing) -> None:
    assert decoded(Thing, encoded(Thing, thing)) == thing


def test_a_demand_that_nobody_makes_costs_no_byte() -> None:
    plain = {"name": "n", "inner": Inner()}
    assert encoded(Longer, Longer(**plain)) == encoded(Thing, Thing(**plain)) == b"l1:nlee"  # type: ignore[arg-type]


def test_a_field_that_is_added_changes_the_schema() -> None:
    assert schema(Thing) == schema(Thing)
    assert schema(Thing) != schema(Longer)


def test_what_has_no_exact_spelling_is_no_part_of_a_bundle() -> None:
    with pytest.raises(Broken) as failure:
        encoded(Rough, Rough(value=0.5))
    assert failure.value.code == "no-exact-spelling"


@pytest.mark.parametrize(
    "raw",
    [
        b"l1:nleli0eee",
        b"l1:nlee1:x",
        b"le",
        b"i7e",
        b"l1:nlei2ee",
        b"l1:nlei1eli1eli2eee",
        b"l1:nlei0ee",
        b"l2:\xff\xfelee",
        b"l1:nlei1elelel1:ai1eeli2ei1eee",
        b"l1:nlei1elelel1:ai1eeli1ee4:bluee",
        b"l1:nlei1elelel1:ai1eeli1ee3:redi1ee",
    ],
)
def test_any_other_spelling_is_refused(raw: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        decoded(Thing, raw)
    assert refusal.value.code == "bundle-malformed"
