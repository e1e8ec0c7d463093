from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ledger.market.errors import Rejected
from ledger.market.identity import Address
from provider_agent.directory import (
    NewProvider,
    init_provider,
    only_one,
    open_key,
    read_status,
    request_drain,
)
from provider_agent.settings import Market, read_settings, settings_from_plain

PLAIN: dict[str, Any] = {
    "name": "bench",
    "domain": "lab/berlin",
    "region": "local",
    "node": "http://127.0.0.1:8440/",
    "rpc": "http://127.0.0.1:8545",
    "market": {"chain_id": 7, "address": "0x" + "11" * 20},
    "prices": {"core": 0.02, "gib": "0.004"},
    "lend": {"cores": 2, "memory": "4GiB", "disk": "512MiB", "max_seconds": 60},
    "rules": {
        "buyers": {"deny": ["0x" + "22" * 20]},
        "images": {"allow": ["sha256:" + "ab" * 32]},
        "domains": {"allow": ["uni/*"], "members": {"uni/a": ["0x" + "33" * 20]}},
    },
}


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    plain = deepcopy(PLAIN)
    change(plain)
    return plain


def test_a_full_file_is_read() -> None:
    settings = settings_from_plain(PLAIN)
    assert settings.node == "http://127.0.0.1:8440"
    assert str(settings.prices.core) == "0.02"
    assert (settings.limits.cpu, settings.limits.memory, settings.limits.disk) == (2_000, 4_096, 512)
    assert settings.rules.deny_buyers == {Address(b"\x22" * 20)}
    assert settings.rules.domains_of(Address(b"\x33" * 20)) == ("uni/a",)


@pytest.mark.parametrize(
    ("change", "near"),
    [
        (lambda p: p.update(domian="x"), "domain"),
        (lambda p: p["prices"].update(cores="1"), "core"),
        (lambda p: p["lend"].update(memmory="1GiB"), "memory"),
        (lambda p: p["rules"].update(buyer={}), "buyers"),
        (lambda p: p["rules"]["domains"].update(denied=[]), "deny"),
        (lambda p: p["market"].update(adress="x"), "address"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(change: Callable[[Any], object], near: str) -> None:
    with pytest.raises(Rejected) as refused:
        settings_from_plain(changed(change))
    assert refused.value.code == "unknown-key"
    assert f"{near!r}" in refused.value.remedy


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: p.pop("domain"), "missing-key"),
        (lambda p: p.update(domain="Lab"), "malformed-domain"),
        (lambda p: p.update(region="moon"), "unknown-region"),
        (lambda p: p.update(node="localhost"), "malformed-url"),
        (lambda p: p["prices"].update(core="cheap"), "malformed-price"),
        (lambda p: p["prices"].update(core=-1), "malformed-price"),
        (lambda p: p["prices"].update(core=True), "wrong-type"),
        (lambda p: p["lend"].update(memory="4GB"), "malformed-size"),
        (lambda p: p["lend"].update(cores=0), "too-small"),
        (lambda p: p["rules"]["images"].update(allow=["debian:12"]), "malformed-image-digest"),
        (lambda p: p["rules"]["buyers"].update(allow=["0x12"]), "malformed-hex"),
        (lambda p: p["rules"]["domains"].update(members=["x"]), "malformed-document"),
        (lambda p: p["rules"]["domains"].update(allow=["UNI/*"]), "malformed-domain-pattern"),
        (lambda p: p.update(stake="much"), "malformed-stake"),
        (lambda p: p.update(stake=-1), "malformed-stake"),
        (lambda p: p.update(owner="0x12"), "malformed-hex"),
    ],
)
def test_a_wrong_value_is_refused_by_name(change: Callable[[Any], object], code: str) -> None:
    with pytest.raises(Rejected) as refused:
        settings_from_plain(changed(change))
    assert refused.value.code == code


def a_new_provider(**changes: Any) -> NewProvider:
    plain: dict[str, Any] = {
        "name": "bench",
        "domain": "lab/berlin",
        "region": "local",
        "node": "http://127.0.0.1:8440",
        "rpc": "http://127.0.0.1:8545",
        "market": Market(chain_id=7, address=Address(b"\x11" * 20)),
        "prices": {"core": "0.02", "gib": "0"},
        "lend": {"cores": 1},
    }
    return NewProvider(**plain | changes)


def test_init_writes_what_is_read_back(tmp_path: Path) -> None:
    key = init_provider(tmp_path / "p", a_new_provider(), "secret", b"\x01" * 32)
    settings = read_settings(tmp_path / "p")
    assert (settings.domain, settings.limits.cpu, settings.market.chain_id) == ("lab/berlin", 1_000, 7)
    assert open_key(tmp_path / "p", lambda: "secret").address == key.address
    with pytest.raises(Rejected, match="exists"):
        init_provider(tmp_path / "p", a_new_provider(), "secret", b"\x02" * 32)


def test_stake_and_owner_are_written_and_read_back(tmp_path: Path) -> None:
    owner = Address(b"\x44" * 20)
    init_provider(tmp_path / "p", a_new_provider(stake="2.5", owner=owner), "secret", b"\x01" * 32)
    settings = read_settings(tmp_path / "p")
    assert (settings.stake, settings.owner) == ("2.5", owner)
    default = settings_from_plain(PLAIN)
    assert (default.stake, default.owner) == ("", None)
    assert settings_from_plain(changed(lambda p: p.update(stake=0.5))).stake == "0.5"


def test_one_agent_alone_serves_a_folder(tmp_path: Path) -> None:
    with (
        only_one(tmp_path / "lock"),
        pytest.raises(Rejected, match="Another agent"),
        only_one(tmp_path / "lock"),
    ):
        pass


def test_init_with_a_wrong_setting_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Rejected):
        init_provider(tmp_path / "p", a_new_provider(region="moon"), "secret", b"\x01" * 32)
    assert not (tmp_path / "p").exists()


def test_a_folder_without_a_provider_is_named(tmp_path: Path) -> None:
    for ask in (read_settings, read_status):
        with pytest.raises(Rejected, match="bingwang provider"):
            ask(tmp_path)
    (tmp_path / "provider.yaml").write_text("name: [")
    with pytest.raises(Rejected, match="Correct the YAML"):
        read_settings(tmp_path)


def test_a_drain_is_asked_for_and_taken_back(tmp_path: Path) -> None:
    request_drain(tmp_path)
    request_drain(tmp_path)
    assert (tmp_path / "drain").exists()
    request_drain(tmp_path, draining=False)
    request_drain(tmp_path, draining=False)
    assert not (tmp_path / "drain").exists()
