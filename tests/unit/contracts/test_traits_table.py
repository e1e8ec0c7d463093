"""The tables of `contracts/README.md` are those of the kernel."""

import re
from pathlib import Path

import contracts
from ledger.market import traits
from ledger.market.reasons import SkipReason

FOLDER = Path(contracts.__file__).parent
RENAMED = {"DISTINCT": "NOT_DISTINCT"}
"""there a flag of bids has the name"""
README = (FOLDER / "README.md").read_text("utf-8")


def test_every_trait_bit_is_in_the_table_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \| (vendor|region|feature) \| `([^`]+)` \|$", README, re.M)
    told = {(kind, name, int(bit)) for bit, kind, name in rows}
    places = (
        ("vendor", 0, traits.VENDORS),
        ("region", traits.REGION_SHIFT, traits.REGIONS),
        ("feature", traits.FEATURE_SHIFT, traits.FEATURES),
    )
    assert told == {(k, name, base + bit) for k, base, table in places for name, bit in table.items()}
    assert len(rows) == len(told)


def test_the_places_of_the_values_are_in_the_table() -> None:
    rows = re.findall(r"^\| (\d+)–(\d+) \| value \|", README, re.M)
    starts = [traits.GPU_MEMORY_SHIFT, traits.CAPABILITY_SHIFT, traits.MODEL_SHIFT]
    assert [(int(low), int(high)) for low, high in rows] == [(s, s + 31) for s in starts]


def test_every_reason_code_is_in_the_table_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", README, re.M)
    assert {(int(code), name) for code, name in rows} == {(r.value, r.name) for r in SkipReason if r}


def test_the_contract_s_reason_constants_are_the_kernel_s() -> None:
    source = (FOLDER / "types.vy").read_text("utf-8")
    constants = dict(re.findall(r"^([A-Z_]+): constant\(uint256\) = (\d+)$", source, re.M))
    assert {r: int(constants[RENAMED.get(r.name, r.name)]) for r in SkipReason if r} == {
        r: r.value for r in SkipReason if r
    }
