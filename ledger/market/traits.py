"""Traits: what the contract checks beyond quantity and price, in one word; this table is the only one.

An offer states what it is, a bid demands (PROTOCOL "Traits"). Bits are only ever added: a bit never
changes its meaning. `contracts/README.md` shows the same table and a test holds them together.
"""

from dataclasses import dataclass
from typing import Final

from ledger.market.errors import Rejected
from ledger.market.ranges import unsigned

VENDORS: Final = {
    "cpu": 0,
    "nvidia": 1,
    "amd": 2,
    "intel": 3,
    "huawei": 4,
    "cambricon": 5,
    "hygon": 6,
    "moorethreads": 7,
    "metax": 8,
    "iluvatar": 9,
    "enflame": 10,
    "kunlunxin": 11,
    "biren": 12,
    "apple": 13,
}
REGIONS: Final = {
    "eu-west": 0,
    "eu-north": 1,
    "eu-central": 2,
    "eu-south": 3,
    "us-east": 4,
    "us-central": 5,
    "us-west": 6,
    "ca-central": 7,
    "sa-east": 8,
    "me-central": 9,
    "af-south": 10,
    "in-south": 11,
    "ap-southeast": 12,
    "ap-northeast": 13,
    "au-east": 14,
    "cn-north": 15,
    "cn-east": 16,
    "cn-south": 17,
    "cn-west": 18,
    "local": 63,
}
FEATURES: Final = {
    "runc": 0,
    "gvisor": 1,
    "vm": 2,
    "slurm": 3,
    "hard-disk-quota": 8,
    "encrypted-storage": 9,
    "outbound-network": 16,
    "private-network": 17,
    "grade-e": 32,
    "grade-d": 33,
    "grade-c": 34,
    "grade-b": 35,
    "grade-a": 36,
    "trust-claimed": 40,
    "trust-measured": 41,
    "trust-challenged": 42,
}
GRADES: Final = ("e", "d", "c", "b", "a")
TRUSTS: Final = ("claimed", "measured", "challenged")

VENDOR_MASK: Final = (1 << 32) - 1
WORD_MASK: Final = (1 << 64) - 1
REGION_SHIFT: Final = 32
FEATURE_SHIFT: Final = 96
GPU_MEMORY_SHIFT: Final = 160
CAPABILITY_SHIFT: Final = 192
MODEL_SHIFT: Final = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """One traits word, unpacked; what each field means depends on who signs it (offer or bid)."""

    vendors: int = 0
    regions: int = 0
    features: int = 0
    gpu_memory_mib: int = 0
    capability: int = 0
    model: int = 0

    def __post_init__(self) -> None:
        for name, bits in (("vendors", 32), ("regions", 64), ("features", 64)):
            unsigned(name, getattr(self, name), bits)
        for name in ("gpu_memory_mib", "capability", "model"):
            unsigned(name, getattr(self, name), 32)

    def pack(self) -> int:
        return (
            self.vendors
            | self.regions << REGION_SHIFT
            | self.features << FEATURE_SHIFT
            | self.gpu_memory_mib << GPU_MEMORY_SHIFT
            | self.capability << CAPABILITY_SHIFT
            | self.model << MODEL_SHIFT
        )

    @classmethod
    def unpack(cls, word: int) -> "Traits":
        unsigned("traits", word, 256)
        low = VENDOR_MASK
        return cls(
            vendors=word & low,
            regions=(word >> REGION_SHIFT) & WORD_MASK,
            features=(word >> FEATURE_SHIFT) & WORD_MASK,
            gpu_memory_mib=(word >> GPU_MEMORY_SHIFT) & low,
            capability=(word >> CAPABILITY_SHIFT) & low,
            model=word >> MODEL_SHIFT,
        )

    def unmet_by(self, offer: "Traits") -> tuple[str, ...]:
        """The demands of this bid that `offer` does not meet, by name; the contract's rule exactly."""
        checks = (
            ("vendor", offer.vendors & self.vendors != 0),
            ("region", offer.regions & self.regions != 0),
            ("features", offer.features & self.features == self.features),
            ("gpu_memory", offer.gpu_memory_mib >= self.gpu_memory_mib),
            ("capability", offer.capability >= self.capability),
            ("model", self.model in (0, offer.model)),
        )
        return tuple(name for name, met in checks if not met)


ANY_VENDOR: Final = VENDOR_MASK
ANY_REGION: Final = WORD_MASK


def bit(table: dict[str, int], kind: str, name: str) -> int:
    """The bit of a vendor, region or feature by name; an unknown one is `Rejected` with the known."""
    if name not in table:
        raise Rejected(f"unknown-{kind}", f"There is no {kind} {name!r}.", f"Use one of: {', '.join(table)}.")
    return 1 << table[name]


def bits(table: dict[str, int], kind: str, names: tuple[str, ...]) -> int:
    """The union of the bits of `names`."""
    word = 0
    for name in names:
        word |= bit(table, kind, name)
    return word


def canonical_model(name: str) -> str:
    """A device model's name as its tag is made of it (PROTOCOL "Traits"): lower case, single spaces."""
    return " ".join(name.lower().split())


def names_of(table: dict[str, int], word: int) -> tuple[str, ...]:
    """The names whose bit is set, in table order."""
    return tuple(name for name, position in table.items() if word >> position & 1)


def thermometer(prefix: str, steps: tuple[str, ...], reached: str) -> int:
    """Feature bits of a graded quality: every step up to `reached` is set (grade C sets E, D and C)."""
    if reached not in steps:
        raise Rejected(f"unknown-{prefix}", f"There is no {prefix} {reached!r}.", f"Use one of: {steps}.")
    upto = steps[: steps.index(reached) + 1]
    return bits(FEATURES, "feature", tuple(f"{prefix}-{step}" for step in upto))
