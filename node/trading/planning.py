"""Planning: from a match to the lease that it opens, and the wish that the outbox carries out."""

from ledger.books.rows import LeaseRow
from ledger.books.unit_of_work import Unit
from ledger.chain.typed_data import Domain, lease_id
from ledger.market.bid import SignedBid
from ledger.market.facts import LeasePlanned, PlanFailed
from ledger.market.identity import Address, BidId
from ledger.market.instructions import Instruction, OpenLease
from ledger.market.lease import LeaseTerms
from ledger.market.reasons import SkipReason
from matcher.clearing import Match
from matcher.orders import OfferOrder


def terms_of(match: Match, offer: OfferOrder, signed: SignedBid, matcher: Address) -> LeaseTerms:
    """The terms of the lease that the match opens, `matcher` being the node's own account."""
    bid = signed.bid
    return LeaseTerms(
        offer=match.offer,
        bid=match.bid,
        member=0,
        provider=offer.offer.provider,
        buyer=bid.buyer,
        signer=bid.signer,
        matcher=matcher,
        want=bid.want,
        rate=match.rate,
        duration=bid.duration,
    )


class Planner:
    """Plans leases of one market for the matcher `address`."""

    def __init__(self, domain: Domain, address: Address) -> None:
        self._domain = domain
        self._address = address

    def plan(
        self, unit: Unit, match: Match, offer: OfferOrder, order: tuple[BidId, int, SignedBid], at: int
    ) -> LeasePlanned:
        """Record the plan and its wish in one unit; `order` is job, attempt and the attempt's bid.

        A lease that was planned before gets a later moment than then, whatever the clock says: the wish
        is named by it, and a failed wish must not stand for a new one.
        """
        job, attempt, signed = order
        terms = terms_of(match, offer, signed, self._address)
        name = lease_id(self._domain, terms)
        before = unit.queries.lease(name)
        if before is not None and before.planned_at is not None:
            at = max(at, before.planned_at + 1)
        wish = OpenLease(lease=name, offer_id=match.offer, offer=offer.offer, signed=signed, rate=match.rate)
        planned = LeasePlanned(job=job, attempt=attempt, wish=wish, terms=terms, at=at)
        unit.record(planned)
        unit.wish(open_key(name, at), wish, at)
        return planned

    def plan_again(self, unit: Unit, row: LeaseRow, wish: Instruction, at: int) -> None:
        """A planned lease that was opened in a block which vanished is planned and wished once more."""
        assert isinstance(wish, OpenLease)
        assert row.job is not None
        assert row.planned_at is not None
        at = max(at, row.planned_at + 1)
        unit.record(PlanFailed(job=row.job, lease=row.id, reason=SkipReason.NONE, at=at))
        unit.record(LeasePlanned(job=row.job, attempt=row.attempt, wish=wish, terms=row.terms, at=at))
        unit.wish(open_key(row.id, at), wish, at)


def open_key(lease: bytes, planned_at: int) -> str:
    """The outbox key of the wish to open a lease that was planned at that moment."""
    return f"open:{lease.hex()}:{planned_at}"
