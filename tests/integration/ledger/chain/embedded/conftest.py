# web3.py's results are dynamically typed
"""A fresh grid with the test token on it, served in this process or in one that can be killed."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from contracts.loader import artifact
from ledger.chain.embedded.grid import GridPolicy, deploy_grid, initialise, open_chain
from ledger.chain.embedded.sealing import SealPolicy
from ledger.chain.embedded.server import ServePolicy, serve, url_of

CHAIN_ID = 4_242_424_242
FAUCET_KEY = b"\x05" * 32
SCRIPT = """
import sys, time
from pathlib import Path
from ledger.chain.embedded.sealing import SealPolicy
from ledger.chain.embedded.server import ServePolicy, run
seal = SealPolicy(seconds=0.0, on_demand=sys.argv[2] == "on-demand")
run(Path(sys.argv[1]), clock=time.time, port=0, policy=ServePolicy(seal=seal))
"""


@dataclass
class Grid:
    """A served chain as a client sees it; `faucet` holds all the coin and token."""

    directory: Path
    session: requests.Session
    web3: Web3
    faucet: LocalAccount
    token: Any

    def request(self, method: str, *params: Any) -> Any:
        return self.web3.provider.make_request(method, list(params))  # type: ignore[arg-type]

    def signed(self, account: LocalAccount, **fields: Any) -> bytes:
        if "nonce" not in fields:
            fields["nonce"] = self.web3.eth.get_transaction_count(account.address, "pending")
        defaults = {
            "type": 2,
            "chainId": CHAIN_ID,
            "gas": 200_000,
            "maxFeePerGas": 4 * 10**9,
            "maxPriorityFeePerGas": 10**6,
        }
        return bytes(account.sign_transaction({**defaults, **fields}).raw_transaction)

    def transfer(self, to: str, amount: int, **fields: Any) -> bytes:
        data = self.token.encode_abi("transfer", [to, amount])
        return self.signed(self.faucet, to=self.token.address, data=data, **fields)


def client(directory: Path, url: str) -> Grid:
    session = requests.Session()
    web3 = Web3(Web3.HTTPProvider(url, session=session))
    addresses = web3.provider.make_request("bingwang_status", [])["result"]["contracts"]  # type: ignore[arg-type]
    token = web3.eth.contract(
        address=Web3.to_checksum_address(addresses["token"]), abi=artifact("TestToken").abi
    )
    return Grid(
        directory=directory, session=session, web3=web3, faucet=Account.from_key(FAUCET_KEY), token=token
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    initialise(
        tmp_path / "chain",
        chain_id=CHAIN_ID,
        at=int(time.time()),
        faucet_key=FAUCET_KEY,
        populate=lambda chain: deploy_grid(chain, artifact, GridPolicy()),
    )
    return tmp_path / "chain"


@pytest.fixture
def serving(directory: Path) -> Iterator[Callable[..., Grid]]:
    with ExitStack() as stack:

        def start(**policy: Any) -> Grid:
            policy.setdefault("seal", SealPolicy(seconds=0.0, confirm_seconds=0.05))
            chain = open_chain(directory, time.time, finality=policy.get("finality", 2))
            stack.callback(chain.close)
            server = stack.enter_context(serve(chain, policy=ServePolicy(**policy)))
            grid = client(directory, server.url)
            stack.callback(grid.session.close)
            return grid

        yield start


@pytest.fixture
def spawning(directory: Path) -> Callable[..., Any]:
    @contextmanager
    def spawn(mode: str = "automatic") -> Iterator[tuple[Grid, subprocess.Popen[bytes]]]:
        (directory / "rpc.url").unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-W", "error", "-c", SCRIPT, str(directory), mode])
        try:
            while (url := url_of(directory)) is None:
                assert process.poll() is None
                time.sleep(0.01)
            grid = client(directory, url)
            with closing(grid.session):
                yield grid, process
        finally:
            process.kill()
            process.wait()

    return spawn
