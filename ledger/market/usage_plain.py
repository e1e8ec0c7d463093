"""Usage lines and their proofs as plain JSON, in one place for node, agent, buyer and stranger.

A proof file names everything that a stranger needs: chain and market, the line, its path, and the
transaction that settled the root. It is believed in nothing: the root is computed from line and path, and
looked for on the chain.
"""

from dataclasses import dataclass

from ledger.market.errors import Rejected
from ledger.market.identity import Address, LeaseId, from_text, text
from ledger.market.plain import Reader
from ledger.market.ranges import exact_bytes, unsigned
from ledger.market.usage_tree import UsageLine, UsageProof
from ledger.market.wire import Plain, account, hexed

FORMAT = "bingwang/usage-proof/1"
_COUNTS = ("sequence", "milliseconds", "cpu_ns", "peak_bytes")


def line_to_plain(line: UsageLine) -> Plain:
    """Without its lease, which the address of the request names."""
    return {name: getattr(line, name) for name in _COUNTS} | {"last": line.last}


def line_from_plain(lease: LeaseId, value: object) -> UsageLine:
    """The line behind its JSON; unknown keys are refused."""
    read = Reader(value, "line")
    line = read_line(lease, read)
    read.done()
    return line


def read_line(lease: LeaseId, read: Reader) -> UsageLine:
    """The line's own keys of a larger mapping."""
    counts = {name: read.get(name, int) for name in _COUNTS}
    return UsageLine(lease=lease, last=read.get("last", bool), **counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledLine:
    """A line's proof, and where its root is to be found: the transaction that settled it on a market."""

    chain_id: int
    market: Address
    proof: UsageProof
    transaction: bytes

    def __post_init__(self) -> None:
        unsigned("chain_id", self.chain_id, 256)
        exact_bytes("market", self.market, 20)
        exact_bytes("transaction", self.transaction, 32)


def settled_line_to_plain(settled: SettledLine) -> Plain:
    proof = settled.proof
    return {
        "format": FORMAT,
        "chain_id": settled.chain_id,
        "market": text(settled.market),
        "lease": text(proof.line.lease),
        "line": line_to_plain(proof.line),
        "lines": proof.lines,
        "path": [text(one) for one in proof.path],
        "transaction": text(settled.transaction),
    }


def settled_line_from_plain(value: object) -> SettledLine:
    """`Rejected` where it is no proof of this format."""
    read = Reader(value, "proof")
    if (found := read.get("format", str)) != FORMAT:
        raise Rejected("unknown-format", f"The proof's format is {found[:80]!r}.", f"Give one of {FORMAT}.")
    line = line_from_plain(LeaseId(hexed(read, "lease", 32)), read.get("line", dict))
    proof = UsageProof(
        line=line,
        lines=read.get("lines", int),
        path=tuple(from_text(one, 32) for one in read.texts("path", required=True)),
    )
    settled = SettledLine(
        chain_id=read.get("chain_id", int),
        market=account(read, "market"),
        proof=proof,
        transaction=hexed(read, "transaction", 32),
    )
    read.done()
    return settled
