"""What the node says of an order that finds nothing, over HTTP; and its history as a simulated market."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from ledger.market.identity import text
from matcher.simulation.market import simulate
from matcher.simulation.scenario import Scenario
from node.cli.main import run
from node.cli.reading.market_history import read_history
from tests.factories import HOUR, a_job
from tests.fakes.joined_home import join
from tests.fakes.node_server import NodeServer, order_plain
from tests.fakes.node_twin import BUYER, RATE, NodeTwin

JOB = """
image: python:3
command: [python3]
any_of:
  - max_price: 0.0005/h
    max_duration: 10m
  - max_price: 1/h
    max_duration: 10m
max_price: 1/h
max_duration: 10m
"""


def bingwang(home: Path, *arguments: str) -> dict[str, Any]:
    with CliRunner().isolation(env={"BINGWANG_HOME": str(home)}) as (out, _, _):
        run(arguments)
        told: dict[str, Any] = json.loads(out.getvalue().decode())
        return told


def lent(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()


def rests(server: NodeServer) -> str:
    document, attempts = server.twin.signed(a_job(cpu=64_000))
    body = order_plain(document, attempts) | {"wait": 600}
    return str(server.call("POST", "/v1/bids", body, key=BUYER).json()["job"])


def test_an_order_that_rests_is_explained(server: NodeServer) -> None:
    lent(server.twin)
    told = server.call("GET", f"/v1/jobs/{rests(server)}/explanation").json()
    assert (told["eligible_count"], told["excluded_count"]) == (0, 1)
    assert told["obstacles"][0]["dimension"] == "cpu"
    assert [one["demand"] for one in told["remedies"][0]["changes"]] == ["cpu"]
    assert told["limit_rate"] == "5000000"


def test_an_order_that_does_not_rest_is_not_explained(server: NodeServer) -> None:
    lent(server.twin)
    document, attempts = server.twin.signed(a_job())
    job = server.call("POST", "/v1/bids", order_plain(document, attempts), key=BUYER).json()["job"]
    answer = server.call("GET", f"/v1/jobs/{job}/explanation")
    assert (answer.status_code, answer.json()["code"]) == (409, "not-resting")
    assert server.call("GET", f"/v1/jobs/{text(bytes(32))}/explanation").status_code == 404


def test_the_command_explains_a_job_file_without_a_wallet(server: NodeServer, tmp_path: Path) -> None:
    lent(server.twin)
    join(tmp_path, node_url=f"http://{server.address}")
    file = tmp_path / "job.yaml"
    file.write_text(JOB)
    told = bingwang(tmp_path, "explain", str(file), "--json")
    assert told["remedies"][0]["changes"][0]["after"] == str(RATE)
    assert (told["eligible_count"], told["excluded_count"]) == (0, 1)
    assert len(told["alternatives"]) == 1
    assert told["alternatives"][0]["eligible_count"] == 1


def test_the_command_explains_a_job_that_rests(server: NodeServer, tmp_path: Path) -> None:
    lent(server.twin)
    join(tmp_path, node_url=f"http://{server.address}")
    told = bingwang(tmp_path, "explain", rests(server), "--json")
    assert told["obstacles"][0]["dimension"] == "cpu"
    assert bingwang(tmp_path, "explain", text(bytes(32)), "--json")["code"] == "unknown-job"


def test_an_estimate_names_the_cheapest_change(node: NodeTwin) -> None:
    lent(node)
    document, attempts = node.signed(a_job(max_rate=RATE // 2))
    told = json.loads(json.dumps(node.exchange.estimate(attempts[0].bid, document, node.now)))
    (change,) = told["remedies"][0]["changes"]
    assert (change["demand"], change["after"]) == ("price", str(RATE))


def test_what_the_books_recorded_can_be_run_again(node: NodeTwin, grid_books_url: str) -> None:
    lent(node)
    node.submit(a_job())
    node.submit(a_job(cpu=64_000), wait=600)
    past = read_history(grid_books_url, node.now - HOUR, node.now + HOUR)
    assert len(past.listings) == 1
    outcome = simulate(Scenario(listings=past.listings, arrivals=past.arrivals, epoch=1))
    assert [one.rates for one in outcome.served] == [(RATE,)]
    assert [one.why[0].obstacles[0].dimension for one in outcome.left_out] == ["cpu"]


def test_nothing_is_read_of_a_time_in_which_nothing_came(node: NodeTwin, grid_books_url: str) -> None:
    lent(node)
    node.submit(a_job())
    assert read_history(grid_books_url, node.now + HOUR, node.now + 2 * HOUR).arrivals == ()
