"""Everything a person can get wrong, against a real grid: a typed error each, and nothing is lost by it."""

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
from tests.books_url import SQLITE, grid_kind
from tests.engine import busybox_image
from tests.short_grid import CHEAP, Outcome, ShortGrid, short_grid

pytestmark = pytest.mark.docker

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


UNREACHABLE = "node-unreachable"
SILENT = "rpc-unreachable"
SECOND_NODE = (
    Row(
        "second node", command("node", "run", "--dir", "{folder}/node", "--port=0"), 3, "node-already-running"
    ),
)
"""on SQLite alone: a database serves several processes of one node, which is no mistake"""
ROWS = (
    Row(
        "malformed YAML", spoilt("envs: {a: [1\n"), 3, "malformed-yaml", "line 7, column", ("line", "column")
    ),
    Row("unknown key", spoilt("resorces: {cpus: 1}\n"), 3, "unknown-key", "'resources'", ("line", "column")),
    Row("malformed price", job(max_price="cheap"), 3, "malformed-price", "0.50/h", ("line", "column")),
    Row("malformed size", job(resources={"memory": "8"}), 3, "malformed-size", "MiB", ("line", "column")),
    Row("malformed amount", command("wallet", "deposit", "12,5"), 3, "malformed-amount", "12,5"),
    Row("too much money", command("wallet", "deposit", "1000000000"), 3, "insufficient-balance", "less"),
    Row("no such option", command("wallet", "show", "--colour"), 2, "usage", "--colour"),
    Row("job file away", command("submit", "{folder}/none.yaml"), 3, "file-not-found", "none.yaml"),
    Row("input away", job(inputs=["none.csv"]), 3, "file-not-found", "none.csv"),
    Row("wrong password", job(env={"BINGWANG_PASSWORD": "guess"}), 3, "wrong-password"),
    Row("no wallet", job("--wallet", "nobody"), 3, "no-wallet", "wallet create"),
    Row("no profile", command("jobs", BINGWANG_HOME="{folder}/empty"), 3, "no-profile", "bingwang join"),
    Row("wrong chain", of_another_chain, 3, "wrong-chain"),
    Row("unknown job", command("status", "0x" + "99" * 32), 3, "unknown-job", "job's id"),
    Row("unknown beginning", command("receipt", "0x99"), 3, "unknown-job", "bingwang jobs"),
    Row(
        "limit below ask", job(max_price="0.000001/h"), 3, "no-match", "limit", ("would_match_at", "excluded")
    ),
    Row("empty wallet", paid_by_nobody, 3, "insufficient-balance", "deposit", ("needed", "held")),
    Row("image the engine does not know", job(image="no/such:1"), 3, "image-not-found", "no/such:1"),
    Row("engine down at submit", job(image="no/such:1", env=DEAD_ENGINE), 4, "engine-unreachable"),
    Row("engine down at push", command("image", "push", "a:1", **DEAD_ENGINE), 4, "engine-unreachable"),
    Row("nothing delegated", delegate("--until", "2h"), 3, "nothing-delegated", "--allowance"),
    Row(
        "a delegate until yesterday",
        delegate("--allowance", "5", "--until", "2020-01-01"),
        3,
        "moment-passed",
    ),
    Row("a delegate until who knows", delegate("--allowance", "5", "--until", "soon"), 3, "malformed-moment"),
    Row("spending for a stranger", job("--for", STRANGER), 3, "not-the-buyer", "Send your own bids"),
    Row("a key file of nothing", command("wallet", "import", "{folder}/none.key", "k"), 3, "malformed-key"),
    Row("a gang of one", job(gang={"count": 1}), 3, "gang-size", "2 to 32"),
    Row("replicas without a majority", job(replicas={"count": 4, "agree": 2}), 3, "quorum-size"),
    Row("replicas without outputs", job(replicas={"count": 3, "agree": 2}), 3, "nothing-to-compare"),
    Row("a fee beyond the bound", deployment("--fee", "500"), 3, "policy-share", "0 to 200"),
    Row("stake that leaves too soon", deployment("--unstake-delay", "1h"), 3, "unstake-delay"),
    Row("a claim where none is", command("claim", "show", "0x" + "99" * 32), 3, "no-claim"),
    Row("a pause by anybody", command("market", "pause"), 3, "reverted", "guardian"),
    Row("audit of no market", command("audit", "--rpc", "{rpc}", "--market", NO_MARKET), 3, "no-market"),
    Row("audit of no address", command("audit", "--rpc", "{rpc}", "--market", "0x12"), 3, "malformed-hex"),
    Row("no node there", command("join", "http://127.0.0.1:1"), 4, UNREACHABLE, "127.0.0.1:1"),
    Row("not a node", command("join", "{rpc}"), 3, "http-error"),
    Row(
        "port taken", command("node", "run", "--dir", "{folder}/second", "--port", "{port}"), 3, "port-taken"
    ),
    *(SECOND_NODE if grid_kind() == SQLITE else ()),
    Row("chain twice", command("chain", "run", "--dir", "{folder}/node/chain"), 3, "chain-already-running"),
    Row(
        "provider twice",
        command("provider", "init", "--dir", "{provider}", "--domain", "a/b"),
        3,
        "provider-exists",
    ),
    Row(
        "provider's password",
        command("provider", "run", "--dir", "{provider}", BINGWANG_PASSWORD="x"),
        3,
        "wrong-password",
    ),
    Row("provider twice running", command("provider", "run", "--dir", "{provider}"), 3, "agent-runs-already"),
    Row("no provider", command("provider", "status", "--dir", "{folder}/none"), 3, "no-status"),
    Row("bid changed after signing", call(changed_after_signing), 422, "bad-signature", "key"),
    Row("bid signed by another", call(signed_by_another), 422, "bad-signature", "key"),
    Row("other document", call(other_document), 422, "document-mismatch"),
    Row("replayed bid", call(replayed), 409, "replayed-bid", "accepted before", ("job",)),
    Row(
        "oversized upload",
        call(lambda buyer: begin(buyer, "ab" * 32, 1 << 50)),
        413,
        "oversized-upload",
        "limit",
    ),
    Row("more than announced", call(too_much), 413, "oversized-upload"),
    Row(
        "oversized chunk",
        call(lambda buyer: append(buyer, "ab" * 32, 0, bytes(9 << 20))),
        413,
        "oversized-upload",
    ),
    Row("wrong hash", call(wrong_hash), 422, "hash-mismatch", "SHA-256"),
    Row("wrong offset", call(wrong_offset), 409, "wrong-offset", "byte 0", ("offset",)),
    Row("clock ahead", call(sign_in, skew=3600), 401, "clock-skewed", "clock", ("time",)),
    Row("clock behind", call(sign_in, skew=-3600), 401, "request-expired", "clock", ("time",)),
    Row("unsigned", get("/v1/blobs/" + "ab" * 32), 401, "unsigned-request", "Sign"),
    Row(
        "unknown blob",
        call(lambda buyer: buyer.node.send("GET", "/v1/blobs/" + "ab" * 32)),
        404,
        "unknown-blob",
    ),
    Row("malformed id", get("/v1/jobs/12"), 422, "malformed-hex"),
    Row("no such call", get("/v2/anything"), 404, "http-error"),
    Row("replay from nowhere", replay(NO_NAME), 3, "no-bundle-named", "--node URL"),
    Row("replay of no epoch", replay(NO_NAME, "--node", "{node}"), 3, "unknown-epoch"),
    Row("replay of no name", replay("latest", "--node", "{node}"), 3, "malformed-hex"),
    Row("replay of an empty block", replay("1", "--node", "{node}"), 3, "no-epoch-there"),
    Row(
        "replay of a file away", replay(NO_NAME, "--file", "{folder}/none"), 3, "bundle-unreadable", "--save"
    ),
    Row(
        "replay of another file",
        replay(NO_NAME, "--file", "{provider}/provider.yaml"),
        3,
        "bundle-malformed",
    ),
    Row("replay from a node away", replay(NO_NAME, "--node", "http://127.0.0.1:1"), 4, UNREACHABLE),
    Row("simulation of nothing", simulate(), 3, "no-market", "--history"),
    Row(
        "simulation of files away",
        simulate("--offers", "{folder}/none", "--bids", "{folder}/none"),
        3,
        "file-not-found",
    ),
    Row("simulation of no list", market_of("bids"), 3, "malformed-file", "line 1", ("file", "line")),
    Row("simulated bid without a limit", market_of("- {max_duration: 1h}\n"), 3, "missing-key", "bids.yaml"),
    Row("simulation without time", market_of("[]", "--epoch", "0s"), 3, "epoch-too-short"),
    Row("simulation of no books", simulate("--history", "{folder}/none"), 3, "books-not-found"),
    Row(
        "simulation since who knows",
        simulate("--history", "{folder}/node", "--from", "soon"),
        3,
        "malformed-moment",
    ),
    Row("why of an unknown job", command("explain", NO_NAME), 3, "unknown-job"),
    Row("why of a file away", command("explain", "{folder}/none.yaml"), 3, "file-not-found"),
    Row("a statement since who knows", command("statement", "--from", "soon"), 3, "malformed-day"),
    Row(
        "a statement of no time",
        command("statement", "--from", "2026-01-02", "--to", "2026-01-01"),
        3,
        "malformed-period",
    ),
    Row("a stranger's statement", command("statement", "--for", STRANGER), 3, "not-yours"),
    Row("an invoice of an unknown job", command("invoice", NO_NAME), 3, "unknown-job"),
    Row("usage of an unknown job", command("usage", "lines", NO_NAME), 3, "unknown-job"),
    Row(
        "a proof of nothing",
        command("usage", "verify", "{provider}/provider.yaml", "--rpc", "{rpc}"),
        3,
        "proof-unreadable",
    ),
    Row("books of no market", rebuild(market=NO_MARKET), 3, "no-market"),
    Row("books of no chain", rebuild(rpc="http://127.0.0.1:1"), 4, SILENT),
    Row("books from a block to come", rebuild("--first-block", "99999999"), 3, "no-such-block"),
    Row(
        "a chain from a backup away",
        command("chain", "restore", "{folder}/none", "--dir", "{folder}/again"),
        3,
        "backup-missing",
    ),
    Row(
        "another key of no node", command("node", "key", "rotate", "--dir", "{folder}/none"), 3, "no-node-key"
    ),
    Row(
        "another key of a node that runs",
        command("node", "key", "rotate", "--dir", "{folder}/node"),
        3,
        "node-already-running",
        "Stop it",
    ),
    Row("chain down at submit", job(), 4, SILENT, "", (), chain_down),
    Row("chain down at the wallet", command("wallet", "show"), 4, SILENT, "", (), chain_down),
    Row("chain down at the node", bid_to_a_node_without_its_chain, 503, SILENT),
    Row("node down", job(), 4, UNREACHABLE, "bingwang node run", (), node_down),
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortGrid]:
    with short_grid(tmp_path_factory.mktemp("bad-input"), CHEAP, foreign=True) as running:
        yield running


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.wrong.replace(" ", "-"))
def test_what_is_wrong_is_said_with_cause_and_remedy_and_nothing_is_lost(grid: ShortGrid, row: Row) -> None:
    before = money(grid)
    with row.while_(grid):
        refusal = row.ask(grid)
    assert (refusal.number, refusal.code) == (row.number, row.code), refusal
    assert_sentence(refusal.cause)
    assert_sentence(refusal.remedy)
    assert row.says in refusal.cause + " " + refusal.remedy
    assert refusal.facts.keys() >= set(row.facts)
    assert "Traceback" not in refusal.printed
    grid.until("the node is well", lambda: healthy(grid))
    if row.code != "replayed-bid":
        assert money(grid) == before


