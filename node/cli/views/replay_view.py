"""What a replay found, for people and programs."""

from collections.abc import Mapping
from typing import Any, Final

from ledger.market.identity import text
from ledger.market.moments import moment
from node.cli.views.output import Render, pairs
from node.replaying.evidence import WORD
from node.replaying.replay import Agreed

_LINES: Final = {
    "agrees": "agrees",
    "root": "root",
    "at": "at",
    "block": "block",
    "transaction": "transaction",
    "epochs_to_logged_root": "epochs to its log",
    "offers": "offers",
    "matches": "matches",
    "unmatched": "unmatched",
    "rules": "rules",
    "same_sources": "same sources",
}


def agreed_plain(found: Agreed) -> dict[str, Any]:
    """Amounts in milli-base-units per hour x seconds."""
    header, anchor, shown = found.bundle.header, found.anchor, found.evidence
    return {
        "agrees": True,
        "root": text(found.bundle.root),
        "at": header.at,
        "block": header.ground.block_number,
        "transaction": text(anchor.transaction),
        "epochs_to_logged_root": anchor.steps,
        "offers": shown.offers,
        "bids": len(found.bundle.bids),
        "matches": len(found.clearing.matches),
        "unmatched": len(found.clearing.unmatched),
        "welfare": str(found.clearing.welfare),
        "bound": str(found.clearing.bound),
        "rules": header.rules,
        "sources": text(header.sources),
        "same_sources": found.same_sources,
        "on_chain": {
            "capacity in use": dict(shown.uses),
            "free stakes": dict(shown.stakes),
            "bids": dict(shown.bids),
            "leases": dict(shown.leases),
        },
        "on_the_nodes_word": list(WORD),
    }


def agreed_view(plain: Mapping[str, Any]) -> Render:
    """The same in lines."""
    rows: dict[str, object] = {name: plain[key] for key, name in _LINES.items()}
    rows |= {
        "agrees": "bit for bit",
        "at": moment(int(plain["at"])),
        "same sources": "yes" if plain["same_sources"] else "no, yet the result is the same",
    }
    for what, counts in plain["on_chain"].items():
        rows[what] = ", ".join(f"{count} {found}" for found, count in counts.items()) or "none"
    return pairs(rows | {"on the node's word": "; ".join(plain["on_the_nodes_word"])})
