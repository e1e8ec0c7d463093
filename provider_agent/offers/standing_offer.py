"""Sees to it that one true offer stands on the chain and its document lies at the node.

The chain's own log says what is registered; what is missing or no longer true becomes a wish of the
outbox, once an offer. While the agent drains nothing new is promised, and nothing is taken back.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ledger.books.books import Books
from ledger.chain.typed_data import Domain, offer_id
from ledger.market.identity import Address, OfferId, text
from ledger.market.instructions import CancelOffer, RegisterOffer
from ledger.market.offer import Offer
from ledger.market.outbox import IntentState
from provider_agent.connections.links import Links
from provider_agent.connections.node_client import Plain
from provider_agent.devices.inventory import take_inventory
from provider_agent.offers.lending import Loan
from provider_agent.offers.offering import Host, Stamp, document_of, loan_of, offer_of, still_true
from provider_agent.runtimes.base import EngineInfo
from provider_agent.settings import ProviderSettings
from provider_agent.storage.base import VolumeKind

_CALM_SECONDS = 60
"""how long an offer that stands is left alone: to look at the machine costs time"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """Whose offer it is, who sends for it, and what it is made of and kept in."""

    provider: Address
    sender: Address
    domain: Domain
    settings: ProviderSettings
    volumes: Path
    disk: VolumeKind
    books: Books
    links: Links
    clock: Callable[[], float]


class StandingOffer:
    """One provider's offer; `loan` is what was found to lend at the last look."""

    def __init__(self, around: Offering) -> None:
        self._around = around
        self._documented: set[bytes] = set()
        self._calm_until = 0
        self.loan: Loan | None = None

    def node_is_new(self) -> None:
        """A node that was set up anew has no document of ours."""
        self._documented.clear()
        self._calm_until = 0

    async def look(self, engine: EngineInfo) -> Loan:
        """Find out what can be lent, before anything is promised."""
        await self._fuel()
        await self._wanted(engine)
        assert self.loan is not None
        return self.loan

    async def see_to_it(self, engine: EngineInfo, *, draining: bool) -> None:
        """Look at the machine, and wish for the offer that should stand."""
        around, at = self._around, int(self._around.clock())
        if at < self._calm_until:
            return
        wanted, plain = await self._wanted(engine)
        standing = around.links.store.offers()
        fixed = around.settings.limits.disk is not None
        kept = [
            name
            for name, (offer, _) in standing.items()
            if still_true(offer, wanted, disk_is_fixed=fixed, at=at)
        ][-1:]
        if not draining and not kept:
            await self._fuel()
            name = offer_id(around.domain, wanted)
            around.links.store.keep_offer(name, wanted, registered=False)
            standing, kept = around.links.store.offers(), [name]
        if not draining:
            for name in await asyncio.to_thread(self._wish, standing, kept):
                around.links.store.forget_offer(name)
        if kept and wanted.document not in self._documented:
            await around.links.node.put_document(plain)
            self._documented.add(wanted.document)
        if kept and standing[kept[0]][1] and len(standing) == 1:
            self._calm_until = at + _CALM_SECONDS

    async def _wanted(self, engine: EngineInfo) -> tuple[Offer, Plain]:
        around = self._around
        host = Host(
            inventory=await asyncio.to_thread(take_inventory, around.volumes),
            cdi="cdi" in engine.features,
            hard_disk=around.disk is VolumeKind.HARD,
        )
        decimals = await asyncio.to_thread(around.links.chain.decimals)
        self.loan = loan_of(host, around.settings, decimals)
        document = document_of(host, self.loan, around.settings)
        stamp = Stamp(
            provider=around.provider,
            epoch=await asyncio.to_thread(around.links.chain.epoch_of, around.provider),
            at=int(around.clock()),
            salt=secrets.randbits(64),
        )
        return offer_of(self.loan, document, around.settings, stamp), document.to_plain()

    def _wish(self, standing: dict[OfferId, tuple[Offer, bool]], kept: list[OfferId]) -> list[OfferId]:
        """Wish for what is missing; the offers that the contract has refused for good."""
        at, wishes = int(self._around.clock()), {}
        with self._around.books.transaction() as unit:
            for name, (offer, registered) in standing.items():
                if name in kept and not registered:
                    wishes[name] = unit.wish(f"register:{text(name)}", RegisterOffer(offer=offer), at)
                elif name not in kept and registered:
                    unit.wish(f"cancel:{text(name)}", CancelOffer(offer=offer), at)

        outbox = self._around.books.outbox(self._around.sender)
        failed = {
            intent.id
            for intent in outbox.intents(list(wishes.values()))
            if intent.state is IntentState.FAILED
        }
        return [name for name, number in wishes.items() if number in failed]

    async def _fuel(self) -> None:
        """Gas for the first transaction, where the chain has a faucet."""
        chain, sender = self._around.links.chain, self._around.sender
        if await asyncio.to_thread(chain.coin_balance, sender) == 0:
            await asyncio.to_thread(chain.faucet, sender)
