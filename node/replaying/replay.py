"""One replay from end to end: the root on the chain, the pages by their hashes, the result by the rules."""

from dataclasses import dataclass

from ledger.chain.client import MarketClient
from ledger.market.identity import Digest
from matcher.bundle.epoch import Bundle, open_bundle
from matcher.bundle.verdict import check
from matcher.clearing import Clearing
from node.replaying.anchoring import Anchor, anchor_of
from node.replaying.evidence import Evidence, evidence
from node.replaying.sources import Source
from node.trading.epochs import own_sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """An epoch that was computed again with the same result; `same_sources` tells whether by the very same
    code. `raw` is what was fetched."""

    bundle: Bundle
    clearing: Clearing
    anchor: Anchor
    evidence: Evidence
    same_sources: bool
    raw: bytes


def replayed(client: MarketClient, source: Source, root: Digest, first_block: int) -> Agreed:
    """Everything that can be checked of an epoch; `Rejected`, with the first difference named, where
    something is not as the node published it."""
    anchor = anchor_of(client, source, root)
    pages = source.pages(root)
    bundle = open_bundle(root, pages.fetch)
    found = evidence(client, bundle, anchor, first_block)
    return Agreed(
        bundle=bundle,
        clearing=check(bundle),
        anchor=anchor,
        evidence=found,
        same_sources=bundle.header.sources == own_sources(),
        raw=pages.pack(root),
    )
