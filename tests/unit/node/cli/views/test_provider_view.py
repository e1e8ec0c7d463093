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
    "operator": "0x01",
    "earned": "16",
    "fees": "2",
    "stake": {"free": "70", "locked": "5", "unstaking": "0", "unlock_at": 0},
    "reputation": None,
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


def test_money_and_reputation_are_said() -> None:
    text = shown(reputation={"per_mille": 120, "completed": 3})
    assert "16 base units, 2 of them the nodes' fees" in text
    assert "70 base units free, 5 locked by leases" in text
    assert "120 of 1000 (3 leases completed)" in text
    assert "asked back" not in text
    queued = {"free": "70", "locked": "5", "unstaking": "9", "unlock_at": NOW + 60}
    assert "9 asked back" in shown(stake=queued)


def test_a_key_that_only_operates_is_named() -> None:
    assert "operated by" not in shown()
    assert "0x02" in shown(operator="0x02")


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
