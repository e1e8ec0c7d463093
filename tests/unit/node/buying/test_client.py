"""The client signs what acts, and gives every answer its kind."""

import json

import httpx
import pytest

from ledger.chain.keys import LocalKey
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, keccak, request_digest
from ledger.market.errors import Broken, LostRace, MarketError, Rejected, Unavailable
from ledger.market.identity import Address, from_text, text
from node.buying.client import Identity, NodeClient, parse_events

URL = "http://node.test"
DOMAIN = Domain(chain_id=7, market=Address(b"\1" * 20))
KEY = LocalKey(b"\5" * 32)
NOW = 1_700_000_000.5


def client(answer: object, *, signed: bool = True) -> NodeClient:
    """A client whose node is a function; the network is never touched."""
    identity = Identity(domain=DOMAIN, key=KEY) if signed else None
    transport = httpx.MockTransport(answer)  # type: ignore[arg-type]  # each test gives a handler
    return NodeClient(URL, lambda: NOW, lambda bits: 99, identity, transport=transport)


def test_a_request_that_acts_is_signed_over_all_of_it() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"offset": 0})

    node = client(answer)
    node.send("PATCH", "/v1/blobs/ab", query={"size": "5"}, content=b"chunk")
    node.close()
    (request,) = seen
    deadline = int(request.headers["Bingwang-Deadline"])
    assert 0 < deadline - NOW <= 300
    target = "/v1/blobs/ab?size=5"
    digest = request_digest(DOMAIN, "PATCH", target, keccak(b"chunk"), 99, deadline)
    assert request.headers["Bingwang-Nonce"] == "99"
    assert request.headers["Bingwang-Address"] == text(KEY.address)
    assert recover(digest, from_text(request.headers["Bingwang-Signature"], 64)) == KEY.address


def test_without_a_wallet_nothing_that_acts_is_sent() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    node = client(answer, signed=False)
    with pytest.raises(Rejected, match="signed"):
        node.end_job("0x")
    node.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Rejected), (404, Rejected), (422, Rejected), (409, LostRace), (503, Unavailable), (500, Broken)],
)
def test_a_problem_document_becomes_its_error(status: int, kind: type[MarketError]) -> None:
    problem = {"type": "about:blank", "title": "x", "status": status, "code": "some-code"}
    problem |= {"cause": "It is so.", "remedy": "Do this.", "needed": "12"}
    node = client(lambda _: httpx.Response(status, json=problem))
    with pytest.raises(MarketError) as raised:
        node.jobs("0x")
    node.close()
    error = raised.value
    assert type(error) is kind
    assert (error.code, error.cause, error.remedy) == ("some-code", "It is so.", "Do this.")
    assert error.facts == {"needed": "12"}


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (httpx.Response(502, text="<html>"), "http-error"),
        (httpx.Response(200, text="<html>"), "not-a-node"),
        (httpx.Response(200, json=[1]), "not-a-node"),
        (httpx.Response(404, json=["x"]), "http-error"),
    ],
)
def test_what_is_no_node_is_said_so(response: httpx.Response, code: str) -> None:
    node = client(lambda _: response)
    with pytest.raises(MarketError) as raised:
        node.market()
    node.close()
    assert raised.value.code == code


def test_a_node_that_is_down_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    node = client(answer)
    with pytest.raises(Unavailable) as raised:
        node.market()
    node.close()
    assert raised.value.code == "node-unreachable"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8440", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Rejected):
        NodeClient(url, lambda: NOW, lambda bits: 1)


def test_a_log_is_read_as_events_with_its_end() -> None:
    stream = ': hello\n\nid: 3\ndata: {"offset":3,"data":"YWJj"}\n\nevent: end\ndata: {"exit_code":0}\n\n'
    node = client(lambda _: httpx.Response(200, text=stream))
    events = list(node.logs("0xab", 0, follow=True))
    node.close()
    assert [event.name for event in events] == ["message", "end"]
    assert events[0].data["data"] == "YWJj"


def test_an_unfinished_event_is_not_told() -> None:
    assert list(parse_events(iter(["data: " + json.dumps({"a": 1})]))) == []
