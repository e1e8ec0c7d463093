"""The same funded market on py-evm and on anvil: what a reorganisation does is not one chain's view alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path

from eth_utils.address import to_checksum_address

from contracts.loader import artifact
from ledger.chain.calls import approve, deposit, stake, transfer
from ledger.chain.client import MarketClient
from ledger.chain.deployment import DeploymentPlan, deploy
from ledger.chain.embedded.genesis import Genesis
from ledger.chain.embedded.grid import GridPolicy, deploy_grid, initialise, open_chain
from ledger.chain.embedded.sealing import SealPolicy
from ledger.chain.embedded.server import ServePolicy, serve
from ledger.chain.keys import LocalKey
from ledger.chain.rpc import Rpc
from ledger.chain.wallet import Patience
from ledger.market.identity import NOBODY, Address
from ledger.market.policy import EMBEDDED
from tests.anvil import anvil
from tests.factories import NOW
from tests.fakes.chain_grid import BUYER, FAUCET, MONEY, NODE, PROVIDER, Clock, Grid

FINALITY = 64
"""blocks behind the head on both: no deeper reorganisation is one that a follower must survive"""
EVMS = ("embedded", "anvil")
_COIN = 10**20
_ANVIL_CHAIN = 424_244


@dataclass
class Anvil(Grid):
    """As the embedded grid, by anvil's own methods."""

    def seal(self) -> None:
        self.client._rpc.raw("evm_mine")

    def reorg(self, depth: int) -> None:
        """Its transactions are gone; a chain of the same height takes the place."""
        self.client._rpc.raw("anvil_reorg", depth, [])

    def fund(self, key: LocalKey, *, staked: int = 0) -> None:
        self.client._rpc.raw("anvil_setBalance", to_checksum_address(key.address), hex(_COIN))
        self.send(FAUCET, transfer(self.client.token(), key.address, 10 * MONEY))
        self.send(key, approve(self.client.token(), self.client.market, 2**255))
        self.send(key, deposit(self.client.market, MONEY))
        if staked:
            self.send(key, stake(self.client.market, staked))


@contextmanager
def a_market_on(evm: str, directory: Path) -> Iterator[Grid]:
    """A market of which everything so far is final; the buyer has a balance, the provider a stake."""
    with (_on_anvil if evm == "anvil" else _embedded)(directory) as grid:
        grid.fund(BUYER)
        grid.fund(PROVIDER, staked=MONEY // 2)
        for _ in range(FINALITY):
            grid.seal()
        yield grid
        grid.client.close()


@contextmanager
def _embedded(directory: Path) -> Iterator[Grid]:
    identity = initialise(
        directory,
        chain_id=424_243,
        at=NOW - 10,
        faucet_key=sha256(b"faucet").digest(),
        populate=lambda chain: deploy_grid(chain, artifact, GridPolicy()),
    )
    clock = Clock()
    chain = open_chain(directory, clock, finality=FINALITY)
    policy = ServePolicy(seal=SealPolicy(on_demand=True), allow_reorg=True)
    try:
        with serve(chain, policy=policy) as server:
            client = MarketClient(server.url, Address(identity.contracts["market"]))
            grid = Grid(client=client, clock=clock, identity=identity)
            client.faucet(NODE.address)
            grid.seal()
            yield grid
    finally:
        chain.close()


@contextmanager
def _on_anvil(directory: Path) -> Iterator[Grid]:
    options = ("--no-mining", "--order", "fifo", "--hardfork", "prague", "--timestamp", str(NOW - 10))
    with anvil(*options, "--chain-id", str(_ANVIL_CHAIN)) as url:
        rpc = Rpc(url)
        for key in (FAUCET, NODE):
            rpc.raw("anvil_setBalance", to_checksum_address(key.address), hex(_COIN))
        plan = DeploymentPlan(guardian=NOBODY, arbiter=FAUCET.address, policy=EMBEDDED)
        made = deploy(rpc, FAUCET, plan, directory / "deployment.json", _mining(rpc))
        rpc.close()
        identity = Genesis(
            chain_id=_ANVIL_CHAIN,
            timestamp=NOW - 10,
            faucet=FAUCET.address,
            contracts={"token": made.token, "jury": made.jury, "market": made.market},
        )
        yield Anvil(client=MarketClient(url, made.market), clock=Clock(), identity=identity)


def _mining(rpc: Rpc) -> Patience:
    ticks = count()
    return Patience(
        clock=lambda: next(ticks) / 10, sleep=lambda _: rpc.raw("evm_mine"), seconds=5.0, pause=0.0
    )
