"""What a command needs of the world, opened when first used and closed at its end.

Modules behind it (signatures, the chain's client) are slow to import; commands import this module inside
their functions.
"""

import secrets
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

from ledger.chain.calls import Call
from ledger.chain.client import MarketClient
from ledger.chain.key_files import open_signer
from ledger.chain.keys import Signer
from ledger.chain.sessions import requests_by_session
from ledger.chain.typed_data import Domain
from ledger.chain.wallet import Patience, send_and_wait
from ledger.market.errors import Rejected
from ledger.market.identity import Address, BidId, from_text, text
from node.buying.buyer import Buyer
from node.buying.client import Identity, NodeClient
from node.buying.nonces import NonceCounter
from node.buying.profile import Profile, read_profile
from node.cli.home import Home, home, no_wallet, password

_ID_TEXT = 66


class Session:
    """One command's profile, wallet, node and chain. Use it as a context manager."""

    def __init__(
        self,
        *,
        wallet: str = "default",
        password_file: Path | None = None,
        node_url: str | None = None,
        rpc_url: str | None = None,
        engine_url: str | None = None,
        behalf: str | None = None,
    ) -> None:
        self.home: Home = home()
        self.wallet_name = wallet
        self._password_file = password_file
        self._node_url = node_url
        self._rpc_url = rpc_url
        self._engine_url = engine_url
        self._behalf = None if behalf is None else Address(from_text(behalf, 20))
        self._open = ExitStack()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @cached_property
    def profile(self) -> Profile:
        profile = read_profile(self.home.profile)
        profile = replace(profile, node_url=self._node_url or profile.node_url)
        return replace(profile, rpc_url=self._rpc_url or profile.rpc_url)

    @cached_property
    def domain(self) -> Domain:
        return Domain(chain_id=self.profile.chain_id, market=self.profile.market)

    @cached_property
    def address(self) -> Address:
        """The wallet's account; needs no password."""
        return self.home.address_of(self.wallet_name)

    @property
    def account(self) -> Address:
        """Whose jobs and money: the wallet's own, or the account that it spends for."""
        return self._behalf or self.address

    @cached_property
    def key(self) -> Signer:
        return wallet_key(self.wallet_name, self._password_file)

    @cached_property
    def reader(self) -> NodeClient:
        """The node, for what needs no signature."""
        client = NodeClient(self.profile.node_url, time.time, secrets.randbits)
        self._open.callback(client.close)
        return client

    @cached_property
    def node(self) -> NodeClient:
        """The node, for requests that the wallet signs."""
        key = requests_by_session(self.key, time.time, secrets.token_bytes)
        identity = Identity(domain=self.domain, key=key)
        client = NodeClient(self.profile.node_url, time.time, secrets.randbits, identity)
        self._open.callback(client.close)
        return client

    @cached_property
    def chain(self) -> MarketClient:
        """The market through the profile's own RPC; `Rejected` "wrong-chain" where it is another."""
        self._client.check_chain(self.profile.chain_id)
        return self._client

    @cached_property
    def _client(self) -> MarketClient:
        client = MarketClient(self.profile.rpc_url, self.profile.market)
        self._open.callback(client.close)
        return client

    @cached_property
    def buyer(self) -> Buyer:
        return Buyer(
            profile=self.profile,
            key=self.key,
            node=self.node,
            chain=self._client,
            nonces=self.nonces,
            clock=time.time,
            save_image=self.save_image,
            behalf=self._behalf,
        )

    @cached_property
    def nonces(self) -> NonceCounter:
        """The account's bid nonces, which its signed withdrawals share."""
        path = self.home.nonces(self.profile.chain_id, self.profile.market, self.account)
        return NonceCounter(path, self._unused_nonces)

    def _unused_nonces(self, count: int, first: int) -> list[int]:
        return self.chain.next_nonces(self.account, count, first)

    def send(self, call: Call) -> str:
        """Send one transaction of the wallet and wait for its block; the hash."""
        return text(send_and_wait(self.chain, self.key, call, patience()).transaction)

    def save_image(self, reference: str) -> Path:
        """The engine's image as an archive, kept so that it is saved and uploaded once."""
        from provider_agent.runtimes.engine import Engine
        from provider_agent.runtimes.export import image_config, save_image

        engine = Engine(self._engine_url)
        self._open.callback(engine.close)
        config = image_config(engine, reference)
        path = self.home.images / f"{config.removeprefix('sha256:')}.tar"
        if not path.exists():
            save_image(engine, reference, path)
        return path

    def job_id(self, given: str) -> BidId:
        """The job behind an id or its unique beginning among the wallet's jobs."""
        if len(given) == _ID_TEXT:
            return BidId(from_text(given, 32))
        wanted = given.lower() if given.lower().startswith("0x") else "0x" + given.lower()
        jobs = [str(job["job"]) for job in self.reader.jobs(text(self.account))]
        found = [job for job in jobs if job.startswith(wanted)]
        if len(found) != 1:
            how = "Several jobs begin" if found else "No job of this wallet begins"
            code = "ambiguous-job" if found else "unknown-job"
            raise Rejected(code, f"{how} with {given[:80]!r}.", "List them with `bingwang jobs`.")
        return BidId(from_text(found[0], 32))


def patience() -> Patience:
    """A person's: a minute."""
    return Patience(clock=time.time, sleep=time.sleep)


def wallet_key(name: str, password_file: Path | None) -> Signer:
    """A wallet's key, or its account at an external signer; `Rejected` "no-wallet" before a password is
    asked for."""
    path = home().wallet(name)
    if not path.exists():
        raise no_wallet(name)
    return open_signer(path, lambda: password(password_file))
