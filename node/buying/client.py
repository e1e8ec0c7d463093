"""The buyer's side of the node's HTTP API: signs what acts, and gives the node's errors their kind again.

Nothing here trusts the node with money or content: bids, receipts and requests are signed for one market,
blobs are checked against their sha256 (`node.buying.transfers`). Addresses and shapes are those of the API's
own description (`/docs` of a running node).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from ledger.chain.keys import Signer
from ledger.chain.typed_data import Domain, keccak, request_message
from ledger.market.bid import SignedBid
from ledger.market.errors import Broken, LostRace, MarketError, Rejected, Unavailable
from ledger.market.identity import text
from ledger.market.receipt import SignedReceipt
from ledger.market.wire import signed_bid_to_plain, signed_receipt_to_plain
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal

Plain = dict[str, Any]
DEADLINE_SECONDS = 120
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_STREAM_TIMEOUT = httpx.Timeout(30.0, connect=5.0, read=60.0)
_LINES = 1_000
_CONFLICT = 409
_SERVER_ERROR = 500
_TRY_LATER = (429, 502, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signs the requests, and for which market."""

    domain: Domain
    key: Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOrder:
    """One form of a job: its document, and a signed bid over it for each attempt."""

    document: Plain
    attempts: tuple[SignedBid, ...]

    def to_plain(self) -> Plain:
        attempts = [signed_bid_to_plain(signed) for signed in self.attempts]
        return {"document": self.document, "attempts": attempts}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One server-sent event: `name` is `message` where none was given; `data` is its JSON."""

    name: str
    data: Plain


class NodeClient:
    """Calls one node. `clock` gives seconds since 1970, `random_bits` a request's nonce.

    Every method may raise `Unavailable("node-unreachable")` or the node's own error.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float],
        random_bits: Callable[[int], int],
        identity: Identity | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._clock = clock
        self._random_bits = random_bits
        self._identity = identity
        self._http = _open(self.url, transport)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def market(self) -> Plain:
        return self.get("/v1/market")

    def offers(self) -> list[Plain]:
        return list(self.get("/v1/offers")["offers"])

    def estimate(self, bid: Plain, document: Plain) -> Plain:
        return self.post("/v1/estimates", {"bid": bid, "document": document}, signed=False)

    def submit(self, forms: Sequence[SignedOrder], wait: int, receipt: SignedReceipt | None = None) -> Plain:
        """Post an order; the first form is the most wanted, the others are its alternatives. `receipt` is the
        last one of a lease that the order continues, where the node is not its signer."""
        first, *others = (form.to_plain() for form in forms)
        body = first | {"wait": wait} | ({"alternatives": others} if others else {})
        last = {} if receipt is None else {"receipt": signed_receipt_to_plain(receipt)}
        return self.post("/v1/bids", body | last)

    def end_job(self, job: str) -> Plain:
        """Have the node, where it is the signer, end a running job at what was reported."""
        return self.post(f"/v1/jobs/{job}/end", {})

    def account(self, address: str) -> Plain:
        return self.get(f"/v1/accounts/{address}")

    def providers(self) -> list[Plain]:
        return list(self.get("/v1/providers")["providers"])

    def relay_deposit(self, signed: SignedPermit) -> Plain:
        body: Plain = {
            "owner": text(signed.owner),
            "amount": str(signed.amount),
            "deadline": signed.deadline,
            "signature": text(signed.signature),
        }
        return self.post("/v1/relay/deposits", body, signed=False)

    def relay_withdrawal(self, signed: SignedWithdrawal) -> Plain:
        order = signed.withdrawal
        body: Plain = {
            "account": text(order.account),
            "to": text(order.to),
            "amount": str(order.amount),
            "nonce": str(order.nonce),
            "deadline": order.deadline,
            "signature": text(signed.signature),
        }
        return self.post("/v1/relay/withdrawals", body, signed=False)

    def relay(self, name: str) -> Plain:
        """How far a relayed transaction is."""
        return self.get(f"/v1/relay/{name}")

    def jobs(self, buyer: str) -> list[Plain]:
        return list(self.get("/v1/jobs", buyer=buyer)["jobs"])

    def job(self, job: str) -> Plain:
        return self.get(f"/v1/jobs/{job}")

    def withdraw_bid(self, job: str) -> Plain:
        return self.post(f"/v1/jobs/{job}/withdrawal", {})

    def lease(self, lease: str) -> Plain:
        return self.get(f"/v1/leases/{lease}")

    def usage(self, lease: str) -> Plain:
        """The report that waits for the lease's signer."""
        return self.get(f"/v1/leases/{lease}/usage", signed=True)

    def usage_lines(self, lease: str, first: int = 0, limit: int = _LINES) -> list[Plain]:
        """The lease's usage lines from number `first` on, at most `limit` of them."""
        shown = self.get(f"/v1/leases/{lease}/usage/lines", first=str(first), limit=str(limit))
        return list(shown["lines"])

    def usage_proof(self, lease: str, line: int) -> Plain:
        """That a line is under a root that the chain shows; not yet checked."""
        return self.get(f"/v1/leases/{lease}/usage/proof", line=str(line))

    def deliver_receipt(self, lease: str, receipt: Mapping[str, object]) -> Plain:
        return self.post(f"/v1/leases/{lease}/receipts", dict(receipt))

    def events(self, after: int = 0, limit: int = 500) -> Plain:
        return self.get("/v1/events", after=str(after), limit=str(limit))

    def logs(self, job: str, offset: int, *, follow: bool) -> Iterator[ServerEvent]:
        """The job's log from byte `offset`; ends with the event `end` once the job is final."""
        query = {"offset": str(offset), "follow": "true" if follow else "false"}
        return self._stream(f"/v1/jobs/{job}/logs", query, signed=True)

    def get(self, path: str, *, signed: bool = False, **query: str) -> Plain:
        request = self._http.build_request("GET", path, params=query or None)
        return self._json(self._send(request, signed=signed))

    def post(self, path: str, body: Plain, *, signed: bool = True) -> Plain:
        content = json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        request = self._http.build_request("POST", path, content=content, headers=headers)
        return self._json(self._send(request, signed=signed))

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A signed request with raw content; the answer's errors are raised."""
        request = self._http.build_request(
            method, path, params=query, content=content or None, headers=headers
        )
        return self._send(request, signed=True)

    @contextmanager
    def download(self, path: str, headers: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        """A signed GET whose body is read piece by piece."""
        request = self._http.build_request("GET", path, headers=headers, timeout=_STREAM_TIMEOUT)
        self._sign(request)
        with self._translated():
            response = self._http.send(request, stream=True)
            try:
                if response.is_error:
                    response.read()
                    raise error_of(response)
                yield response.iter_bytes(1 << 20)
            finally:
                response.close()

    def _stream(self, path: str, query: dict[str, str], *, signed: bool) -> Iterator[ServerEvent]:
        request = self._http.build_request(
            "GET", path, params=query, headers={"Accept": "text/event-stream"}, timeout=_STREAM_TIMEOUT
        )
        if signed:
            self._sign(request)
        with self._translated():
            response = self._http.send(request, stream=True)
            try:
                if response.is_error:
                    response.read()
                    raise error_of(response)
                yield from parse_events(response.iter_lines())
            finally:
                response.close()

    def _send(self, request: httpx.Request, *, signed: bool) -> httpx.Response:
        if signed:
            self._sign(request)
        with self._translated():
            response = self._http.send(request)
        if response.is_error:
            raise error_of(response)
        return response

    def _json(self, response: httpx.Response) -> Plain:
        try:
            body = response.json()
        except ValueError as exc:
            raise self._no_node() from exc
        if not isinstance(body, dict):
            raise self._no_node()
        return body

    def _sign(self, request: httpx.Request) -> None:
        if self._identity is None:
            raise Rejected("no-wallet", "This call has to be signed.", "Name a wallet with --wallet.")
        nonce, deadline = self._random_bits(63), int(self._clock()) + DEADLINE_SECONDS
        target = request.url.raw_path.decode("ascii")
        message = request_message(
            self._identity.domain, request.method, target, keccak(request.read()), nonce, deadline
        )
        key = self._identity.key
        request.headers["Bingwang-Address"] = text(key.address)
        request.headers["Bingwang-Nonce"] = str(nonce)
        request.headers["Bingwang-Deadline"] = str(deadline)
        request.headers["Bingwang-Signature"] = text(key.sign_typed(message))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as exc:
            raise Unavailable(
                "node-unreachable",
                f"The node at {self.url} does not answer ({type(exc).__name__}).",
                "Start it with `bingwang node run`, or join another with `bingwang join URL`.",
                url=self.url,
            ) from exc

    def _no_node(self) -> Unavailable:
        return Unavailable(
            "not-a-node", f"What answers at {self.url} is not a Bingwang node.", "Correct the address."
        )


def _open(url: str, transport: httpx.BaseTransport | None) -> httpx.Client:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise _malformed_url(url) from exc
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _malformed_url(url)
    return httpx.Client(base_url=url, timeout=_TIMEOUT, transport=transport, trust_env=False)


def _malformed_url(url: str) -> Rejected:
    return Rejected("malformed-url", f"{url[:80]!r} is not a node's address.", "Write http://HOST:PORT.")


def error_of(response: httpx.Response) -> MarketError:
    """The error that a problem document carries, of the kind that its status says."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    status = response.status_code
    known = ("type", "title", "status", "code", "cause", "remedy")
    facts = {str(key): value for key, value in body.items() if key not in known}
    return _kind(status)(
        str(body.get("code", "http-error")),
        str(body.get("cause", f"The node answered {status} {response.reason_phrase}.")),
        str(body.get("remedy", "Look at the node's log.")),
        **facts,
    )


def _kind(status: int) -> type[MarketError]:
    if status == _CONFLICT:
        return LostRace
    if status in _TRY_LATER:
        return Unavailable
    return Broken if status >= _SERVER_ERROR else Rejected


def parse_events(lines: Iterator[str]) -> Iterator[ServerEvent]:
    """Server-sent events (WHATWG HTML, section 9.2) whose data is JSON; comments keep a line alive."""
    name, data = "", ""
    for line in lines:
        field, _, value = line.partition(":")
        if not line:
            if data:
                yield ServerEvent(name=name or "message", data=json.loads(data))
            name, data = "", ""
        elif field == "event":
            name = value.strip()
        elif field == "data":
            data += value.removeprefix(" ")
