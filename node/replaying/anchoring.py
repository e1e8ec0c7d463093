"""Which epoch a person means, and that the chain really carries it.

A root on the chain stands for its epoch and, through the headers, for every one before; so an epoch counts as
anchored where its root was logged, or where the headers lead from a logged root back to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ledger.chain.client import MinedReceipt
from ledger.chain.log_ranges import pieces
from ledger.market.errors import Rejected
from ledger.market.events import BatchMatched, BlockRef, Logged
from ledger.market.identity import NO_DIGEST, Address, Digest, from_text, text
from node.replaying.sources import Source

_LONGEST_WALK = 10_000
"""headers between an epoch and the logged root after it"""
_LATEST = 50_000
"""blocks after an epoch's own in which its root is looked for"""


class Chain(Protocol):
    """What is asked of the stranger's own chain; `ledger.chain.client.MarketClient` is one."""

    def block(self, which: int | Literal["latest"]) -> BlockRef: ...

    def logs(self, first: int, last: int) -> list[Logged]: ...

    def receipt(self, transaction: bytes) -> MinedReceipt | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Where the chain carries an epoch: by the root `logged`, which is `steps` epochs after it."""

    root: Digest
    logged: Digest
    steps: int
    matcher: Address
    transaction: bytes
    block: int


def meant(chain: Chain, epoch: str) -> Digest:
    """The root that a root, a transaction's hash or a block's number names; `Rejected` "no-epoch-there"."""
    if epoch.isdecimal():
        number = int(epoch)
        return _only([one.event for one in chain.logs(number, number)], f"block {number}")
    name = from_text(epoch, 32)
    mined = chain.receipt(name)
    return Digest(name) if mined is None else _only(mined.events, f"transaction {epoch}")


def _only(events: Sequence[object], where: str) -> Digest:
    roots = [e.root for e in events if isinstance(e, BatchMatched) and e.root != NO_DIGEST]
    if not roots:
        raise Rejected(
            "no-epoch-there",
            f"The {where} logged no epoch of this market.",
            "Name a root, or a transaction or block with a BatchMatched.",
        )
    return roots[-1]


def anchor_of(chain: Chain, source: Source, root: Digest) -> Anchor:
    """Where the chain carries the epoch; `Rejected` "epoch-not-on-chain" where it does not: then the bundle
    proves nothing."""
    ground = source.header(root).ground
    logged = list(_roots(chain, ground.block_number))
    for one in logged:
        assert isinstance(one.event, BatchMatched)
        if one.event.root == root:
            return _anchor(root, one, 0)
    for one in logged:
        steps = _steps(source, one, root, ground.matcher)
        if steps is not None:
            return _anchor(root, one, steps)
    raise Rejected(
        "epoch-not-on-chain",
        f"No transaction of {text(ground.matcher)} logged the root {text(root)} or one that leads to it.",
        "Wait for the node's next transaction, or do not trust this bundle.",
        root=text(root),
    )


def _anchor(root: Digest, one: Logged, steps: int) -> Anchor:
    event = one.event
    assert isinstance(event, BatchMatched)
    return Anchor(
        root=root,
        logged=event.root,
        steps=steps,
        matcher=event.matcher,
        transaction=one.transaction,
        block=one.block.number,
    )


def _roots(chain: Chain, first: int) -> Iterator[Logged]:
    last = min(chain.block("latest").number, first + _LATEST)
    for start, end in pieces(first, last):
        for one in chain.logs(start, end):
            if isinstance(one.event, BatchMatched) and one.event.root != NO_DIGEST:
                yield one


def _steps(source: Source, one: Logged, root: Digest, matcher: Address) -> int | None:
    """How many headers lead from a logged root back to `root`; None where they do not."""
    assert isinstance(one.event, BatchMatched)
    if one.event.matcher != matcher:
        return None
    name = one.event.root
    for steps in range(_LONGEST_WALK):
        if name == root:
            return steps
        try:
            name = source.header(name).previous
        except Rejected:
            return None
        if name == NO_DIGEST:
            return None
    return None
