"""Clients that others wrote trade on the embedded chain as they are published: foundry's cast, and ethers."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from contracts.loader import artifact
from ledger.chain.client import MarketClient
from ledger.chain.embedded.genesis import Genesis
from ledger.chain.embedded.grid import GridPolicy, deploy_grid, initialise, open_chain
from ledger.chain.embedded.sealing import SealPolicy
from ledger.chain.embedded.server import ServePolicy, serve
from ledger.chain.structs import offer_words
from ledger.chain.typed_data import offer_id
from ledger.market.identity import Address
from ledger.market.offer import Offer
from tests.factories import HOUR, an_offer
from tests.npm_tools import node, npm_tool

CHAIN_ID = 4_242_424_243
CLIENT = Path(__file__).with_name("ethers_client.js")
FIELDS = (
    "provider",
    "capacity",
    "ask",
    "traits",
    "minSeconds",
    "maxSeconds",
    "validUntil",
    "epoch",
    "salt",
    "document",
)
OFFER = "(bytes32,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,bytes32)"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Genesis]]:
    directory = tmp_path_factory.mktemp("outside") / "chain"
    identity = initialise(
        directory,
        chain_id=CHAIN_ID,
        at=int(time.time()),
        faucet_key=b"\x05" * 32,
        populate=lambda chain: deploy_grid(chain, artifact, GridPolicy()),
    )
    chain = open_chain(directory, time.time, keep_states=None)
    try:
        seal = SealPolicy(seconds=0.0, confirm_seconds=0.05, linger_pause=0.2)
        with serve(chain, policy=ServePolicy(seal=seal)) as server:
            yield server.url, identity
    finally:
        chain.close()


@pytest.fixture(scope="module")
def market(served: tuple[str, Genesis]) -> Iterator[MarketClient]:
    url, identity = served
    client = MarketClient(url, Address(identity.contracts["market"]))
    yield client
    client.close()


def hexadecimal(value: bytes | int) -> str | int:
    """Addresses stand in a word of their own in structs that are hashed."""
    return f"0x{value.rjust(32, bytes(1)).hex()}" if isinstance(value, bytes) else value


def offer_of(provider: str) -> Offer:
    account = Address(bytes.fromhex(provider[2:]))
    return replace(an_offer(), provider=account, valid_until=int(time.time()) + HOUR)


Cast = Callable[..., str]


@pytest.fixture(scope="module")
def cast(served: tuple[str, Genesis], tmp_path_factory: pytest.TempPathFactory) -> Cast:
    environment = {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "ETH_RPC_URL": served[0],
        "FOUNDRY_OFFLINE": "true",  # asks no directory of signatures
    }

    def run(*words: object, expect: int = 0) -> str:
        command = [npm_tool("cast"), *map(str, words)]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, timeout=60
        )
        assert done.returncode == expect, done.stderr
        return done.stdout.strip() if expect == 0 else done.stderr

    return run


def test_cast_deposits_offers_and_queries(
    served: tuple[str, Genesis], market: MarketClient, cast: Cast
) -> None:
    account = Account.from_key(b"\x31" * 32)
    key, (token, place) = (
        "0x" + "31" * 32,
        (f"0x{served[1].contracts[name].hex()}" for name in ("token", "market")),
    )

    def send(to: str, signature: str, *arguments: object) -> Any:
        receipt = json.loads(cast("send", to, signature, *arguments, "--private-key", key, "--json"))
        assert receipt["status"] == "0x1"
        return receipt

    for transaction in json.loads(cast("rpc", "bingwang_faucet", account.address))["transactions"]:
        assert cast("receipt", transaction, "status") == "true"
    assert cast("balance", account.address) == str(10**18)
    assert cast("call", token, "balanceOf(address)(uint256)", account.address).split()[0] == str(10**9)
    send(token, "approve(address,uint256)", place, 1_000)
    deposit = send(place, "deposit(uint256)", 700)
    offer = offer_of(account.address)
    words = ",".join(str(hexadecimal(word)) for word in offer_words(offer))
    send(place, f"registerOffer({OFFER})", f"({words})")

    assert market.balance_of(Address(bytes.fromhex(account.address[2:]))) == 700
    identity = f"0x{offer_id(market.domain(), offer).hex()}"
    assert cast("call", place, "offerFlags(bytes32)(uint256)", identity) == "1"
    event = "Deposited(address indexed,uint256)"
    logs = json.loads(cast("logs", "--from-block", 0, "--address", place, event, account.address, "--json"))
    assert [(log["transactionHash"], int(log["data"], 16)) for log in logs] == [
        (deposit["transactionHash"], 700)
    ]
    topic = cast(
        "sig-event",
        "OfferRegistered(bytes32,address,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,bytes32)",
    )
    (registered,) = json.loads(cast("logs", "--from-block", 0, topic, identity, "--json"))
    assert registered["topics"][1] == identity


def test_cast_reads_blocks_transactions_and_what_happened_in_them(
    served: tuple[str, Genesis], market: MarketClient, cast: Cast
) -> None:
    account = Account.from_key(b"\x32" * 32)
    (paid, _) = json.loads(cast("rpc", "bingwang_faucet", account.address))["transactions"]
    receipt = json.loads(cast("receipt", paid, "--json"))
    block = json.loads(cast("block", int(receipt["blockNumber"], 16), "--json"))
    assert (block["hash"], paid in block["transactions"]) == (receipt["blockHash"], True)
    assert json.loads(cast("tx", paid, "--json"))["blockHash"] == block["hash"]
    assert int(cast("block-number")) >= int(receipt["blockNumber"], 16)
    assert int(cast("chain-id")) == CHAIN_ID == market.chain_id()
    assert int(cast("nonce", account.address)) == 0
    assert int(cast("gas-price")) > 0


def test_cast_shows_what_a_transaction_did_inside(served: tuple[str, Genesis], cast: Cast) -> None:
    account = Account.from_key(b"\x33" * 32)
    key, (token, place) = (
        "0x" + "33" * 32,
        (f"0x{served[1].contracts[name].hex()}" for name in ("token", "market")),
    )
    for transaction in json.loads(cast("rpc", "bingwang_faucet", account.address))["transactions"]:
        cast("receipt", transaction)
    cast("send", token, "approve(address,uint256)", place, 1_000, "--private-key", key)
    deposit = json.loads(cast("send", place, "deposit(uint256)", 700, "--private-key", key, "--json"))
    # cast runs it again by itself, on state it reads from us, and comes to the same.
    told = cast("run", deposit["transactionHash"])
    assert "Transaction successfully executed" in told
    assert f"Gas used: {int(deposit['gasUsed'], 16)}" in told
    wanted = '{"tracer":"callTracer"}'
    tree = json.loads(cast("rpc", "debug_traceTransaction", deposit["transactionHash"], wanted))
    assert (tree["gasUsed"], {call["to"] for call in tree["calls"]}) == (deposit["gasUsed"], {token})


def test_cast_is_told_why_a_call_is_refused(served: tuple[str, Genesis], cast: Cast) -> None:
    account, place = Account.from_key(b"\x34" * 32), f"0x{served[1].contracts['market'].hex()}"
    for words in (("call", place, "withdraw(uint256)", 5), ("estimate", place, "withdraw(uint256)", 5)):
        said = cast(*words, "--from", account.address, expect=1)
        assert "error code 3: execution reverted: accounts: balance too small" in said


def test_ethers_trades_over_http_and_hears_of_it_over_websocket(
    served: tuple[str, Genesis], market: MarketClient
) -> None:
    key = b"\x35" * 32
    account = Account.from_key(key).address
    offer = offer_of(account)
    words = dict(zip(FIELDS, map(hexadecimal, offer_words(offer)), strict=True))
    asked = {
        "url": served[0],
        "ethers": npm_tool("ethers"),
        "ws": npm_tool("ws"),
        "key": f"0x{key.hex()}",
        **{name: f"0x{served[1].contracts[name].hex()}" for name in ("token", "market")},
        "tokenAbi": artifact("TestToken").abi,
        "marketAbi": artifact("ComputeMarket").abi,
        "offer": {name: str(word) for name, word in words.items()},
    }
    done = subprocess.run(
        [node(), CLIENT], input=json.dumps(asked), check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)

    assert seen["account"] == account
    assert seen["balances"] == [str(10**18), str(10**9)]
    assert (seen["deposit"]["status"], seen["deposit"]["logs"]) == (1, 2)
    assert seen["heard"] == {"who": account, "amount": "700", "transaction": seen["deposit"]["hash"]}
    assert seen["heads"] > 0
    assert seen["deposit"]["hash"] in seen["found"]
    assert seen["deposited"] == ["700"]
    assert market.balance_of(offer.provider) == int(seen["held"]) == 700
    identity = f"0x{offer_id(market.domain(), offer).hex()}"
    assert seen["offer"] == {"status": 1, "id": identity, "digest": identity, "flags": "1"}
    assert seen["refusal"] == {"code": "CALL_EXCEPTION", "reason": "accounts: balance too small"}
    assert seen["nonce"] == 3
    assert int(seen["fees"]["maxFeePerGas"]) > 0
    assert (seen["trace"]["type"], seen["trace"]["to"]) == ("CALL", asked["market"])
    assert seen["finalized"] > 0
