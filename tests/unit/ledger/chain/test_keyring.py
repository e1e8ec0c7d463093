from dataclasses import replace
from hashlib import sha256

from ledger.chain.keyring import keyring
from ledger.chain.keys import LocalKey
from ledger.market.bid import SignedBid
from ledger.market.identity import LeaseId, OfferId
from ledger.market.instructions import FinishUnstake, OpenLease
from tests.factories import a_bid, an_offer

OLD, NEW, STRANGER = (LocalKey(sha256(name).digest()) for name in (b"old", b"new", b"stranger"))
KEYS = keyring(NEW, [OLD, NEW, OLD])


def opening(matcher: LocalKey) -> OpenLease:
    bid = replace(a_bid(), matcher=matcher.address)
    return OpenLease(
        lease=LeaseId(bytes(32)),
        offer_id=OfferId(bytes(32)),
        offer=an_offer(),
        signed=SignedBid(bid=bid, signature=bytes(64)),
        rate=1,
    )


def test_each_account_is_there_once_the_current_one_first() -> None:
    assert KEYS.addresses == (NEW.address, OLD.address)
    assert KEYS.all() == (NEW, OLD)


def test_the_key_of_an_account_is_found() -> None:
    assert KEYS.holding(OLD.address) is OLD
    assert KEYS.holding(STRANGER.address) is None


def test_a_bid_is_opened_by_the_matcher_that_it_names() -> None:
    assert KEYS.sender_of(opening(OLD)) == OLD.address
    assert KEYS.sender_of(opening(NEW)) == NEW.address


def test_what_names_no_key_of_ours_is_the_current_ones() -> None:
    assert KEYS.sender_of(opening(STRANGER)) == NEW.address
    assert KEYS.sender_of(FinishUnstake(account=OLD.address)) == NEW.address
