"""The agent's side of the node's HTTP API: what it sends is signed, what it gets is checked by hash.

Nothing from the node is believed because the node says it: documents and blobs are named by their hash
and receipts carry their signer's signature. Errors come back as the kind that the node meant.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from ledger.chain.documents import canonical, document_hash
from ledger.chain.keys import Signer
from ledger.chain.signatures import check_signed_by
from ledger.chain.typed_data import Domain, keccak, receipt_digest, request_message
from ledger.market.bid import Bid
from ledger.market.errors import Broken, LostRace, MarketError, Rejected, Unavailable
from ledger.market.facts import OutputFile
from ledger.market.identity import Address, Digest, LeaseId, text
from ledger.market.plain import Reader
from ledger.market.receipt import SignedReceipt
from ledger.market.usage_plain import line_to_plain, read_line
from ledger.market.usage_tree import UsageLine
from ledger.market.wire import bid_from_plain, signed_receipt_from_plain

Plain = dict[str, Any]
CHUNK = 4 << 20
_DEADLINE_SECONDS = 120
_TIMEOUT = httpx.Timeout(15.0, connect=3.0)
_NOT_FOUND = 404
_CONFLICT = 409
_SERVER_ERROR = 500
# 401: a clock that is put right makes the same request good.
_TRY_LATER = (401, 429, 502, 503, 504)
_AGENT_PATH = "/v1/agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signs, and for which market."""

    domain: Domain
    key: Signer
    provider: Address | None = None
    """whom the key acts for, None for itself"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What the node is told of a lease's job."""

    phase: str
    exit_code: int | None
    code: str
    cause: str
    outputs: tuple[OutputFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageAnswer:
    """What the node said to a usage line: the receipt, None where the signer has not signed yet, and how
    many lines of the lease the node holds."""

    signed: SignedReceipt | None
    held: int


class NodeClient:
    """One node over HTTP. `clock` gives seconds since 1970, `random_bits` a request's nonce.

    Every method may raise `Unavailable` "node-unreachable" or the node's own error.
    """

    def __init__(
        self,
        url: str,
        identity: Identity,
        clock: Callable[[], float],
        random_bits: Callable[[int], int],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._random_bits = random_bits
        self._url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, transport=transport, trust_env=False)

    async def __aenter__(self) -> "NodeClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def put_document(self, plain: object) -> None:
        """Keep a document at the node, under its hash."""
        headers = {"Content-Type": "application/json"}
        await self._send("POST", "/v1/documents", content=canonical(plain), headers=headers)

    async def document(self, name: Digest) -> Plain:
        """The document of that hash; `Rejected` "other-document" where it hashes to another."""
        plain = await self._shown(f"/v1/documents/{text(name)}", signed=True)
        if document_hash(plain) != name:
            raise Rejected(
                "other-document", "The node's document has another hash.", "Ask another node for it."
            )
        return plain

    async def bid_of(self, lease: LeaseId) -> Bid:
        """The bid that the node says opened the lease; not yet checked."""
        shown = await self._shown(f"/v1/leases/{text(lease)}")
        return bid_from_plain(shown.get("bid"))

    async def receipt_of(self, lease: LeaseId, signer: Address) -> SignedReceipt | None:
        """The best receipt that the node has for the lease, its signature verified."""
        shown = await self._shown(f"/v1/leases/{text(lease)}")
        return self._verified(lease, signer, shown.get("receipt"))

    async def report_usage(self, line: UsageLine, evidence: Digest, signer: Address) -> UsageAnswer:
        """Send a usage line with the root over the lines up to it; a receipt's signature is verified."""
        body = line_to_plain(line) | {"evidence": text(evidence)}
        answer = _json(await self._post(f"/v1/leases/{text(line.lease)}/usage", body))
        signed = self._verified(line.lease, signer, answer.get("receipt"))
        return UsageAnswer(signed=signed, held=Reader(answer, "answer").get("lines", int))

    async def usage_lines(self, lease: LeaseId, first: int) -> list[UsageLine]:
        """The usage lines that the node holds from number `first` on, a page of them; none at the end."""
        path = f"/v1/leases/{text(lease)}/usage/lines"
        answer = _json(await self._send("GET", path, params={"first": str(first)}, signed=False))
        shown = Reader(answer, "answer").get("lines", list)
        return [read_line(lease, Reader(one, "line")) for one in shown]

    async def report_job(self, lease: LeaseId, report: JobReport) -> None:
        """Say how the lease's job is."""
        body = {
            "phase": report.phase,
            "exit_code": report.exit_code,
            "code": report.code,
            "cause": report.cause,
            "outputs": [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in report.outputs],
        }
        await self._post(f"/v1/leases/{text(lease)}/reports", body)

    async def append_log(self, lease: LeaseId, offset: int, data: bytes) -> int:
        """Add a piece of the job's log; the offset at which the node wants the next one."""
        path = f"/v1/leases/{text(lease)}/logs"
        try:
            answer = _json(await self._send("PUT", path, params={"offset": str(offset)}, content=data))
        except LostRace as exc:
            if type(wanted := exc.facts.get("offset")) is int:
                return wanted
            raise
        return int(answer["offset"])

    async def download(self, sha256: str, target: Path, at_most: int) -> None:
        """Fetch a blob into a file; a part that is there already is not fetched again.

        `Rejected` "wrong-hash" where the content is another, or is larger than `at_most` bytes.
        """
        partial = target.with_suffix(".part")
        have = await asyncio.to_thread(_size_of, partial)
        headers = {"Range": f"bytes={have}-"} if have else {}
        with partial.open("ab") as file:
            async for piece in self._stream(f"/v1/blobs/{sha256}", headers, lambda: file.truncate(0)):
                await asyncio.to_thread(file.write, piece)
                if file.tell() > at_most:
                    break
        found = await asyncio.to_thread(_sha256_of, partial)
        if found != sha256:
            partial.unlink()
            raise Rejected("wrong-hash", f"The blob {sha256} has another content.", "Upload it again.")
        partial.replace(target)

    async def upload(self, source: Path, sha256: str) -> None:
        """Bring a file to the node under its hash, from where an earlier try left off."""
        size = (await asyncio.to_thread(source.stat)).st_size
        path = f"/v1/blobs/{sha256}"
        offset = int(_json(await self._send("POST", path, params={"size": str(size)}))["offset"])
        with source.open("rb") as file:
            while offset < size:
                file.seek(offset)
                piece = await asyncio.to_thread(file.read, CHUNK)
                headers = {"Upload-Offset": str(offset)}
                answer = _json(await self._send("PATCH", path, content=piece, headers=headers))
                offset = int(answer["offset"])

    async def reputation(self, provider: Address) -> Plain | None:
        """What the node makes of the provider's record on the chain; None where it knows no such one."""
        try:
            shown = _json(await self._send("GET", f"/v1/providers/{text(provider)}", signed=False))
        except Rejected:
            return None
        found = shown.get("reputation")
        return found if isinstance(found, dict) else None

    def socket_url(self) -> str:
        """The address of the agent's WebSocket, signed anew."""
        nonce, deadline, signature = self._signed("GET", _AGENT_PATH, b"")
        query = (
            f"address={text(self._identity.key.address)}&nonce={nonce}"
            f"&deadline={deadline}&signature={text(signature)}"
        )
        if self._identity.provider is not None:
            query += f"&provider={text(self._identity.provider)}"
        scheme, rest = self._url.split("://", 1)
        return f"{'wss' if scheme == 'https' else 'ws'}://{rest}{_AGENT_PATH}?{query}"

    async def _shown(self, path: str, *, signed: bool = False) -> Plain:
        """What anybody may read. The chain may be ahead of the node: what it does not know, it may soon."""
        try:
            return _json(await self._send("GET", path, signed=signed))
        except Rejected as exc:
            if exc.facts.get("http_status") != _NOT_FOUND:
                raise
            raise Unavailable(exc.code, exc.cause, "Wait until the node has seen it.") from exc

    def _verified(self, lease: LeaseId, signer: Address, plain: object) -> SignedReceipt | None:
        if plain is None:
            return None
        signed = signed_receipt_from_plain(lease, plain)
        digest = receipt_digest(self._identity.domain, signed.receipt)
        check_signed_by(signer, digest, signed.signature)
        return signed

    async def _post(self, path: str, body: Plain) -> httpx.Response:
        content = json.dumps(body, separators=(",", ":")).encode()
        return await self._send("POST", path, content=content, headers={"Content-Type": "application/json"})

    async def _send(
        self,
        method: str,
        path: str,
        *,
        signed: bool = True,
        **parts: Any,  # noqa: ANN401 - httpx's own
    ) -> httpx.Response:
        request = self._http.build_request(method, path, **parts)
        if signed:
            self._sign(request)
        try:
            response = await self._http.send(request)
        except httpx.HTTPError as exc:
            raise self._unreachable(exc) from exc
        if response.is_error:
            raise error_of(response)
        return response

    async def _stream(
        self, path: str, headers: dict[str, str], restart: Callable[[], object]
    ) -> AsyncIterator[bytes]:
        request = self._http.build_request("GET", path, headers=headers)
        self._sign(request)
        try:
            response = await self._http.send(request, stream=True)
            try:
                if response.is_error:
                    await response.aread()
                    raise error_of(response)
                if headers and response.status_code == httpx.codes.OK:
                    restart()
                async for piece in response.aiter_bytes(CHUNK):
                    yield piece
            finally:
                await response.aclose()
        except httpx.HTTPError as exc:
            raise self._unreachable(exc) from exc

    def _sign(self, request: httpx.Request) -> None:
        target = request.url.raw_path.decode("ascii")
        nonce, deadline, signature = self._signed(request.method, target, request.read())
        request.headers["Bingwang-Address"] = text(self._identity.key.address)
        request.headers["Bingwang-Nonce"] = str(nonce)
        request.headers["Bingwang-Deadline"] = str(deadline)
        request.headers["Bingwang-Signature"] = text(signature)

    def _signed(self, method: str, target: str, body: bytes) -> tuple[int, int, bytes]:
        nonce, deadline = self._random_bits(63), int(self._clock()) + _DEADLINE_SECONDS
        domain = self._identity.domain
        message = request_message(domain, method, target, keccak(body), nonce, deadline)
        return nonce, deadline, self._identity.key.sign_typed(message)

    def _unreachable(self, exc: Exception) -> Unavailable:
        return Unavailable(
            "node-unreachable",
            f"The node at {self._url} does not answer ({type(exc).__name__}).",
            "Check that it runs and that the URL is right; the agent tries again.",
        )


def error_of(response: httpx.Response) -> MarketError:
    """The node's problem document as the error that it was."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    plain = body if isinstance(body, dict) else {}
    status = response.status_code
    kind: type[MarketError] = Rejected
    if status == _CONFLICT:
        kind = LostRace
    elif status in _TRY_LATER or status >= _SERVER_ERROR:
        kind = Unavailable
    standard = ("type", "title", "status", "code", "cause", "remedy")
    facts = {key: value for key, value in plain.items() if key not in standard}
    facts["http_status"] = status
    code = str(plain.get("code", "not-found" if status == _NOT_FOUND else "http-error"))
    return kind(
        code,
        str(plain.get("cause", f"The node answered {status}.")),
        str(plain.get("remedy", "Look at the node's log.")),
        **facts,
    )


def _json(response: httpx.Response) -> Plain:
    try:
        body = response.json()
    except ValueError as exc:
        raise _no_node() from exc
    if not isinstance(body, dict):
        raise _no_node()
    return body


def _no_node() -> Broken:
    return Broken("no-node", "What answers there is not a node of this release.", "Correct the URL.")


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
