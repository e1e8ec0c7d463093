"""Everything a person can get wrong at a grid, each as a call that answers with the refusal it got."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.chain.typed_data import bid_id
from ledger.market.bid import SignedBid
from ledger.market.errors import MarketError
from ledger.market.identity import BidId, from_text
from ledger.market.job import Image, Job
from node.buying.buyer import Buyer
from node.buying.client import SignedOrder
from tests.engine import busybox_image
from tests.short_grid import Outcome, ShortGrid

DEAD_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
NOBODY_HAS = "sha256:" + "ab" * 32
NO_MARKET = "0x" + "11" * 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error as whoever asked saw it: `number` is the exit code or the HTTP status."""

    number: int
    code: str
    cause: str
    remedy: str
    facts: Mapping[str, Any]
    printed: str = ""


Ask = Callable[[ShortGrid], Refusal]


@dataclass(frozen=True)
class Row:
    """One thing that is wrong, how it is asked, and what must be answered: exit code or HTTP status, code,
    a part of the cause or remedy that helps, and facts that must be given beside them."""

    wrong: str
    ask: Ask
    number: int
    code: str
    says: str = ""
    facts: tuple[str, ...] = ()
    while_: Callable[[ShortGrid], AbstractContextManager[None]] = field(default=lambda _: nullcontext())


def command(*arguments: str, **env: str) -> Ask:
    """The refusal of one command line; {names} in it are the grid's."""

    def ask(grid: ShortGrid) -> Refusal:
        known = {"rpc": grid.rpc_url, "node": grid.node_url, "folder": str(grid.folder)}
        known |= {"provider": str(grid.folder / "cheap"), "port": grid.node_url.rsplit(":", 1)[1]}
        known |= {"market": str(kept(grid.home / "profiles" / "default.json")["market"])}
        filled = [argument.format(**known) for argument in arguments]
        return _of_command(
            grid.command(*filled, "--json", env={k: v.format(**known) for k, v in env.items()})
        )

    return ask


def kept(file: Path) -> dict[str, Any]:
    """A JSON document of the grid's."""
    plain: dict[str, Any] = json.loads(file.read_text())
    return plain


def job_file(content: str) -> Ask:
    """The refusal of a job file as it was typed."""

    def ask(grid: ShortGrid) -> Refusal:
        path = grid.folder / "typed.yaml"
        path.write_text(content)
        return _of_command(grid.command("submit", str(path), "--json"))

    return ask


def job(*options: str, env: Mapping[str, str] | None = None, **keys: object) -> Ask:
    """The refusal of a well-formed job."""

    def ask(grid: ShortGrid) -> Refusal:
        path = str(grid.job_file("true", **keys))
        return _of_command(grid.command("submit", path, *options, "--json", env=env))

    return ask


def _of_command(outcome: Outcome) -> Refusal:
    plain = outcome.plain
    assert plain["exit_code"] == outcome.code
    return Refusal(
        number=outcome.code,
        code=plain["code"],
        cause=plain["cause"],
        remedy=plain["remedy"],
        facts=plain,
        printed=outcome.out + outcome.err,
    )


class Wire(httpx.BaseTransport):
    """Passes calls on and keeps the last answer."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.status = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        self.status = response.status_code
        return response

    def close(self) -> None:
        self._inner.close()


def call(act: Callable[[Buyer], object], wallet: str = "default", skew: float = 0) -> Ask:
    """The refusal of a buyer's HTTP call; `skew` is how many seconds its clock is ahead."""

    def ask(grid: ShortGrid) -> Refusal:
        wire = Wire()
        with grid.buyer(wallet, clock=lambda: time.time() + skew, transport=wire) as buyer:
            with pytest.raises(MarketError) as caught:
                act(buyer)
            error = caught.value
            return Refusal(
                number=wire.status, code=error.code, cause=error.cause, remedy=error.remedy, facts=error.facts
            )

    return ask


def get(path: str) -> Ask:
    """The refusal of an unsigned GET."""

    def ask(grid: ShortGrid) -> Refusal:
        answer = httpx.get(grid.node_url + path)
        assert answer.headers["content-type"] == "application/problem+json"
        plain = answer.json()
        return Refusal(
            number=answer.status_code,
            code=plain["code"],
            cause=plain["cause"],
            remedy=plain["remedy"],
            facts=plain,
        )

    return ask


def small_job() -> Job:
    image = Image(reference="busybox", config=busybox_image())
    return Job(
        name="small",
        image=image,
        command=("true",),
        cpu=100,
        memory=64,
        disk=16,
        max_rate=20_000_000_000,
        max_seconds=60,
    )


def sign(buyer: Buyer) -> SignedBid:
    """A right bid for the small job."""
    (bid,) = buyer.bids(small_job(), buyer.parties("node"), buyer.nonces.take(1), 0)
    return SignedBid(bid=bid, signature=buyer.key.sign(bid_id(buyer.domain, bid)))


def post(buyer: Buyer, signed: SignedBid, one: Job | None = None) -> dict[str, Any]:
    return buyer.node.submit([SignedOrder(document=(one or small_job()).to_plain(), attempts=(signed,))], 0)


