"""An agent's status as a person reads it."""

import io
from typing import Any

import pytest
from rich.console import Console

from node.cli.views.provider_view import ProviderView

NOW = 1_000
STATUS: dict[str, Any] = {
    "name": "harbour",
    "address": "0x01",
    "domain": "lab/berlin",
    "at": NOW,
    "draining": False,
    "disk_limit": "hard",
    "engine": {"ok": True, "version": "20.10"},
    "node": {"ok": True, "url": "http://node"},
    "chain": {"ok": False, "rpc": "http://rpc"},
    "offers": {"0x0a": True, "0x0b": False},
    "earned": "16",
    "leases": [],
    "problems": {},
}


def shown(now: int = NOW, **changes: Any) -> str:
    out = io.StringIO()
    ProviderView(STATUS | changes, now)(Console(file=out, width=120))
    return out.getvalue()


def test_each_part_is_said_to_answer_or_not() -> None:
    text = shown()
    assert "ok  20.10" in text
    assert "does not answer  http://rpc" in text
    assert "0x0a on chain" in text
    assert "0x0b waiting" in text


def test_a_soft_disk_limit_is_said_so_and_a_hard_one_is_not() -> None:
    assert "can write more" in shown(disk_limit="soft")
    assert "can write more" not in shown()


@pytest.mark.parametrize(("age", "doubted"), [(0, False), (60, True)])
def test_an_agent_that_is_not_heard_is_doubted(age: int, doubted: bool) -> None:
    assert ("not running?" in shown(NOW + age)) is doubted


def test_leases_and_problems_are_listed() -> None:
    lease = {
        "lease": "0x" + "cd" * 32,
        "job": "digits",
        "stage": "running",
        "milliseconds": 2_500,
        "cosigned": 1_000,
        "cause": "",
    }
    problem = {"code": "node-unreachable", "cause": "The node is away.", "remedy": "Wait."}
    text = shown(leases=[lease], problems={"node": problem})
    assert "digits" in text
    assert "2.5 s" in text
    assert "The node is away. Wait." in text
