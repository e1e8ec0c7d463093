"""What the API shows of orders, leases, offers and events: plain JSON, one function a thing."""

import json
from dataclasses import fields, is_dataclass
from enum import Enum, IntEnum

from ledger.books.queries import Queries
from ledger.books.rows import EventRow, JobRow, LeaseRow, OfferRow
from ledger.market.facts import UsageReported
from ledger.market.identity import text
from ledger.market.offer_document import OfferDocument
from ledger.market.resource import Quantities
from ledger.market.traits import Traits
from ledger.market.wire import Plain, bid_to_plain, offer_to_plain, signed_receipt_to_plain, terms_to_plain


def job_view(row: JobRow, queries: Queries) -> Plain:
    """A job with its leases."""
    document = queries.document(row.document)
    leases = [found for name in row.leases if (found := queries.lease(name)) is not None]
    return {
        "job": text(row.job),
        "name": None if document is None else json.loads(document)["name"],
        "buyer": text(row.buyer),
        "document": text(row.document),
        "state": row.state.value,
        "code": row.code,
        "cause": row.cause,
        "lease": None if row.lease is None else text(row.lease),
        "leases": [lease_view(lease) for lease in leases],
        "outputs": [{"path": one.path, "sha256": one.sha256, "size": one.size} for one in row.outputs],
        "exit_code": row.exit_code,
        "accepted_at": row.accepted_at,
        "wait_until": row.wait_until,
        "attempts": len(row.attempts),
        "limit_rate": str(row.bid.limit_rate),
        "duration": row.bid.duration,
    }


def lease_view(row: LeaseRow) -> Plain:
    """A lease as chain, agent and signer have it."""
    moves = row.transactions
    return {
        "lease": text(row.id),
        "job": None if row.job is None else text(row.job),
        "terms": terms_to_plain(row.terms),
        "bid": None if row.signed is None else bid_to_plain(row.signed.bid),
        "signature": None if row.signed is None else text(row.signed.signature),
        "document": None if row.document is None else text(row.document),
        "state": row.state.value,
        "start": row.start,
        "escrow": str(row.escrow),
        "paid": str(row.paid),
        "refunded": None if row.refunded is None else str(row.refunded),
        "ended_after": row.ended_after,
        "because": None if row.because is None else row.because.value,
        "skipped": None if row.skipped is None else row.skipped.name,
        "phase": None if row.phase is None else row.phase.value,
        "exit_code": row.exit_code,
        "code": row.code,
        "cause": row.cause,
        "usage": None if row.usage is None else usage_view(row.usage),
        "receipt": None if row.receipt is None else signed_receipt_to_plain(row.receipt),
        "transactions": {
            "opened": None if moves.opened is None else text(moves.opened),
            "settled": [text(one) for one in moves.settled],
            "terminated": None if moves.terminated is None else text(moves.terminated),
            "closed": None if moves.closed is None else text(moves.closed),
        },
    }


def usage_view(usage: UsageReported) -> Plain:
    return {
        "milliseconds": usage.milliseconds,
        "cpu_ns": usage.cpu_ns,
        "peak_bytes": usage.peak_bytes,
        "evidence": text(usage.evidence),
        "last": usage.last,
        "at": usage.at,
    }


def offer_view(
    row: OfferRow, used: Quantities, document: OfferDocument | None, *, live: bool, heartbeat_at: int | None
) -> Plain:
    """A registered offer with what is taken of it and whether its agent is alive."""
    return {
        "id": text(row.id),
        "offer": offer_to_plain(row.offer),
        "document": None if document is None else document.to_plain(),
        "used": str(used.pack()),
        "cancelled": row.cancelled or row.void,
        "live": live,
        "heartbeat_at": heartbeat_at,
    }


def event_view(row: EventRow) -> Plain:
    """One event of the contract, fields by name, as an explorer lists it."""
    return {
        "seq": row.seq,
        "name": row.name,
        "args": _plain_fields(row.event),
        "block": row.block.number,
        "block_hash": text(row.block.hash),
        "transaction": text(row.transaction),
        "log_index": row.log_index,
        "at": row.block.at,
        "rewound": row.rewound,
    }


def _plain_fields(value: object) -> Plain:
    assert is_dataclass(value)
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}


def _plain(value: object) -> object:
    match value:
        case bytes():
            return text(value)
        case IntEnum():
            return value.name
        case Enum():
            return value.value
        case bool():
            return value
        case int():
            return str(value)
        case Quantities() | Traits():
            return str(value.pack())
        case _ if is_dataclass(value):
            return _plain_fields(value)
        case _:
            return value
