"""Planning: from a match to the leases that it opens, and the wish that the outbox carries out."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.books.rows import LeaseRow
from ledger.books.unit_of_work import Unit
from ledger.chain.typed_data import bid_id, lease_id
from ledger.market.bid import SignedBid
from ledger.market.facts import Draw, GangPlanned, LeasePlanned, PlanFailed
from ledger.market.identity import NO_DIGEST, BidId, LeaseId, OfferId
from ledger.market.instructions import ContinueLease, GangMember, Instruction, OpenGang, OpenLease
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.reasons import SkipReason
from node.trading.venue import Venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One member's place: on which offer, at which rate (milli-base-units per hour)."""

    offer_id: OfferId
    offer: Offer
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Whose bid is opened: the job, the attempt's number, the bid, and how replicas were drawn."""

    job: BidId
    number: int
    signed: SignedBid
    draw: Draw | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was planned: the leases of one bid in the order of their members."""

    job: BidId
    leases: tuple[tuple[LeaseId, LeaseTerms], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The plan of a lease that was never planned before, as it will be recorded; `key` is its wish's."""

    fact: LeasePlanned
    key: str

    @property
    def lease(self) -> LeaseId:
        return self.fact.wish.lease

    @property
    def plan(self) -> Plan:
        return Plan(job=self.fact.job, leases=((self.lease, self.fact.terms),))


class Planner:
    """Plans leases of one market for the node's own account."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def plan(self, unit: Unit, attempt: Attempt, places: Sequence[Place], at: int) -> Plan:
        """Record the plan and its wish in one unit; `places` stand in the order of the members.

        A plan whose first lease was planned before gets a later moment than then, whatever the clock
        says: the wish is named by it, and a failed wish must not stand for a new one.
        """
        bid = attempt.signed.bid
        name = bid_id(self._venue.domain, bid)
        if bid.members == 1:
            wish, terms = self._single(attempt.signed, name, places[0])
            return self._record_lease(unit, attempt, wish, terms, at)
        members = [
            GangMember(
                lease=self._member(attempt.signed, name, number, place)[0],
                offer_id=place.offer_id,
                offer=place.offer,
                rate=place.rate,
            )
            for number, place in enumerate(places)
        ]
        seed = attempt.draw.seed if attempt.draw else NO_DIGEST
        gang = OpenGang(bid=name, signed=attempt.signed, members=tuple(members), seed=seed)
        return self._record_gang(unit, attempt, gang, at)

    def prepare(self, name: BidId, attempt: Attempt, place: Place, at: int) -> Prepared:
        """The plan of a bid of one member, called `name`, to be recorded where its lease is not known yet."""
        wish, terms = self._single(attempt.signed, name, place)
        fact = LeasePlanned(job=attempt.job, attempt=attempt.number, wish=wish, terms=terms, at=at)
        return Prepared(fact=fact, key=open_key(wish.lease, at))

    def _single(self, signed: SignedBid, name: BidId, place: Place) -> tuple[OpenLease, LeaseTerms]:
        lease, terms = self._member(signed, name, 0, place)
        wish = OpenLease(
            lease=lease, offer_id=place.offer_id, offer=place.offer, signed=signed, rate=place.rate
        )
        return wish, terms

    def plan_next(self, unit: Unit, previous: LeaseRow, wish: ContinueLease, at: int) -> Plan:
        """Record that `previous` is continued, in the same job and attempt."""
        assert previous.job is not None
        attempt = Attempt(job=previous.job, number=previous.attempt, signed=wish.signed)
        place = Place(offer_id=wish.offer_id, offer=wish.offer, rate=wish.rate)
        name = bid_id(self._venue.domain, wish.signed.bid)
        _, terms = self._member(wish.signed, name, 0, place)
        return self._record_lease(unit, attempt, wish, terms, at)

    def plan_again(self, unit: Unit, row: LeaseRow, wish: Instruction, at: int) -> None:
        """What was opened in a block which vanished is planned and wished once more; `row` is its lease,
        or the first one of its gang."""
        assert isinstance(wish, OpenLease | OpenGang | ContinueLease)
        assert row.job is not None
        unit.record(PlanFailed(job=row.job, lease=row.id, reason=SkipReason.NONE, at=at))
        draw = unit.queries.draw(row.terms.bid)
        attempt = Attempt(job=row.job, number=row.attempt, signed=wish.signed, draw=draw)
        if isinstance(wish, OpenGang):
            self._record_gang(unit, attempt, wish, at)
        else:
            self._record_lease(unit, attempt, wish, row.terms, at)

    def _record_lease(
        self, unit: Unit, attempt: Attempt, wish: OpenLease | ContinueLease, terms: LeaseTerms, at: int
    ) -> Plan:
        at = _later(unit, wish.lease, at)
        unit.record(LeasePlanned(job=attempt.job, attempt=attempt.number, wish=wish, terms=terms, at=at))
        unit.wish(open_key(wish.lease, at), wish, at)
        return Plan(job=attempt.job, leases=((wish.lease, terms),))

    def _record_gang(self, unit: Unit, attempt: Attempt, wish: OpenGang, at: int) -> Plan:
        first = wish.members[0].lease
        at = _later(unit, first, at)
        members = [
            self._member(
                attempt.signed,
                wish.bid,
                number,
                Place(offer_id=member.offer_id, offer=member.offer, rate=member.rate),
            )
            for number, member in enumerate(wish.members)
        ]
        unit.record(
            GangPlanned(
                job=attempt.job,
                attempt=attempt.number,
                wish=wish,
                terms=tuple(terms for _, terms in members),
                draw=attempt.draw,
                at=at,
            )
        )
        unit.wish(open_key(first, at), wish, at)
        return Plan(job=attempt.job, leases=tuple(members))

    def _member(
        self, signed: SignedBid, name: BidId, number: int, place: Place
    ) -> tuple[LeaseId, LeaseTerms]:
        bid = signed.bid
        terms = LeaseTerms(
            offer=place.offer_id,
            bid=name,
            member=number,
            provider=place.offer.provider,
            buyer=bid.buyer,
            signer=bid.signer,
            matcher=bid.matcher,
            want=bid.want,
            rate=place.rate,
            duration=bid.duration,
        )
        return lease_id(self._venue.domain, terms), terms


def _later(unit: Unit, lease: LeaseId, at: int) -> int:
    before = unit.queries.lease(lease)
    if before is None or before.planned_at is None:
        return at
    return max(at, before.planned_at + 1)


def open_key(lease: bytes, planned_at: int) -> str:
    """The outbox key of the wish to open a lease, or a gang whose first one it is, planned then."""
    return f"open:{lease.hex()}:{planned_at}"
