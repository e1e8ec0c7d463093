"""Presence: which agents are alive right now; only their offers take part in a clearing.

Heartbeats are not journalled: after a restart of the node an agent is unknown until it calls again,
and is counted as lost only after the node itself has been up for as long as an agent may be silent.
"""

from dataclasses import dataclass

from ledger.market.identity import Address, OfferId


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """An agent's last word; `at` is seconds since 1970."""

    offers: frozenset[OfferId]
    draining: bool
    engine_ok: bool
    at: int


class Presence:
    """The last heartbeat of each provider, judged by the moment that the caller gives."""

    def __init__(self, up_since: int, heartbeat_timeout: int, lost_after: int) -> None:
        self._up_since = up_since
        self._timeout = heartbeat_timeout
        self._lost_after = lost_after
        self._beats: dict[Address, Heartbeat] = {}

    def beat(self, provider: Address, heartbeat: Heartbeat) -> None:
        self._beats[provider] = heartbeat

    def last(self, provider: Address) -> Heartbeat | None:
        return self._beats.get(provider)

    def live_offers(self, at: int) -> set[OfferId]:
        """Offers of agents that were heard in time, have an engine and are not draining."""
        live: set[OfferId] = set()
        for beat in self._beats.values():
            if at - beat.at <= self._timeout and beat.engine_ok and not beat.draining:
                live |= beat.offers
        return live

    def lost(self, provider: Address, at: int, since: int) -> bool:
        """Whether the agent is silent for too long, counted from the latest of its last heartbeat, the
        node's start, and `since` (its lease's opening)."""
        beat = self._beats.get(provider)
        heard = max(self._up_since, since, beat.at if beat else 0)
        return at - heard > self._lost_after
