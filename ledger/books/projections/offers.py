"""Offers and epochs as the chain has them: registered or not, cancelled or not, how much is used."""

from collections.abc import Collection

from sqlmodel import Session, col, select

from ledger.books.mapping import dumps, event_from, loads
from ledger.books.tables import EpochRecord, EventRecord, LeaseRecord, OfferRecord
from ledger.market.events import EpochBumped, OfferRegistered
from ledger.market.identity import text
from ledger.market.lease import LeaseTerms
from ledger.market.lifecycle import LeaseState
from ledger.market.resource import Quantities


def register(session: Session, event: OfferRegistered) -> None:
    """An offer is on chain."""
    used = used_of(session, event.id)
    offer = event.offer
    session.add(OfferRecord(id=event.id, provider=offer.provider, offer=dumps(offer), used=used))


def cancel(session: Session, offer: bytes) -> None:
    """An offer opens no more leases; those that are open go on."""
    record = session.get(OfferRecord, offer)
    if record is not None:
        record.cancelled = True


def bump(session: Session, event: EpochBumped) -> None:
    """What an account signed under an earlier epoch is void."""
    record = session.get(EpochRecord, event.account) or EpochRecord(account=event.account, epoch=0)
    record.epoch = event.epoch
    session.add(record)


def take(session: Session, offer: bytes, want: Quantities) -> None:
    """A lease opened on an offer."""
    record = session.get(OfferRecord, offer)
    if record is not None:
        record.used = Quantities.unpack(record.used).plus(want).pack()


def give_back(session: Session, offer: bytes, want: Quantities) -> None:
    """A lease of an offer closed; never below zero, as in the contract."""
    record = session.get(OfferRecord, offer)
    if record is not None:
        record.used = Quantities.unpack(record.used).less(want).pack()


def used_of(session: Session, offer: bytes) -> int:
    """The packed sum of what an offer's open leases want."""
    query = select(LeaseRecord.terms).where(
        LeaseRecord.offer == offer, LeaseRecord.state == LeaseState.ACTIVE.value
    )
    used = Quantities()
    for terms in session.exec(query).all():
        used = used.plus(loads(LeaseTerms, terms).want)
    return used.pack()


def refold_offer(session: Session, offer: bytes) -> None:
    """Rebuild an offer from its surviving events, after some of them vanished."""
    record = session.get(OfferRecord, offer)
    if record is not None:
        session.delete(record)
        session.flush()
    for event in surviving(session, f"offer:{text(offer)}"):
        if isinstance(event, OfferRegistered):
            register(session, event)
        else:
            cancel(session, offer)


def surviving(session: Session, *subjects: str, names: Collection[str] = ()) -> list[object]:
    """The events of these subjects whose blocks still exist, in order; no `names` means all kinds."""
    query = (
        select(EventRecord.body)
        .where(col(EventRecord.subject).in_(subjects), col(EventRecord.rewound).is_(False))
        .order_by(col(EventRecord.seq))
    )
    if names:
        query = query.where(col(EventRecord.name).in_(names))
    return [event_from(body) for body in session.exec(query).all()]
