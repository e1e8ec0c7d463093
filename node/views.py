"""What the API shows of orders, leases, offers and events: plain JSON, one function a thing."""

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum, IntEnum

from ledger.books.queries import Queries
from ledger.books.rows import EventRow, JobRow, LeaseRow, OfferRow
from ledger.market.bid import Bid
from ledger.market.facts import OutputFile, UsageReported
from ledger.market.identity import NOBODY, text
from ledger.market.lease import UsageClaim
from ledger.market.lifecycle import Verdict
from ledger.market.offer_document import OfferDocument
from ledger.market.resource import Quantities
from ledger.market.traits import Traits
from ledger.market.wire import Plain, bid_to_plain, offer_to_plain, signed_receipt_to_plain, terms_to_plain


def job_view(row: JobRow, queries: Queries) -> Plain:
    """A job with its leases. Name, document, limit and duration are those of the alternative, and of the
    continuation, that the deciding lease is of."""
    leases = [found for name in row.leases if (found := queries.lease(name)) is not None]
    by_id = {lease.id: lease for lease in leases}
    members = [by_id[name] for name in row.members if name in by_id]
    decisive = None if row.lease is None else by_id.get(row.lease)
    bid = decisive.signed.bid if decisive is not None and decisive.signed is not None else row.bid
    document = queries.document(bid.job)
    return {
        "job": text(row.job),
        "name": None if document is None else json.loads(document)["name"],
        "buyer": text(row.buyer),
        "delegate": None if row.delegate == NOBODY else text(row.delegate),
        "document": text(bid.job),
        "alternatives": [text(way.document) for way in row.ways],
        "state": row.state.value,
        "code": row.code,
        "cause": row.cause,
        "lease": None if row.lease is None else text(row.lease),
        "leases": [lease_view(lease) for lease in leases],
        "members": [lease_view(lease) for lease in members],
        "replicas": _replicas_view(row, bid, members) if bid.replicated else None,
        "outputs": [_output_view(one) for one in row.outputs],
        "exit_code": row.exit_code,
        "accepted_at": row.accepted_at,
        "wait_until": row.wait_until,
        "attempts": len(row.attempts),
        "limit_rate": str(bid.limit_rate),
        "duration": bid.duration,
    }


def _output_view(one: OutputFile) -> Plain:
    return {"path": one.path, "sha256": one.sha256, "size": one.size}


def _replicas_view(row: JobRow, bid: Bid, members: Sequence[LeaseRow]) -> Plain:
    """What the jury knows, and what anybody needs to repeat the draw: the offers of `eligible`, ranked by
    sha256(seed, offer id), one a provider and a domain; the seed is sha256(bid id, block hash)."""
    draw = row.draw
    agreed = [lease for lease in members if lease.verdict is Verdict.AGREED]
    return {
        "members": bid.members,
        "agree": bid.agree,
        "seed": None if draw is None else text(draw.seed),
        "block": None if draw is None else {"number": draw.block_number, "hash": text(draw.block_hash)},
        "eligible": [] if draw is None else [text(offer) for offer in draw.eligible],
        "results": [_result_view(lease) for lease in members],
        "agreed_result": text(agreed[0].result) if agreed and agreed[0].result else None,
        "agreed": len(agreed),
        "cause": _replicas_cause(row, bid, members, len(agreed)),
    }


def _result_view(lease: LeaseRow) -> Plain:
    return {
        "lease": text(lease.id),
        "provider": text(lease.terms.provider),
        "committed": lease.commitment is not None,
        "result": None if lease.result is None else text(lease.result),
        "verdict": None if lease.verdict is None else lease.verdict.value,
    }


def _replicas_cause(row: JobRow, bid: Bid, members: Sequence[LeaseRow], agreed: int) -> str:
    """What the comparison of the results came to, in a sentence."""
    guilty = sum(lease.verdict is Verdict.GUILTY for lease in members)
    if not any(lease.verdict is not None for lease in members):
        return "The results were not compared yet."
    if not agreed:
        return row.cause
    told = f"{agreed} of {bid.members} replicas revealed the same result."
    return told if not guilty else f"{told} {guilty} revealed another one, and lost the stake behind it."


def lease_view(row: LeaseRow) -> Plain:
    """A lease as chain, agent and signer have it."""
    moves = row.transactions
    return {
        "lease": text(row.id),
        "job": None if row.job is None else text(row.job),
        "member": row.terms.member,
        "continues": None if row.continues is None else text(row.continues),
        "terms": terms_to_plain(row.terms),
        "bid": None if row.signed is None else bid_to_plain(row.signed.bid),
        "signature": None if row.signed is None else text(row.signed.signature),
        "document": None if row.document is None else text(row.document),
        "state": row.state.value,
        "start": row.start,
        "escrow": str(row.escrow),
        "paid": str(row.paid),
        "fee": str(row.fee),
        "settled_milliseconds": row.settled_milliseconds,
        "refunded": None if row.refunded is None else str(row.refunded),
        "lock": str(row.lock),
        "burned": str(row.burned),
        "ended_after": row.ended_after,
        "because": None if row.because is None else row.because.value,
        "skipped": None if row.skipped is None else row.skipped.name,
        "phase": None if row.phase is None else row.phase.value,
        "exit_code": row.exit_code,
        "code": row.code,
        "cause": row.cause,
        "outputs": [_output_view(one) for one in row.outputs],
        "undecided": row.undecided,
        "result": None if row.result is None else text(row.result),
        "verdict": None if row.verdict is None else row.verdict.value,
        "claim": None if row.claim is None else claim_view(row.claim),
        "usage": None if row.usage is None else usage_view(row.usage),
        "receipt": None if row.receipt is None else signed_receipt_to_plain(row.receipt),
        "transactions": {
            "opened": None if moves.opened is None else text(moves.opened),
            "settled": [text(one) for one in moves.settled],
            "terminated": None if moves.terminated is None else text(moves.terminated),
            "closed": None if moves.closed is None else text(moves.closed),
        },
    }


def claim_view(claim: UsageClaim) -> Plain:
    """A claim that nobody decided yet; amounts in base units."""
    return {
        "claimed": str(claim.claimed),
        "provider_bond": str(claim.provider_bond),
        "buyer_bond": str(claim.buyer_bond),
        "until": claim.until,
    }


def usage_view(usage: UsageReported) -> Plain:
    return {
        "sequence": usage.sequence,
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
