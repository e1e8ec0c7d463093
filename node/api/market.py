"""What a newcomer asks first: which market this is, whether the node is well, and who lends what."""

from fastapi import APIRouter

from ledger.books.rows import OfferUsage
from ledger.market.identity import text
from ledger.market.resource import Quantities
from node.api.services import Services
from node.trading.standing_book import known_document
from node.views import offer_view


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["market"])

    @router.get("/v1/market")
    def market() -> dict[str, object]:
        """Chain id, contracts, who guards, decides and judges, policy, the node's own address, its time."""
        return services.market | _guarded(services) | {"time": services.now()}

    @router.get("/v1/health")
    def health() -> dict[str, object]:
        """`ok`, or `degraded` with the part that does not answer."""
        return services.health()

    @router.get("/v1/offers")
    def offers(live: bool = False) -> dict[str, object]:
        """Registered offers; `live` leaves out those that could not be matched right now."""
        now = services.now()
        alive = services.exchange.presence.live_offers(now)
        queries = services.books.queries
        usage = queries.live_usage()
        none = OfferUsage(used=Quantities(), planned=Quantities())
        shown = []
        for row in queries.offers():
            valid = not (row.cancelled or row.void) and row.offer.valid_until > now
            is_live = valid and (row.offer.provider, row.id) in alive
            if live and not is_live:
                continue
            beat = services.exchange.presence.last(row.offer.provider)
            taken = usage.get(row.id, none)
            document = known_document(queries, row)
            view = offer_view(
                row,
                taken.used.plus(taken.planned),
                document,
                live=is_live and document is not None,
                heartbeat_at=beat.at if beat else None,
            )
            reputation = services.track_records.per_mille(row.offer.provider, now)
            shown.append(view | {"reputation": reputation})
        return {"offers": shown}

    return router


def _guarded(services: Services) -> dict[str, object]:
    """What the guardian did since the market was deployed: a pause, or renouncing."""
    row = services.books.queries.market()
    if row is None:
        return {"paused_until": 0}
    return {"guardian": text(row.guardian), "paused_until": row.paused_until}
