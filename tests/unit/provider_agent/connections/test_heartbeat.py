"""What the agent makes of the node's messages: a word it knows, or nothing."""

import asyncio
import json

import pytest

from ledger.market.identity import LeaseId, text
from provider_agent.connections.heartbeat import Heartbeat
from tests.factories import a_digest

LEASE = LeaseId(a_digest("lease"))


def heard(message: str | bytes) -> list[object]:
    """What one message leads to: "nudge", or the lease that is to yield."""
    told: list[object] = []
    heartbeat = Heartbeat(
        url=lambda: "ws://node",
        beat=dict,
        nudged=lambda: told.append("nudge"),
        yields=told.append,
        connected=lambda: asyncio.sleep(0),
        failed=told.append,
    )
    heartbeat.hear(message)
    return told


def test_a_new_lease_is_a_nudge() -> None:
    assert heard(json.dumps({"kind": "lease", "lease": text(LEASE)})) == ["nudge"]


def test_a_lease_that_is_to_yield_is_named() -> None:
    assert heard(json.dumps({"kind": "yield", "lease": text(LEASE), "notice": 60})) == [LEASE]


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        b"\xff\xfe",
        "[]",
        "{}",
        '{"kind": "other"}',
        '{"kind": "yield"}',
        '{"kind": "yield", "lease": "0x12"}',
        '{"kind": "yield", "lease": 5}',
    ],
)
def test_anything_else_is_left_alone(message: str | bytes) -> None:
    assert heard(message) == []
