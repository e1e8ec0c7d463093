"""The three ways out of an agent: its own memory, its own chain endpoint, and the node."""

from dataclasses import dataclass

from ledger.chain.client import MarketClient
from provider_agent.connections.node_client import NodeClient
from provider_agent.state_store import StateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Open for as long as the agent runs."""

    store: StateStore
    chain: MarketClient
    node: NodeClient
