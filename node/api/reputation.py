"""Who lends, and what the chain says of how they did it."""

from fastapi import APIRouter

from ledger.books.rows import StakeRow
from ledger.market.identity import Address, from_text, text
from ledger.market.wire import Plain
from node.api.services import Services, Unknown

NO_STAKE = StakeRow(free=0, locked=0, unstaking=0, unlock_at=None)


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["providers"])

    @router.get("/v1/providers")
    def providers() -> Plain:
        """Everybody who ever registered an offer: reputation, stake and usable offers."""
        stakes = services.books.queries.stakes()
        return {
            "providers": [
                _view(services, provider, offers, stakes.get(provider, NO_STAKE))
                for provider, offers in _offers(services).items()
            ]
        }

    @router.get("/v1/providers/{address}")
    def provider(address: str) -> Plain:
        """One provider."""
        account = Address(from_text(address, 20))
        offers = _offers(services).get(account)
        if offers is None:
            raise Unknown("provider", address)
        return _view(services, account, offers, services.books.queries.stake(account))

    return router


def _offers(services: Services) -> dict[Address, list[str]]:
    """Every provider, with the ids of its offers that could open a lease."""
    now, found = services.now(), dict[Address, list[str]]()
    for row in services.books.queries.offers():
        offers = found.setdefault(row.offer.provider, [])
        if not (row.cancelled or row.void) and row.offer.valid_until > now:
            offers.append(text(row.id))
    return found


def _view(services: Services, provider: Address, offers: list[str], stake: StakeRow) -> Plain:
    return {
        "provider": text(provider),
        "reputation": services.track_records.reputation(provider, services.now()).to_plain(),
        "stake": str(stake.free),
        "locked": str(stake.locked),
        "offers": offers,
    }
