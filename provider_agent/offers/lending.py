"""How much of a machine its owner lends, and at what ask: the words of an offer, cut from an inventory.

Pure arithmetic on whole numbers. The owner speaks per core, per GiB, per device and hour; an ask prices
1,000 lane units (PROTOCOL "Ask"), so memory is rounded up to the next base unit per 1,000 MiB.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from ledger.market.errors import Rejected
from ledger.market.money import escrow_for, rate_of
from ledger.market.policy import Policy
from ledger.market.ranges import unsigned
from ledger.market.resource import LANE_LIMIT, Quantities
from ledger.market.traits import FEATURES, GRADES, REGIONS, VENDORS, Traits, bit, bits, thermometer

MIB_PER_GIB = 1_024
PRICED_UNITS = 1_000
_HOUR = 3_600
# A container is kept apart by the kernel (namespaces, cgroups, seccomp): grade B of the design.
CONTAINER_GRADE = "b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One whole accelerator, or MIG instance of `profile`, that could be lent: `name` is its CDI name,
    `model_tag` the trait's."""

    name: str
    vendor: str
    model: str
    model_tag: int
    memory: int
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is here: milli-cores, MiB of memory and of free disk, whole devices."""

    cpu: int
    memory: int
    disk: int
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that the owner lends, None for as much as is wise; milli-cores, MiB, devices, seconds."""

    cpu: int | None = None
    memory: int | None = None
    disk: int | None = None
    devices: int | None = None
    min_seconds: int = 1
    max_seconds: int = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Tokens (not base units) an hour: per core, GiB of memory, GiB of disk, device, GiB of device."""

    core: Decimal
    gib: Decimal
    disk_gib: Decimal = Decimal(0)
    device: Decimal = Decimal(0)
    device_gib: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """What is lent: the offer's three words, the devices behind them, and a line each for people."""

    capacity: Quantities
    ask: Quantities
    traits: Traits
    devices: tuple[Device, ...]


def lendable(devices: tuple[Device, ...], limit: int | None) -> tuple[Device, ...]:
    """One offer promises one model and profile: the most numerous is lent (the largest, where they tie)."""
    groups: dict[tuple[str, int, int, str], list[Device]] = {}
    for device in devices:
        groups.setdefault((device.vendor, device.model_tag, device.memory, device.profile), []).append(device)
    best = max(groups.values(), key=lambda group: (len(group), group[0].memory), default=[])
    return tuple(best[:limit])


def capacity_of(machine: Machine, limits: Limits, devices: tuple[Device, ...]) -> Quantities:
    """Never more than is there; without a word of the owner a fifth of memory and disk stays free."""

    def share(here: int, lent: int | None, default: int) -> int:
        return min(here, default if lent is None else lent, LANE_LIMIT - 1)

    return Quantities(
        cpu=share(machine.cpu, limits.cpu, machine.cpu),
        memory=share(machine.memory, limits.memory, machine.memory * 4 // 5),
        disk=share(machine.disk, limits.disk, machine.disk * 4 // 5),
        gpu=PRICED_UNITS * len(devices),
        gpu_memory=sum(device.memory for device in devices),
    )


def ask_of(prices: Prices, decimals: int) -> Quantities:
    """The ask in base units per hour for 1,000 lane units, each rounded up."""

    def base_units(tokens: Decimal, units_priced: int) -> int:
        exact = tokens * 10**decimals * PRICED_UNITS / units_priced
        if not exact.is_finite() or exact < 0:
            raise Rejected("malformed-price", f"{tokens} is not a price.", "Give 0 or more tokens.")
        value = int(exact.to_integral_value(rounding=ROUND_CEILING))
        unsigned("price", value, 31)
        return value

    return Quantities(
        cpu=base_units(prices.core, PRICED_UNITS),
        memory=base_units(prices.gib, MIB_PER_GIB),
        disk=base_units(prices.disk_gib, MIB_PER_GIB),
        gpu=base_units(prices.device, PRICED_UNITS),
        gpu_memory=base_units(prices.device_gib, MIB_PER_GIB),
    )


def traits_of(
    region: str, runtimes: tuple[str, ...], devices: tuple[Device, ...], *, hard_disk: bool
) -> Traits:
    """What the contract may check; what is claimed here has not been measured, and says so."""
    features = bits(FEATURES, "feature", (*runtimes, "trust-claimed"))
    features |= thermometer("grade", GRADES, CONTAINER_GRADE)
    if hard_disk:
        features |= bit(FEATURES, "feature", "hard-disk-quota")
    first = devices[0] if devices else None
    return Traits(
        vendors=bit(VENDORS, "vendor", first.vendor if first else "cpu"),
        regions=bit(REGIONS, "region", region),
        features=features,
        gpu_memory_mib=first.memory if first else 0,
        model=first.model_tag if first else 0,
    )


def hourly_lock(loan: Loan, policy: Policy) -> int:
    """Base units of stake that leases of all that is lent would lock if each were for an hour."""
    return policy.lock_for(escrow_for(rate_of(loan.ask, loan.capacity), _HOUR))


def free_of(capacity: Quantities, taken: tuple[Quantities, ...]) -> Quantities:
    """What is left of the capacity beside the leases that stand."""
    left = capacity
    for want in taken:
        left = left.less(want)
    return left
