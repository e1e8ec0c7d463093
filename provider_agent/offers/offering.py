"""Which offer should stand on the chain: the same one as long as it tells the truth, else a new one.

A restart must not leave a trail of offers, so an offer is kept while its promises can still be held:
registered, of the owner's price and traits, no larger than what is lent, and valid for a while.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ledger.chain.documents import document_hash
from ledger.chain.typed_data import model_tag
from ledger.market.identity import Address
from ledger.market.offer import Offer
from ledger.market.offer_document import OfferDocument, OfferedDevices
from provider_agent.devices.inventory import Inventory
from provider_agent.devices.nvidia import NvidiaDevice, NvidiaPresent
from provider_agent.offers.lending import (
    Device,
    Loan,
    Machine,
    ask_of,
    capacity_of,
    lendable,
    traits_of,
)
from provider_agent.settings import ProviderSettings

RUNTIMES: Final = ("runc",)
_DAY: Final = 86_400
_DISK_STEP_MIB: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What was found here: the inventory, and what engine and storage can do."""

    inventory: Inventory
    cdi: bool
    hard_disk: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What makes one offer differ from the next: whose it is, when it was made (seconds), and a salt."""

    provider: Address
    epoch: int
    at: int
    salt: int


def machine_of(host: Host) -> Machine:
    """What could be lent: an engine without CDI cannot hand out devices, so they stay home."""
    nvidia = host.inventory.nvidia
    devices: tuple[Device, ...] = ()
    if host.cdi and isinstance(nvidia, NvidiaPresent):
        devices = tuple(device for found in nvidia.devices for device in _lendable_parts(found))
    resources = host.inventory.host
    return Machine(
        cpu=resources.processor.milli_cores,
        memory=resources.memory_mib,
        disk=resources.free_disk_mib,
        devices=devices,
    )


def _lendable_parts(found: NvidiaDevice) -> Iterator[Device]:
    """The device itself, or with MIG on the instances that the owner has set up on it."""
    tag = model_tag(found.model)
    if not found.mig_enabled:
        memory = found.memory_mib
        yield Device(name=found.cdi_name, vendor="nvidia", model=found.model, model_tag=tag, memory=memory)
    for one in found.instances:
        yield Device(
            name=one.cdi_name,
            vendor="nvidia",
            model=found.model,
            model_tag=tag,
            memory=one.memory_mib,
            profile=one.profile,
        )


def loan_of(host: Host, settings: ProviderSettings, decimals: int) -> Loan:
    """What the owner's settings make of this machine."""
    machine = machine_of(host)
    devices = lendable(machine.devices, settings.limits.devices)
    capacity = capacity_of(machine, settings.limits, devices)
    return Loan(
        capacity=capacity.with_lanes(disk=capacity.disk - capacity.disk % _DISK_STEP_MIB or capacity.disk),
        ask=ask_of(settings.prices, decimals),
        traits=traits_of(settings.region, RUNTIMES, devices, hard_disk=host.hard_disk),
        devices=devices,
    )


def document_of(host: Host, loan: Loan, settings: ProviderSettings) -> OfferDocument:
    """The offer's document, for buyers and for the matcher."""
    lines = [f"{host.inventory.host.processor.model} ({host.inventory.host.processor.arch})"]
    lines += [f"{_kind(device)}, {device.memory} MiB" for device in loan.devices]
    disk_limit = "hard" if host.hard_disk else "soft"
    return replace(promise_of(loan, settings), devices=tuple(lines), disk_limit=disk_limit)


def _kind(device: Device) -> str:
    return f"{device.model} MIG {device.profile}" if device.profile else device.model


def promise_of(loan: Loan, settings: ProviderSettings) -> OfferDocument:
    """What the offer's document promises to jobs: the part that a lease is checked against."""
    return OfferDocument(
        name=settings.name,
        domain=settings.domain,
        region=settings.region,
        runtimes=RUNTIMES,
        accelerators=_lent(loan, settings),
        latency=settings.latency,
    )


def _lent(loan: Loan, settings: ProviderSettings) -> OfferedDevices | None:
    """All devices of a loan are alike; what they do is the owner's claim, and the document says so."""
    if not loan.devices:
        return None
    first = loan.devices[0]
    return OfferedDevices(
        vendor=first.vendor,
        model=first.model,
        count=len(loan.devices),
        memory=first.memory,
        profile=first.profile,
        capability=settings.capability,
    )


def offer_of(loan: Loan, document: OfferDocument, settings: ProviderSettings, stamp: Stamp) -> Offer:
    """A new offer of this loan."""
    return Offer(
        provider=stamp.provider,
        capacity=loan.capacity,
        ask=loan.ask,
        traits=loan.traits,
        min_seconds=settings.limits.min_seconds,
        max_seconds=settings.limits.max_seconds,
        valid_until=stamp.at + settings.offer_days * _DAY,
        epoch=stamp.epoch,
        salt=stamp.salt,
        document=document_hash(document.to_plain()),
    )


def still_true(standing: Offer, wanted: Offer, *, disk_is_fixed: bool, at: int) -> bool:
    """Whether a standing offer promises what is wanted. Free disk changes by itself, so a promise of
    less or of a little more than is free today is kept, unless the owner named the amount."""
    lifetime = max(1, wanted.valid_until - at)
    left = standing.valid_until - at
    if left < min(wanted.max_seconds + _DAY, lifetime // 2):
        return False
    disk = wanted.capacity.disk if disk_is_fixed else standing.capacity.disk
    close = disk_is_fixed or abs(disk - wanted.capacity.disk) * 2 <= max(disk, wanted.capacity.disk)
    same = all(
        getattr(standing, name) == getattr(wanted, name)
        for name in ("provider", "ask", "traits", "min_seconds", "max_seconds", "epoch", "document")
    )
    return close and same and standing.capacity == wanted.capacity.with_lanes(disk=disk)
