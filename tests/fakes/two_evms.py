"""The same funded market on py-evm and on anvil: what a reorganisation does is not one chain's view alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import to_checksum_address

from ledger.chain.calls import transfer
from ledger.chain.client import MarketClient
from ledger.chain.deployment import DeploymentPlan, deploy
from ledger.chain.embedded.genesis import Genesis
from ledger.chain.keys import LocalKey
from ledger.chain.rpc import Rpc
from ledger.market.identity import NOBODY
from ledger.market.policy import EMBEDDED
from tests.anvil import anvil
from tests.factories import NOW
from tests.fakes.chain_grid import BUYER, FAUCET, MONEY, NODE, PROVIDER, Clock, Grid, sealing, served_grid

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

    def give(self, key: LocalKey) -> None:
        self.client._rpc.raw("anvil_setBalance", to_checksum_address(key.address), hex(_COIN))
        self.send(FAUCET, transfer(self.client.token(), key.address, 10 * MONEY))


@contextmanager
def a_market_on(evm: str, directory: Path) -> Iterator[Grid]:
    """A market of which everything so far is final; the buyer has a balance, the provider a stake."""
    with _on_anvil(directory) if evm == "anvil" else served_grid(directory, FINALITY) as grid:
        for _ in range(FINALITY):
            grid.seal()
        yield grid


@contextmanager
def _on_anvil(directory: Path) -> Iterator[Grid]:
    options = ("--no-mining", "--order", "fifo", "--hardfork", "prague", "--timestamp", str(NOW - 10))
    with anvil(*options, "--chain-id", str(_ANVIL_CHAIN)) as url:
        rpc = Rpc(url)
        for key in (FAUCET, NODE):
            rpc.raw("anvil_setBalance", to_checksum_address(key.address), hex(_COIN))
        plan = DeploymentPlan(guardian=NOBODY, arbiter=FAUCET.address, policy=EMBEDDED)
        made = deploy(rpc, FAUCET, plan, directory / "deployment.json", sealing(lambda: rpc.raw("evm_mine")))
        rpc.close()
        identity = Genesis(
            chain_id=_ANVIL_CHAIN,
            timestamp=NOW - 10,
            faucet=FAUCET.address,
            contracts={"token": made.token, "jury": made.jury, "market": made.market},
        )
        grid = Anvil(client=MarketClient(url, made.market), clock=Clock(), identity=identity)
        grid.fund(BUYER)
        grid.fund(PROVIDER, staked=MONEY // 2)
        yield grid
        grid.client.close()
