"""A market deployed over JSON-RPC: whole, once, and taken up again wherever it was cut off."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from web3.exceptions import Web3RPCError

from contracts.loader import artifact
from ledger.chain.client import MarketClient
from ledger.chain.deployment import Deployment, DeploymentPlan, deploy
from ledger.chain.embedded.grid import initialise, open_chain
from ledger.chain.embedded.sealing import SealPolicy
from ledger.chain.embedded.server import ServePolicy, serve
from ledger.chain.keys import LocalKey, UnsignedTransaction
from ledger.chain.rpc import Rpc
from ledger.chain.verification import verification_bundle
from ledger.chain.wallet import Patience
from ledger.market.errors import Broken, Rejected, Unavailable
from ledger.market.identity import NOBODY, Address
from ledger.market.policy import EMBEDDED
from tests.factories import NOW

FAUCET = LocalKey(sha256(b"faucet").digest())
POOR = LocalKey(sha256(b"poor").digest())
ARBITER = Address(bytes([7]) * 20)
PLAN = DeploymentPlan(guardian=NOBODY, arbiter=ARBITER, policy=EMBEDDED)


class InterceptedEth:
    """web3's `eth` with some methods replaced; `swap` gets the real method and answers in its place."""

    def __init__(self, real: object, **swaps: Callable[..., Any]) -> None:
        self._real = real
        self._swaps = swaps

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name not in self._swaps:
            return real
        swap = self._swaps[name]
        return lambda *arguments: swap(real, *arguments)


@dataclass
class Bench:
    """A served chain without contracts, and where the journal goes."""

    url: str
    journal: Path

    def rpc(self, **swaps: Callable[..., Any]) -> Rpc:
        rpc = Rpc(self.url)
        rpc.eth = InterceptedEth(rpc.eth, **swaps)  # type: ignore[assignment]  # a double with its methods
        return rpc

    def patience(self, rpc: Rpc) -> Patience:
        """Seals a block instead of sleeping."""
        ticks = count()

        def seal(_: float) -> None:
            rpc.raw("bingwang_seal")

        return Patience(clock=lambda: next(ticks) / 10, sleep=seal, seconds=3.0, pause=0.0)

    def deploy(
        self, plan: DeploymentPlan = PLAN, key: LocalKey = FAUCET, **swaps: Callable[..., Any]
    ) -> Deployment:
        rpc = self.rpc(**swaps)
        try:
            return deploy(rpc, key, plan, self.journal, self.patience(rpc))
        finally:
            rpc.close()

    def sent(self) -> int:
        rpc = self.rpc()
        try:
            return int(rpc.eth.get_transaction_count(to_checksum_address(FAUCET.address), "latest"))
        finally:
            rpc.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    initialise(tmp_path / "chain", chain_id=4_242, at=NOW - 10, faucet_key=sha256(b"faucet").digest())
    chain = open_chain(tmp_path / "chain", lambda: NOW)
    try:
        with serve(chain, policy=ServePolicy(seal=SealPolicy(on_demand=True))) as server:
            yield Bench(url=server.url, journal=tmp_path / "deployment.json")
    finally:
        chain.close()


def check_market(bench: Bench, made: Deployment, plan: DeploymentPlan = PLAN) -> None:
    client = MarketClient(bench.url, made.market)
    try:
        assert client.policy() == plan.policy
        assert client.token() == made.token
    finally:
        client.close()


def test_a_market_with_a_test_token_is_deployed_in_three_transactions(bench: Bench) -> None:
    made = bench.deploy()
    check_market(bench, made)
    assert [created.name for created in made.created] == ["TestToken", "ReplicaJury", "ComputeMarket"]
    assert [created.address for created in made.created] == [made.token, made.jury, made.market]
    assert made.block == made.created[-1].block
    assert bench.sent() == 3


def test_a_market_of_a_known_token_needs_two(bench: Bench) -> None:
    token = bench.deploy().token
    bench.journal.unlink()
    plan = replace(PLAN, token=token)
    made = bench.deploy(plan)
    check_market(bench, made, plan)
    assert (made.token, len(made.created)) == (token, 2)


def test_a_chain_without_base_fee_gets_transactions_with_a_gas_price(bench: Bench) -> None:
    def before_london(real: Callable[..., Any], *arguments: object) -> dict[str, Any]:
        return {name: value for name, value in real(*arguments).items() if name != "baseFeePerGas"}

    check_market(bench, bench.deploy(get_block=before_london))
    raws = [raw for entry in journal_of(bench).values() for raw in entry["transactions"]]
    assert all(int(raw[2:4], 16) >= 0xC0 for raw in raws), "a list, not a typed envelope"


