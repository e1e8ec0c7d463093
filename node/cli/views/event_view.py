"""The market's events as a list, from the node's books or straight from the chain: same shape, same names."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from ledger.books.rows import EventRow
from ledger.chain.client import MarketClient
from ledger.chain.log_ranges import pieces
from ledger.market.events import Logged
from ledger.market.identity import Address
from node.buying.client import NodeClient
from node.cli.views.job_view import moment
from node.cli.views.output import console, document, line, printable
from node.views import event_view

Source = Iterator[dict[str, Any]]
_PAUSE_SECONDS = 0.5


def from_node(node: NodeClient, after: int, *, follow: bool) -> Source:
    """The node's list after the event `after`, then, following, what comes."""
    while True:
        page = node.events(after=after)
        yield from page["events"]
        after = int(page["next"])
        if page["events"]:
            continue
        if not follow:
            return
        time.sleep(_PAUSE_SECONDS)


def from_chain(rpc: str, market: Address, first_block: int, *, follow: bool) -> Source:
    """The chain's own logs from a block on; `seq` counts what was read."""
    with closing(MarketClient(rpc, market)) as client:
        count, first = 0, first_block
        while True:
            head = client.block("latest").number
            for start, last in pieces(first, head):
                for logged in client.logs(start, last):
                    count += 1
                    yield _of_chain(logged, count)
            first = max(first, head + 1)
            if not follow:
                return
            time.sleep(_PAUSE_SECONDS)


def _of_chain(logged: Logged, seq: int) -> dict[str, Any]:
    row = EventRow(
        seq=seq,
        event=logged.event,
        block=logged.block,
        log_index=logged.log_index,
        transaction=logged.transaction,
        rewound=False,
    )
    return event_view(row)


def show(source: Source, *, as_json: bool, follow: bool) -> None:
    """Print as it comes; without `follow`, --json is one document."""
    if as_json and not follow:
        document({"events": list(source)})
        return
    out = console()
    for event in source:
        if as_json:
            line(event)
        else:
            out.print(_sentence(event), markup=False, highlight=False, soft_wrap=True)


def _sentence(event: dict[str, Any]) -> str:
    args = "  ".join(f"{key}={_short(value)}" for key, value in event["args"].items())
    return printable(f"{moment(int(event['at']))}  #{event['block']}  {event['name']}  {args}")


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "{…}"
    written = str(value)
    return written[:12] + "…" if written.startswith("0x") and len(written) > 12 else written
