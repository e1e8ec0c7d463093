"""Presence: which agents are alive right now; only their offers take part in a clearing.

Heartbeats are not journalled: after a restart of the node an agent is unknown until it calls again,
and is counted as lost only after the node itself has been up for as long as an agent may be silent. A
clock that jumps (a machine that slept, a time server) counts as a restart.
"""

import threading
from collections import deque
from dataclasses import dataclass, replace

from ledger.market.identity import Address, OfferId


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """An agent's last word; `at` is seconds since 1970."""

    offers: frozenset[OfferId]
    draining: bool
    engine_ok: bool
    at: int


class Presence:
    """The last heartbeat of each provider, judged by the moment that the caller gives. Thread-safe."""

    def __init__(self, up_since: int, heartbeat_timeout: int, lost_after: int) -> None:
        self._up_since = up_since
        self._ticked_at = up_since
        self._timeout = heartbeat_timeout
        self._lost_after = lost_after
        self._beats: dict[Address, Heartbeat] = {}
        self._moved: set[Address] = set()
        self._silences: deque[tuple[int, Address]] = deque()
        self._looked_at = up_since
        self._lock = threading.Lock()

    def beat(self, provider: Address, heartbeat: Heartbeat) -> bool:
        """Take an agent's word; whether it changes which of its offers are live."""
        with self._lock:
            before = self._beats.get(provider)
            self._beats[provider] = heartbeat
            self._silences.append((heartbeat.at + self._timeout, provider))
            moved = self._offers_of(before, heartbeat.at) != self._offers_of(heartbeat, heartbeat.at)
            if moved:
                self._moved.add(provider)
            return moved

    def moved(self, at: int) -> dict[Address, frozenset[OfferId]]:
        """Providers whose live offers may have changed since this was asked last, with those that are live
        at `at`. For one asker alone; after a clock that went back everybody may have moved."""
        with self._lock:
            if at < self._looked_at:
                self._start_over()
            self._looked_at = at
            while self._silences and self._silences[0][0] < at:
                _, provider = self._silences.popleft()
                if at - self._beats[provider].at > self._timeout:
                    self._moved.add(provider)
            moved, self._moved = self._moved, set()
            return {provider: self._offers_of(self._beats.get(provider), at) for provider in moved}

    def all_moved(self) -> None:
        """Everybody may have moved: the asker has forgotten what it was told."""
        with self._lock:
            self._start_over()

    def _start_over(self) -> None:
        self._moved.update(self._beats)
        due = sorted((beat.at + self._timeout, provider) for provider, beat in self._beats.items())
        self._silences = deque(due)

    def tick(self, at: int) -> None:
        """To be called all the time: a step back, or a gap in which no agent could be heard, would
        otherwise make every agent look dead (or alive for hours)."""
        with self._lock:
            if at < self._ticked_at or at - self._ticked_at > self._timeout:
                self._up_since = at
            self._ticked_at = at
            ahead = [provider for provider, beat in self._beats.items() if beat.at > at]
            for provider in ahead:
                self._beats[provider] = replace(self._beats[provider], at=at)
            if ahead:
                self._start_over()

    def last(self, provider: Address) -> Heartbeat | None:
        with self._lock:
            return self._beats.get(provider)

    def live_offers(self, at: int) -> set[tuple[Address, OfferId]]:
        """Offers of agents that were heard in time, have an engine and are not draining; each with the
        provider that says so, since an agent can speak for its own offers alone."""
        with self._lock:
            return {
                (provider, offer)
                for provider, beat in self._beats.items()
                for offer in self._offers_of(beat, at)
            }

    def lost(self, provider: Address, at: int, since: int) -> bool:
        """Whether the agent is silent for too long, counted from the latest of its last heartbeat, the
        node's start, and `since` (its lease's opening)."""
        with self._lock:
            beat = self._beats.get(provider)
            heard = max(self._up_since, since, beat.at if beat else 0)
        return at - heard > self._lost_after

    def _offers_of(self, beat: Heartbeat | None, at: int) -> frozenset[OfferId]:
        if beat is None or at - beat.at > self._timeout or beat.draining or not beat.engine_ok:
            return frozenset()
        return beat.offers