def test_repeating_a_finished_deployment_sends_nothing(bench: Bench) -> None:
    made = bench.deploy()
    assert bench.deploy() == made
    assert bench.sent() == 3


@pytest.mark.parametrize("sends_before", [0, 1, 2])
@pytest.mark.parametrize("arrives", [False, True], ids=["before the chain had it", "after the chain had it"])
def test_a_deployment_that_was_cut_off_goes_on(bench: Bench, sends_before: int, arrives: bool) -> None:
    made = count()

    def cut_off(real: Callable[..., Any], raw: bytes) -> Any:
        if next(made) == sends_before:
            if arrives:
                real(raw)
            raise KeyboardInterrupt
        return real(raw)

    with pytest.raises(KeyboardInterrupt):
        bench.deploy(send_raw_transaction=cut_off)
    check_market(bench, bench.deploy())
    assert bench.sent() == 3


def test_a_nonce_that_another_transaction_took_is_replaced(bench: Bench) -> None:
    def lose(_: Callable[..., Any], __: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.deploy(send_raw_transaction=lose)
    spend_nonce(bench)
    check_market(bench, bench.deploy())
    assert bench.sent() == 4


def spend_nonce(bench: Bench) -> None:
    rpc = bench.rpc()
    fields = UnsignedTransaction(
        chain_id=4_242, nonce=0, to=ARBITER, data=b"", gas=21_000, max_fee=10**10, tip=10**9, value=1
    )
    rpc.eth.send_raw_transaction(FAUCET.sign_transaction(fields).raw)
    rpc.raw("bingwang_seal")
    rpc.close()


def test_an_underpriced_transaction_is_offered_again_at_a_higher_fee(bench: Bench) -> None:
    answers = iter(["transaction underpriced"])

    def refuse_once(real: Callable[..., Any], raw: bytes) -> Any:
        if message := next(answers, None):
            raise Web3RPCError(message, rpc_response={"error": {"code": -32000, "message": message}})
        return real(raw)

    check_market(bench, bench.deploy(send_raw_transaction=refuse_once))
    assert len(journal_of(bench)["TestToken"]["transactions"]) == 2
    assert bench.sent() == 3


def test_another_plan_or_account_is_not_mixed_into_a_deployment(bench: Bench) -> None:
    bench.deploy()
    for plan, key in ((replace(PLAN, arbiter=Address(bytes([8]) * 20)), FAUCET), (PLAN, POOR)):
        with pytest.raises(Rejected) as refusal:
            bench.deploy(plan, key)
        assert refusal.value.code == "deployment-differs"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"plan": 1, "contracts": 2}', "\x00"])
def test_a_file_that_is_no_journal_is_refused(bench: Bench, content: str) -> None:
    bench.journal.write_text(content, "utf-8")
    with pytest.raises(Rejected) as refusal:
        bench.deploy()
    assert refusal.value.code == "journal-unreadable"


def test_an_account_without_coin_is_told_so_and_nothing_is_left_behind(bench: Bench) -> None:
    with pytest.raises(Rejected) as refusal:
        bench.deploy(key=POOR)
    assert refusal.value.code == "no-coin-for-gas"


def test_a_market_that_refuses_its_policy_is_told_before_it_costs_gas(bench: Bench) -> None:
    with pytest.raises(Rejected) as refusal:
        bench.deploy(replace(PLAN, arbiter=NOBODY))
    assert refusal.value.code == "reverted"
    assert bench.sent() == 2


def test_a_silent_chain_leaves_a_deployment_that_can_go_on(bench: Bench) -> None:
    with pytest.raises(Unavailable) as failure:
        bench.deploy(send_raw_transaction=lambda _, __: None)
    assert failure.value.code == "not-mined"
    check_market(bench, bench.deploy())
    assert bench.sent() == 3


def test_code_that_is_not_ours_is_reported(bench: Bench) -> None:
    with pytest.raises(Broken) as failure:
        bench.deploy(get_code=lambda _, __: b"\x00")
    assert failure.value.code == "deployment-failed"


def test_the_bundle_has_the_arguments_that_were_deployed(bench: Bench) -> None:
    made = bench.deploy()
    files = verification_bundle(made)
    arguments = files["ComputeMarket/constructor-arguments.hex"]
    rpc = bench.rpc()
    creation = rpc.eth.get_transaction(made.created[-1].transaction)["input"]  # type: ignore[arg-type]
    rpc.close()
    assert bytes(creation) == artifact("ComputeMarket").bytecode + bytes.fromhex(arguments)


def journal_of(bench: Bench) -> dict[str, Any]:
    contracts: dict[str, Any] = json.loads(bench.journal.read_text("utf-8"))["contracts"]
    return contracts
