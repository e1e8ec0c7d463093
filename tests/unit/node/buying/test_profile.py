"""A profile survives its file, and a damaged one is said to be so."""

from pathlib import Path

import pytest

from ledger.market.errors import Rejected
from ledger.market.policy import EMBEDDED
from ledger.market.wire import policy_to_plain
from node.buying.profile import profile_from_market, read_profile, write_profile

MARKET: dict[str, object] = {
    "chain_id": 7,
    "market": "0x" + "11" * 20,
    "token": "0x" + "22" * 20,
    "decimals": 6,
    "node": "0x" + "33" * 20,
    "rpc_url": "http://127.0.0.1:8545",
    "policy": policy_to_plain(EMBEDDED),
    "first_block": 3,
    "embedded": True,
    "confirmations": 0,
    "time": 1,
}


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    profile = profile_from_market(MARKET, "http://node/", None)
    path = tmp_path / "profiles" / "default.json"
    write_profile(path, profile)
    assert read_profile(path) == profile
    assert profile.node_url == "http://node"
    assert profile.rpc_url == "http://127.0.0.1:8545"


def test_an_own_rpc_is_preferred_to_the_nodes() -> None:
    assert profile_from_market(MARKET, "http://node", "http://mine").rpc_url == "http://mine"


def test_without_joining_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refused:
        read_profile(tmp_path / "absent.json")
    assert refused.value.code == "no-profile"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"node_url": 1}'])
def test_a_damaged_profile_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "default.json"
    path.write_text(content)
    with pytest.raises(Rejected):
        read_profile(path)


def test_a_node_that_hides_its_market_is_refused() -> None:
    with pytest.raises(Rejected):
        profile_from_market({}, "http://node", None)
