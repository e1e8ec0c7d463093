"""A statement over HTTP: for whoever the money is, as a document, a table, or a page."""

import csv
import io
import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from ledger.chain.keys import LocalKey, create_keystore
from ledger.market.delegation import Role
from ledger.market.facts import JobPhase
from ledger.market.identity import LeaseId, from_text, text
from node.cli.main import run
from tests.factories import a_job, an_address
from tests.fakes.joined_home import join
from tests.fakes.node_server import NodeServer, order_plain
from tests.fakes.node_twin import BUYER, DOMAIN, NODE, OTHER


def settled(server: NodeServer) -> str:
    """A job of the buyer that ran for ten seconds, was paid, and is over."""
    name = server.twin.lend()
    server.twin.beat(name)
    server.twin.seal()
    document, attempts = server.twin.signed(a_job())
    answer = server.call("POST", "/v1/bids", order_plain(document, attempts), key=BUYER)
    job = str(answer.json()["job"])
    server.twin.mine()
    server.twin.seal()
    lease = LeaseId(from_text(server.call("GET", f"/v1/jobs/{job}").json()["lease"], 32))
    server.twin.say(lease, JobPhase.RUNNING)
    server.twin.now += 30
    server.twin.settlement.report(server.twin.used(lease, 30_000, last=True))
    server.twin.mine()
    server.twin.seal()
    return job


def ask(server: NodeServer, key: LocalKey | None = BUYER, query: str = "", **headers: str) -> httpx.Response:
    path = f"/v1/accounts/{text(BUYER.address)}/statement{query}"
    return server.call("GET", path, key=key, headers=headers)


def refused(answer: httpx.Response, status: int, code: str) -> None:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body


def test_a_buyer_reads_its_statement_and_one_jobs_invoice(server: NodeServer) -> None:
    job = settled(server)
    found = ask(server).json()
    paid = [line for line in found["lines"] if line["purpose"] == "usage"]
    assert [(line["job"], line["job_name"], line["milliseconds"]) for line in paid] == [
        (job, "digits", 30_000)
    ]
    changes = sum(int(line["change"]) for line in found["lines"])
    assert int(found["opening"]) + changes == int(found["closing"])
    invoice = ask(server, query=f"?job={job}").json()
    assert [line["gross"] for line in invoice["lines"]] == [paid[0]["gross"]]
    assert invoice["closing"] == paid[0]["change"]


def test_it_comes_as_csv_and_as_a_page_that_runs_nothing(server: NodeServer) -> None:
    job = settled(server)
    table = ask(server, Accept="text/csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert [row["job"] for row in csv.DictReader(io.StringIO(table.text)) if row["what"] == "usage"] == [
        "digits"
    ]
    page = ask(server, query=f"?job={job}", Accept="text/html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<h1>Invoice</h1>" in page.text
    assert job in page.text


def test_nobody_else_reads_it_but_a_key_that_acts_for_the_account(server: NodeServer) -> None:
    refused(ask(server, key=None), 401, "unsigned-request")
    refused(ask(server, key=OTHER), 403, "not-yours")
    refused(ask(server, key=NODE), 403, "not-yours")
    twin = server.twin
    twin.pending += twin.model.set_delegate(
        BUYER.address, OTHER.address, int(Role.SPEND), 5_000_000, twin.now + 1_000
    )
    twin.seal()
    assert ask(server, key=OTHER).status_code == 200


def test_an_invoice_is_empty_for_a_job_that_runs_and_refused_for_one_that_nobody_knows(
    server: NodeServer,
) -> None:
    server.twin.beat(server.twin.lend())
    server.twin.seal()
    document, attempts = server.twin.signed(a_job())
    job = server.call("POST", "/v1/bids", order_plain(document, attempts), key=BUYER).json()["job"]
    assert ask(server, query=f"?job={job}").json()["lines"] == []
    refused(ask(server, query=f"?job=0x{'11' * 32}"), 404, "unknown-job")


def test_a_period_that_is_none_is_refused(server: NodeServer) -> None:
    refused(ask(server, query="?since=5&until=5"), 422, "malformed-period")
    refused(ask(server, query="?since=-1"), 422, "malformed-request")
    assert ask(server, query="?job=0x12").status_code == 422
    assert ask(server, query="?since=1&until=2").json()["lines"] == []


class TestCommands:
    def test_a_statement_is_shown_and_written(self, server: NodeServer, home: Path) -> None:
        settled(server)
        files = ["--csv", str(home / "a.csv"), "--html", str(home / "a.html")]
        plain = json.loads(bingwang(server, home, "statement", "--json", *files))
        assert plain["files"] == {"text/csv": files[1], "text/html": files[3]}
        assert Path(files[1]).read_text().startswith("time,what,job")
        assert Path(files[3]).read_text().startswith("<!doctype html>")
        shown = bingwang(server, home, "statement", "--from", "2027-01-01", "--to", "2027-12-31")
        for words in ("usage", "digits", "deposit", "closing"):
            assert words in shown

    def test_a_period_before_everything_is_empty(self, server: NodeServer, home: Path) -> None:
        settled(server)
        plain = json.loads(bingwang(server, home, "statement", "--to", "2020-01-01", "--json"))
        assert (plain["lines"], plain["closing"]) == ([], "0")

    def test_an_invoice_is_one_jobs(self, server: NodeServer, home: Path) -> None:
        job = settled(server)
        plain = json.loads(bingwang(server, home, "invoice", job[:12], "--json"))
        assert (plain["job"], plain["opening"]) == (job, "0")
        assert [line["purpose"] for line in plain["lines"]] == ["usage"]
        assert "digits" in bingwang(server, home, "invoice", job)

    def test_a_file_that_cannot_be_written_is_named(self, server: NodeServer, home: Path) -> None:
        settled(server)
        where = str(home / "profiles" / "default.json" / "a.csv")
        told = bingwang(server, home, "statement", "--csv", where, code=3)
        assert where in told
        assert "Traceback" not in told
        assert "2027-13-01" in bingwang(server, home, "statement", "--from", "2027-13-01", code=3)


@pytest.fixture
def home(server: NodeServer, tmp_path: Path) -> Path:
    """The buyer's own folder, joined to the node."""
    folder = join(
        tmp_path / "home",
        node_url=f"http://{server.address}",
        chain_id=DOMAIN.chain_id,
        market=DOMAIN.market,
        token=an_address("token"),
        node=NODE.address,
    )
    (folder / "wallets").mkdir()
    create_keystore(folder / "wallets" / "default.json", "secret", sha256(b"buyer").digest())
    return folder


def bingwang(server: NodeServer, home: Path, *arguments: str, code: int = 0) -> str:
    """What one command says; the node's clock is the command's."""
    server.twin.now = int(time.time())
    env = {"BINGWANG_HOME": str(home), "BINGWANG_PASSWORD": "secret", "COLUMNS": "250"}
    with CliRunner().isolation(env=env) as (out, err, _):
        ended = run(arguments)
        told = out.getvalue().decode() + (err.getvalue().decode() if code else "")
    assert ended == code, told
    return told
