"""What is sent to the explorers says which contract, which compiler and which arguments."""

import json
from urllib.parse import parse_qs

import pytest

from contracts.loader import artifact, standard_input
from ledger.chain.deployment import CreatedContract, Deployment
from ledger.chain.verification import verification_bundle
from ledger.market.identity import Address

TOKEN, JURY, MARKET = (Address(bytes([n]) * 20) for n in (1, 2, 3))
NAMES = {"ReplicaJury": JURY, "ComputeMarket": MARKET}


def a_deployment() -> Deployment:
    created = tuple(
        CreatedContract(name=name, address=at, transaction=at + bytes(12), block=9, arguments=at[:2])
        for name, at in NAMES.items()
    )
    return Deployment(
        chain_id=10, deployer=TOKEN, token=TOKEN, jury=JURY, market=MARKET, block=9, created=created
    )


FILES = verification_bundle(a_deployment())


def test_every_created_contract_has_its_files_and_no_other() -> None:
    kinds = [
        "standard-input.json",
        "constructor-arguments.hex",
        "sourcify.json",
        "blockscout.json",
        "etherscan.form",
    ]
    assert set(FILES) == {"README.md"} | {f"{name}/{kind}" for name in NAMES for kind in kinds}


@pytest.mark.parametrize("name", NAMES)
def test_sourcify_gets_input_compiler_contract_and_transaction(name: str) -> None:
    body = json.loads(FILES[f"{name}/sourcify.json"])
    assert body == {
        "stdJsonInput": json.loads(standard_input(name)),
        "compilerVersion": "0.4.3+commit.bff19ea2",
        "contractIdentifier": f"contracts/{name}.vy:{name}",
        "creationTransactionHash": "0x" + (NAMES[name] + bytes(12)).hex(),
    }
    assert f"contracts/{name}.vy" in body["stdJsonInput"]["sources"]


@pytest.mark.parametrize("name", NAMES)
def test_blockscout_gets_its_form_fields(name: str) -> None:
    fields = json.loads(FILES[f"{name}/blockscout.json"])
    assert fields == {
        "compiler_version": f"v{artifact(name).compiler}",
        "license_type": "apache_2_0",
        "files[0]": "standard-input.json",
    }


@pytest.mark.parametrize("name", NAMES)
def test_etherscan_gets_a_form_with_the_encoded_arguments(name: str) -> None:
    form = {key: value for key, (value,) in parse_qs(FILES[f"{name}/etherscan.form"]).items()}
    assert form["codeformat"] == "vyper-json"
    assert form["sourceCode"] == standard_input(name)
    assert form["contractname"] == f"contracts/{name}.vy:{name}"
    assert form["compilerversion"] == "vyper:0.4.3"
    assert form["constructorArguments"] == NAMES[name][:2].hex()
    assert form["contractaddress"] == "0x" + NAMES[name].hex()


def test_the_commands_name_the_chain_and_the_addresses() -> None:
    for address in NAMES.values():
        assert f"https://sourcify.dev/server/v2/verify/10/0x{address.hex()}" in FILES["README.md"]
        assert f"/smart-contracts/0x{address.hex()}/verification" in FILES["README.md"]
