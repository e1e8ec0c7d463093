"""Kernel values as plain JSON, for HTTP bodies and stored rows: one form, strict in both directions.

Ids, addresses and signatures are `0x…` text, words and amounts decimal text (JSON numbers lose bits
beyond 2^53), seconds and milliseconds integers. Reading refuses unknown keys and wrong types.
"""

from ledger.market.bid import Bid, SignedBid
from ledger.market.errors import Rejected
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId, from_text, text
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.plain import Reader
from ledger.market.policy import Policy
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.resource import Quantities
from ledger.market.traits import Traits

Plain = dict[str, object]
_MAX_DIGITS = 78


def word(read: Reader, key: str) -> int:
    """A decimal text of at most 256 bits."""
    value: str = read.get(key, str)
    if not (value.isascii() and value.isdecimal() and len(value) <= _MAX_DIGITS):
        raise Rejected("malformed-number", f"{key} is not a decimal number.", "Give digits only.", key=key)
    return int(value)


def hexed(read: Reader, key: str, length: int) -> bytes:
    """A `0x…` text of exactly `length` bytes."""
    return from_text(read.get(key, str), length)


def account(read: Reader, key: str) -> Address:
    return Address(hexed(read, key, 20))


def offer_to_plain(offer: Offer) -> Plain:
    return {
        "provider": text(offer.provider),
        "capacity": str(offer.capacity.pack()),
        "ask": str(offer.ask.pack()),
        "traits": str(offer.traits.pack()),
        "min_seconds": offer.min_seconds,
        "max_seconds": offer.max_seconds,
        "valid_until": offer.valid_until,
        "epoch": str(offer.epoch),
        "salt": str(offer.salt),
        "document": text(offer.document),
    }


def offer_from_plain(value: object) -> Offer:
    read = Reader(value, "offer")
    offer = Offer(
        provider=account(read, "provider"),
        capacity=Quantities.unpack(word(read, "capacity")),
        ask=Quantities.unpack(word(read, "ask")),
        traits=Traits.unpack(word(read, "traits")),
        min_seconds=read.get("min_seconds", int),
        max_seconds=read.get("max_seconds", int),
        valid_until=read.get("valid_until", int),
        epoch=word(read, "epoch"),
        salt=word(read, "salt"),
        document=Digest(hexed(read, "document", 32)),
    )
    read.done()
    return offer


def bid_to_plain(bid: Bid) -> Plain:
    return {
        "buyer": text(bid.buyer),
        "signer": text(bid.signer),
        "want": str(bid.want.pack()),
        "traits": str(bid.traits.pack()),
        "limit_rate": str(bid.limit_rate),
        "max_over_ask_bps": bid.max_over_ask_bps,
        "duration": bid.duration,
        "start_by": bid.start_by,
        "valid_until": bid.valid_until,
        "open_after": bid.open_after,
        "members": bid.members,
        "flags": bid.flags,
        "epoch": str(bid.epoch),
        "nonce": str(bid.nonce),
        "job": text(bid.job),
        "provider": text(bid.provider),
        "matcher": text(bid.matcher),
        "continues": text(bid.continues),
    }


def bid_from_plain(value: object) -> Bid:
    read = Reader(value, "bid")
    bid = Bid(
        buyer=account(read, "buyer"),
        signer=account(read, "signer"),
        want=Quantities.unpack(word(read, "want")),
        traits=Traits.unpack(word(read, "traits")),
        limit_rate=word(read, "limit_rate"),
        max_over_ask_bps=read.get("max_over_ask_bps", int),
        duration=read.get("duration", int),
        start_by=read.get("start_by", int),
        valid_until=read.get("valid_until", int),
        open_after=read.get("open_after", int),
        members=read.get("members", int),
        flags=read.get("flags", int),
        epoch=word(read, "epoch"),
        nonce=word(read, "nonce"),
        job=Digest(hexed(read, "job", 32)),
        provider=account(read, "provider"),
        matcher=account(read, "matcher"),
        continues=Digest(hexed(read, "continues", 32)),
    )
    read.done()
    return bid


def signed_bid_to_plain(signed: SignedBid) -> Plain:
    return {"bid": bid_to_plain(signed.bid), "signature": text(signed.signature)}


def signed_bid_from_plain(value: object) -> SignedBid:
    read = Reader(value, "attempt")
    signed = SignedBid(bid=bid_from_plain(read.get("bid", dict)), signature=hexed(read, "signature", 64))
    read.done()
    return signed


def terms_to_plain(terms: LeaseTerms) -> Plain:
    return {
        "offer": text(terms.offer),
        "bid": text(terms.bid),
        "member": terms.member,
        "provider": text(terms.provider),
        "buyer": text(terms.buyer),
        "signer": text(terms.signer),
        "matcher": text(terms.matcher),
        "want": str(terms.want.pack()),
        "rate": str(terms.rate),
        "duration": terms.duration,
    }


def terms_from_plain(value: object) -> LeaseTerms:
    read = Reader(value, "terms")
    terms = LeaseTerms(
        offer=OfferId(hexed(read, "offer", 32)),
        bid=BidId(hexed(read, "bid", 32)),
        member=read.get("member", int),
        provider=account(read, "provider"),
        buyer=account(read, "buyer"),
        signer=account(read, "signer"),
        matcher=account(read, "matcher"),
        want=Quantities.unpack(word(read, "want")),
        rate=word(read, "rate"),
        duration=read.get("duration", int),
    )
    read.done()
    return terms


def signed_receipt_to_plain(signed: SignedReceipt) -> Plain:
    """Without its lease, which the address of the request names."""
    receipt = signed.receipt
    return {
        "milliseconds": receipt.milliseconds,
        "evidence": text(receipt.evidence),
        "last": receipt.last,
        "signature": text(signed.signature),
    }


def signed_receipt_from_plain(lease: LeaseId, value: object) -> SignedReceipt:
    read = Reader(value, "receipt")
    receipt = UsageReceipt(
        lease=lease,
        milliseconds=read.get("milliseconds", int),
        evidence=Digest(hexed(read, "evidence", 32)),
        last=read.get("last", bool),
    )
    signed = SignedReceipt(receipt=receipt, signature=hexed(read, "signature", 64))
    read.done()
    return signed


_POLICY = (
    "receipt_interval",
    "grace",
    "challenge_window",
    "arbitration_window",
    "unstake_delay",
    "fee_bps",
    "stake_bps",
    "no_show_bps",
)


def policy_to_plain(policy: Policy) -> Plain:
    """Seconds and basis points."""
    return {name: getattr(policy, name) for name in _POLICY}


def policy_from_plain(value: object) -> Policy:
    read = Reader(value, "policy")
    policy = Policy(**{name: read.get(name, int) for name in _POLICY})
    read.done()
    return policy
