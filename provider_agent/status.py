"""The agent's word about itself, for people and for `provider status`: what stands, runs and fails now."""

import os
import time
from collections.abc import Iterable, Mapping

from ledger.market.errors import MarketError
from ledger.market.identity import text
from ledger.market.policy import Policy
from provider_agent.lifecycle.lease_state import MS, LeaseState
from provider_agent.offers.staking import Stakes
from provider_agent.settings import ProviderSettings
from provider_agent.state_store import StateStore

_FRESH_SECONDS = 30.0


class Problems:
    """The latest failure of each part; one that does not come again is soon no problem any more."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[float, MarketError]] = {}

    def note(self, part: str, error: MarketError) -> bool:
        """Keep it; whether it is news."""
        before = self._latest.get(part)
        self._latest[part] = (time.time(), error)
        return before is None or before[1].cause != error.cause

    def clear(self, part: str) -> None:
        """The part works again."""
        self._latest.pop(part, None)

    def fresh(self) -> dict[str, dict[str, object]]:
        """What failed lately, by part."""
        now = time.time()
        return {
            part: {"code": error.code, "cause": error.cause, "remedy": error.remedy, "at": int(at)}
            for part, (at, error) in self._latest.items()
            if now - at < _FRESH_SECONDS
        }


def status_of(
    settings: ProviderSettings,
    store: StateStore,
    leases: Iterable[LeaseState],
    problems: Mapping[str, object],
    beat: Mapping[str, object],
    stakes: Stakes,
    policy: Policy,
) -> dict[str, object]:
    """The content of the status file; `beat` is what the node is told, and how the links stand."""
    return {
        "name": settings.name,
        "address": beat["address"],
        "operator": beat["operator"],
        "domain": settings.domain,
        "pid": os.getpid(),
        "at": int(time.time()),
        "draining": beat["draining"],
        "disk_limit": beat["disk_limit"],
        "engine": {"ok": beat["engine"] == "ok", "version": beat["version"]},
        "node": {"ok": beat["node"], "url": settings.node},
        "chain": {
            "ok": "chain" not in problems,
            "rpc": settings.rpc,
            "caught_up": beat["caught_up"],
        },
        "offers": {text(name): registered for name, (_, registered) in store.offers().items()},
        "earned": str(store.earned()),
        "fees": str(sum(policy.fee_on(paid) for paid in store.payments())),
        "stake": {
            "free": str(stakes.free),
            "locked": str(stakes.locked),
            "unstaking": str(stakes.unstaking),
            "unlock_at": stakes.unlock_at,
        },
        "reputation": beat["reputation"],
        "leases": [_lease(state, store) for state in leases],
        "problems": dict(problems),
    }


def _lease(state: LeaseState, store: StateStore) -> dict[str, object]:
    job = store.job(state.id)
    return {
        "lease": text(state.id),
        "job": job.name if job else "",
        "stage": state.stage.value,
        "since": state.since,
        "milliseconds": state.billable(int(time.time() * MS)),
        "cosigned": state.receipt.receipt.milliseconds if state.receipt else 0,
        "settled": state.settled,
        "undecided": state.undecided,
        "claim_until": state.claim_until,
        "code": state.explanation.code,
        "cause": state.explanation.cause,
    }
