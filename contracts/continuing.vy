# pragma version 0.4.3
"""
@title One call closes a lease with its last receipt and opens its next on the same offer
@notice That is extension, resize and top-up: the capacity and the money that the old one returns are there
    for the new one, and nobody can come between.
"""

from . import errors
from . import events
from . import leases
from . import matching
from . import signatures
from . import types

uses: errors
uses: leases
uses: matching
uses: signatures


@internal
def _continue(item: types.Settlement, offer: types.Offer, fill: types.Fill):
    previous: bytes32 = signatures._lease_id(item.terms)
    digest: bytes32 = signatures._offer_digest(offer)
    bid_digest: bytes32 = signatures._bid_digest(fill.bid)
    errors._require(
        fill.bid.continues == previous
        and fill.bid.buyer == item.terms.buyer
        and digest == item.terms.offer,
        errors.NOT_ITS_NEXT,
    )
    old: uint256 = leases._words[previous]
    reason: uint256 = 0
    paid: uint256 = 0
    reason, paid = leases._check_settlement(item, previous, old)
    errors._require(reason == types.OK and item.usage >= types.LAST, errors.RECEIPT)
    leases._settle_checked(item, previous, old, paid, types.CONTINUED)
    lease: bytes32 = empty(bytes32)
    reason, lease = matching._match_one(offer, digest, fill, bid_digest, previous)
    errors._require(reason == types.OK, errors.CANNOT_CONTINUE)
    log events.LeaseContinued(lease=lease, previous=previous)