def test_after_all_that_a_job_runs(grid: ShortGrid) -> None:
    grid.await_offers(1)
    assert grid.await_closed(grid.submit("echo still here"))["state"] == "succeeded"


def test_an_image_that_nobody_has_is_refused_by_the_agent_and_the_money_comes_back(grid: ShortGrid) -> None:
    before = money(grid)
    ended = grid.await_closed(grid.submit("true", image=NOBODY_HAS))
    assert (ended["state"], ended["code"]) == ("refused", "image-not-available")
    assert_sentence(ended["cause"])
    (lease,) = ended["leases"]
    assert (lease["paid"], lease["refunded"]) == ("0", lease["escrow"])
    assert money(grid) == before


def test_people_see_cause_and_remedy_too(grid: ShortGrid) -> None:
    outcome = grid.command("wallet", "deposit", "12,5")
    assert outcome.code == 3
    assert not outcome.out
    assert "12,5" in outcome.err
    assert "→" in outcome.err
    assert "Traceback" not in outcome.err


def test_an_agent_without_an_engine_says_so_takes_no_lease_and_goes_on(grid: ShortGrid) -> None:
    grid.end("cheap")
    file = grid.folder / "cheap" / "provider.yaml"
    right = file.read_text()
    file.write_text(right + "engine: unix:///nonexistent/docker.sock\n")
    grid.run_provider("cheap")
    try:
        status = grid.until("the agent says it", lambda: engine_problem(grid))
        assert status["engine"]["ok"] is False
        assert_sentence(status["problems"]["engine"]["remedy"])
        refusal = job()(grid)
        assert (refusal.number, refusal.code) == (3, "no-match")
    finally:
        grid.end("cheap")
        file.write_text(right)
        grid.run_provider("cheap")
    grid.await_offers(1)


def engine_problem(grid: ShortGrid) -> dict[str, Any] | None:
    outcome = grid.command("provider", "status", "--dir", str(grid.folder / "cheap"), "--json")
    plain: dict[str, Any] = outcome.plain
    return plain if plain.get("problems", {}).get("engine", {}).get("code") == "engine-unreachable" else None


def money(grid: ShortGrid) -> list[int]:
    wallet = kept(grid.home / "wallets" / "default.json")["address"]
    return grid.balances("0x" + wallet.removeprefix("0x"), grid.providers["cheap"])


def healthy(grid: ShortGrid) -> bool | None:
    try:
        answer = httpx.get(f"{grid.node_url}/v1/health", timeout=10)
    except httpx.TransportError:
        return None
    return True if answer.json()["status"] == "ok" else None


def assert_sentence(words: str) -> None:
    """Not empty, one line, and ended like a sentence."""
    assert words.strip() == words != ""
    assert "\n" not in words
    assert words[-1] in ".?!", words
