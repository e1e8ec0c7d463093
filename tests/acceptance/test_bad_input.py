"""Everything a person can get wrong, against a real grid: a typed error each, and nothing is lost by it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.books_url import SQLITE, grid_kind
from tests.fakes.bad_input import (
    DEAD_ENGINE,
    NO_MARKET,
    NO_NAME,
    NOBODY_HAS,
    STRANGER,
    Row,
    append,
    begin,
    bid_to_a_node_without_its_chain,
    call,
    chain_down,
    changed_after_signing,
    command,
    delegate,
    deployment,
    get,
    job,
    kept,
    market_of,
    node_down,
    of_another_chain,
    other_document,
    paid_by_nobody,
    rebuild,
    replay,
    replayed,
    sign_in,
    signed_by_another,
    simulate,
    spoilt,
    too_much,
    wrong_hash,
    wrong_offset,
)
from tests.short_grid import CHEAP, ShortGrid, short_grid

pytestmark = pytest.mark.docker

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