def changed_after_signing(buyer: Buyer) -> object:
    signed = sign(buyer)
    return post(buyer, replace(signed, bid=replace(signed.bid, start_by=signed.bid.start_by - 1)))


def signed_by_another(buyer: Buyer) -> object:
    """The request is the caller's own, the bid inside carries somebody else's signature."""
    signed = sign(buyer)
    return post(buyer, replace(signed, signature=buyer.key.sign(bytes(32))))


def other_document(buyer: Buyer) -> object:
    return post(buyer, sign(buyer), replace(small_job(), command=("false",)))


def replayed(buyer: Buyer) -> object:
    """One and the same bid again, once its job is over and paid."""
    signed = sign(buyer)
    name = from_text(str(post(buyer, signed)["job"]), 32)
    while not all(lease["state"] == "closed" for lease in buyer.status(BidId(name))["leases"]):
        time.sleep(0.1)
    return post(buyer, signed)


def begin(buyer: Buyer, name: str, size: int) -> object:
    return buyer.node.send("POST", f"/v1/blobs/{name}", query={"size": str(size)})


def append(buyer: Buyer, name: str, offset: int, chunk: bytes) -> object:
    return buyer.node.send(
        "PATCH", f"/v1/blobs/{name}", content=chunk, headers={"Upload-Offset": str(offset)}
    )


def wrong_hash(buyer: Buyer) -> object:
    name = sha256(b"what was promised").hexdigest()
    begin(buyer, name, 5)
    return append(buyer, name, 0, b"other")


def too_much(buyer: Buyer) -> object:
    name = sha256(b"five!").hexdigest()
    begin(buyer, name, 5)
    return append(buyer, name, 0, b"five! and more")


def wrong_offset(buyer: Buyer) -> object:
    name = sha256(b"seven..").hexdigest()
    begin(buyer, name, 7)
    return append(buyer, name, 3, b"en..")


def sign_in(buyer: Buyer) -> object:
    return begin(buyer, sha256(b"skewed").hexdigest(), 6)


@contextmanager
def chain_down(grid: ShortGrid) -> Iterator[None]:
    grid.end("chain")
    try:
        yield
    finally:
        grid.start_chain()


@contextmanager
def node_down(grid: ShortGrid) -> Iterator[None]:
    grid.end("node")
    try:
        yield
    finally:
        grid.start_node()


def bid_to_a_node_without_its_chain(grid: ShortGrid) -> Refusal:
    """A right bid, signed while the chain still answered."""
    with grid.buyer() as buyer:
        signed = sign(buyer)
    with chain_down(grid):
        grid.until("the node knows it", lambda: None if follows(grid) else True)
        return call(lambda buyer: post(buyer, signed))(grid)


def follows(grid: ShortGrid) -> bool:
    health = httpx.get(f"{grid.node_url}/v1/health", timeout=30).json()
    return bool(health["parts"]["follower"]["ok"])


GOOD = "name: a\nimage: {image}\ncommand: [sh]\nmax_price: 20/h\nmax_duration: 1m\n"
"""a right job file, to be spoilt"""


def spoilt(line: str) -> Ask:
    return job_file(GOOD.format(image=NOBODY_HAS) + line)


def paid_by_nobody(grid: ShortGrid) -> Refusal:
    grid.open_wallet("poor", deposit="")
    return job("--wallet", "poor")(grid)


def of_another_chain(grid: ShortGrid) -> Refusal:
    """The profile of a grid with another chain id, pointing here."""
    home = grid.folder / "elsewhere"
    shutil.copytree(grid.home, home)
    profile = home / "profiles" / "default.json"
    plain = kept(profile)
    profile.write_text(json.dumps(plain | {"chain_id": plain["chain_id"] + 1}))
    return job(env={"BINGWANG_HOME": str(home)})(grid)


STRANGER = "0x" + "77" * 20


def delegate(*options: str) -> Ask:
    return command("wallet", "delegate", "add", STRANGER, *options)


def deployment(*options: str) -> Ask:
    return command("market", "deploy", "--rpc", "{rpc}", "--journal", "{folder}/deployment.json", *options)


NO_NAME = "0x" + "99" * 32


def replay(epoch: str, *options: str) -> Ask:
    return command("replay", epoch, "--rpc", "{rpc}", *options)


def simulate(*options: str) -> Ask:
    return command("simulate", *options)


def market_of(bids: str, *options: str) -> Ask:
    """The refusal of a simulation of one right offer, and of bids as they were typed."""

    def ask(grid: ShortGrid) -> Refusal:
        paths = [grid.folder / "offers.yaml", grid.folder / "bids.yaml"]
        paths[0].write_text("- {name: lab, resources: {cpus: 4, memory: 8GiB}, prices: {core: 0.1}}\n")
        paths[1].write_text(bids)
        return simulate("--offers", str(paths[0]), "--bids", str(paths[1]), *options)(grid)

    return ask


def rebuild(*options: str, rpc: str = "{rpc}", market: str = "{market}") -> Ask:
    where = ("--books", "{folder}/rebuilt.sqlite3")
    return command("books", "rebuild", "--rpc", rpc, "--market", market, *where, *options)
