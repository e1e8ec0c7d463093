"""What anybody may read of a lease's metered usage: its lines, and the proof of one under a settled root."""

from typing import Annotated

from fastapi import APIRouter, Query

from ledger.market.facts import UsageReported
from ledger.market.identity import Address, from_text, text
from ledger.market.usage_plain import SettledLine, line_to_plain, settled_line_to_plain
from ledger.market.wire import Plain
from node.api.services import Number, Services
from node.trading.usage_lines import line_of, lines_held, proof_of

MOST_LINES = 1_000
PageLength = Annotated[int, Query(ge=1, le=MOST_LINES)]


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["leases"])

    @router.get("/v1/leases/{lease}/usage/lines")
    def lines(lease: str, first: Number = 0, limit: PageLength = MOST_LINES) -> Plain:
        """The lease's usage lines from number `first` on, each with the root over the lines up to it."""
        row = services.lease(lease)
        found = services.books.queries.usage_lines(row.id, first, limit)
        return {"lease": text(row.id), "held": lines_held(row), "lines": [_line_view(one) for one in found]}

    @router.get("/v1/leases/{lease}/usage/proof")
    def proof(lease: str, line: Number) -> Plain:
        """That a line is under the root that the chain shows in the named transaction's `UsageSettled`."""
        row = services.lease(lease)
        proven, transaction = proof_of(services.books.queries, row.id, line)
        chain_id, market = services.market["chain_id"], services.market["market"]
        assert isinstance(chain_id, int)
        settled = SettledLine(
            chain_id=chain_id,
            market=Address(from_text(str(market), 20)),
            proof=proven,
            transaction=transaction,
        )
        return settled_line_to_plain(settled)

    return router


def _line_view(fact: UsageReported) -> Plain:
    return line_to_plain(line_of(fact)) | {"evidence": text(fact.evidence), "at": fact.at}
