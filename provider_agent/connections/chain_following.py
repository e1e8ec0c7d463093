"""Follows the market through the owner's own RPC endpoint and feeds what concerns this provider.

What a block told is committed before the cursor moves over it; after a crash the block is told again, and
the machine does not mind.
"""

import asyncio
from collections.abc import Callable

from ledger.chain.client import MarketClient
from ledger.chain.follower import Follower
from ledger.market.facts import ChainObserved, ChainRewound
from ledger.market.identity import Address
from provider_agent.connections.chain_watch import LeaseNews, OfferNews, news_of
from provider_agent.lifecycle.lease_state import MS
from provider_agent.lifecycle.stimuli import LeaseUnmined
from provider_agent.settings import Market
from provider_agent.state_store import StateStore
from provider_agent.work.leases import Leases


class ChainFollowing:
    """One provider's view of one chain; `caught_up` says whether all blocks were read."""

    def __init__(
        self,
        provider: Address,
        market: Market,
        client: MarketClient,
        store: StateStore,
        leases: Leases,
        clock: Callable[[], float],
    ) -> None:
        self._provider = provider
        self._market = market
        self._client = client
        self._follower = Follower(client, market.confirmations)
        self._store = store
        self._leases = leases
        self._clock = clock
        self._head = b""
        self.caught_up = False

    @property
    def read_to(self) -> int:
        """The number of the block up to which all events were read; -1 before the first."""
        cursor = self._store.cursor()
        return -1 if cursor is None else cursor.block.number

    async def step(self) -> None:
        """Read the blocks that are new; where nothing is, that is one question."""
        while True:
            head = await asyncio.to_thread(self._client.block, "latest")
            if head.hash == self._head:
                return
            await self._poll()
            if self.caught_up:
                self._head = head.hash
                return

    async def _poll(self) -> None:
        cursor = self._store.cursor()
        if cursor is None:
            await asyncio.to_thread(self._client.check_chain, self._market.chain_id)
            cursor = await asyncio.to_thread(self._follower.start, self._market.first_block)
        followed = await asyncio.to_thread(self._follower.poll, cursor)
        for fact in followed.facts:
            self._take(fact, int(self._clock() * MS))
        self._store.keep_cursor(followed.cursor)
        self.caught_up = followed.caught_up

    def _take(self, fact: ChainObserved | ChainRewound, at: int) -> None:
        if isinstance(fact, ChainRewound):
            for lease in self._store.opened_above(fact.to.number):
                self._leases.feed(lease, LeaseUnmined(at=at))
            return
        for news in news_of([one.event for one in fact.events], self._provider, at):
            match news:
                case LeaseNews():
                    self._tell(news, fact.block.number)
                case OfferNews(id=name, offer=None):
                    self._store.forget_offer(name)
                case OfferNews(id=name, offer=offer) if offer is not None:
                    self._store.keep_offer(name, offer, registered=True)
                case _:
                    continue

    def _tell(self, news: LeaseNews, block: int) -> None:
        if news.stimulus is not None:
            self._leases.feed(news.lease, news.stimulus, block if news.opens else None)
        if news.paid is not None:
            self._store.keep_paid(news.lease, news.paid)
