"""Where a stranger gets an epoch from: a node, a file, or a folder of files that `--save` made.

None is believed: each page is known by its hash, and the root by what the chain says.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import httpx

from ledger.market.errors import Rejected, Unavailable
from ledger.market.identity import Address, Digest, from_text, text
from matcher.bundle.bencode import decode, encode
from matcher.bundle.epoch import Header, header_of, root_of
from matcher.bundle.hash_tree import checked
from node.buying.client import error_of

SUFFIX = ".epoch"
_SECONDS = 120.0


class Source(Protocol):
    """Brings headers and whole epochs by their roots."""

    def header(self, root: Digest) -> Header: ...

    def pages(self, root: Digest) -> "Pages": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The pages of an epoch by their hashes, the header by the root."""

    by_name: dict[Digest, bytes]

    @classmethod
    def read(cls, raw: bytes) -> "Pages":
        """From one bencoded list of the header and the pages; `Rejected` "bundle-malformed"."""
        items = decode(raw)
        if not isinstance(items, list) or not items:
            raise Rejected("bundle-malformed", "The bytes are no list of pages.", "Fetch the bundle again.")
        pages = [item for item in items if isinstance(item, bytes)]
        if len(pages) < len(items):
            raise Rejected("bundle-malformed", "A page is no string of bytes.", "Fetch the bundle again.")
        return cls(by_name={Digest(sha256(page).digest()): page for page in pages})

    @property
    def first(self) -> bytes:
        """The first page, which is the header's."""
        return next(iter(self.by_name.values()))

    def pack(self, root: Digest) -> bytes:
        """One bencoded list: the header, then the pages in the order of their names."""
        others = (page for name, page in sorted(self.by_name.items()) if name != root)
        return encode([self.by_name[root], *others])

    def fetch(self, name: Digest) -> bytes:
        """A page; `Rejected` "page-missing" where it is not here: then the bundle was altered or cut off."""
        page = self.by_name.get(name)
        if page is None:
            raise Rejected(
                "page-missing",
                f"The bundle has no page {text(name)}: it was altered, or is not whole.",
                "Do not trust this copy; fetch the bundle from somebody else.",
                page=text(name),
            )
        return page


class Files:
    """A file, or a folder of files named by their roots."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def market(self) -> Address | None:
        """The market of the epochs here; None in a folder that has none."""
        files = sorted(self._place.glob(f"*{SUFFIX}")) if self._place.is_dir() else [self._place]
        for file in files[:1]:
            header = Pages.read(_read(file)).first
            return header_of(root_of(header), header).ground.market
        return None

    def close(self) -> None:
        """Nothing is open."""

    def header(self, root: Digest) -> Header:
        """The header of an epoch."""
        return header_of(root, self.pages(root).fetch(root))

    def pages(self, root: Digest) -> Pages:
        """A whole epoch; `Rejected` "bundle-unreadable" where there is no such file."""
        return Pages.read(_read(self._place / file_name(root) if self._place.is_dir() else self._place))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise Rejected(
            "bundle-unreadable", f"{file} cannot be read.", "Give a file or folder that replay --save made."
        ) from exc


def file_name(root: Digest) -> str:
    """What `--save` calls an epoch."""
    return text(root) + SUFFIX


class Node:
    """A node's HTTP API."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url
        self._http = httpx.Client(base_url=url, timeout=_SECONDS, transport=transport, trust_env=False)

    def market(self) -> Address | None:
        """The market that the node serves."""
        return Address(from_text(str(self._get("/v1/market").json()["market"]), 20))

    def header(self, root: Digest) -> Header:
        """The header of an epoch."""
        told = self._get(f"/v1/epochs/{text(root)}").json()
        raw = bytes.fromhex(str(told.get("header", ""))[2:])
        return header_of(root, checked(root, raw))

    def pages(self, root: Digest) -> Pages:
        """A whole epoch; `Rejected` "unknown-epoch", or "epoch-gone" where the node dropped it."""
        return Pages.read(self._get(f"/v1/epochs/{text(root)}/bundle").content)

    def page(self, name: Digest) -> bytes:
        """One page by its hash."""
        return checked(name, self._get(f"/v1/epochs/pages/{text(name)}").content)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _get(self, path: str) -> httpx.Response:
        try:
            response = self._http.get(path)
        except httpx.TransportError as exc:
            raise Unavailable(
                "node-unreachable", f"The node at {self._url} does not answer.", "Name another with --node."
            ) from exc
        if response.is_error:
            raise error_of(response)
        return response
