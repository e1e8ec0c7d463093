from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.abi import MARKET, events
from ledger.chain.logs import decode
from ledger.market.errors import Broken
from ledger.market.events import (
    BatchMatched,
    BidSkipped,
    Deposited,
    EpochBumped,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
    ReceiptSkipped,
    UsageSettled,
    Withdrawn,
)
from ledger.market.lease import ClosedBecause
from ledger.market.reasons import SkipReason
from tests.strategies import addresses, bid_ids, digests, lease_ids, lease_terms, offer_ids, offers, words

parties = {"lease": lease_ids, "buyer": addresses, "provider": addresses}
reasons = st.sampled_from(SkipReason)
market_events = st.one_of(
    st.builds(OfferRegistered, id=offer_ids, offer=offers),
    st.builds(OfferCancelled, id=offer_ids, provider=addresses),
    st.builds(EpochBumped, account=addresses, epoch=words(32)),
    st.builds(NoncesCancelled, account=addresses, word=words(64), mask=words(256)),
    st.builds(BatchMatched, matcher=addresses, root=digests, opened=words(8), skipped=words(8)),
    st.builds(BidSkipped, bid=bid_ids, reason=reasons),
    st.builds(ReceiptSkipped, lease=lease_ids, reason=reasons),
    st.builds(
        LeaseOpened,
        id=lease_ids,
        terms=lease_terms,
        start=words(40),
        escrow=words(88),
        nonce=words(64),
        job=digests,
    ),
    st.builds(
        UsageSettled, **parties, milliseconds=words(64), amount=words(88), paid=words(88), evidence=digests
    ),
    st.builds(LeaseTerminated, **parties, ended_after=words(32)),
    st.builds(
        LeaseClosed, **parties, paid=words(88), refunded=words(88), because=st.sampled_from(ClosedBecause)
    ),
    st.builds(Deposited, account=addresses, amount=words(88)),
    st.builds(Withdrawn, account=addresses, amount=words(88)),
)
OWN_NAMES = {"ended_after": "endOffset", "because": "reason"}
TOPICS = {event.name: topic for topic, event in events(MARKET).items()}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def word(value: Any) -> bytes:
    if isinstance(value, ClosedBecause):
        value = 1 + list(ClosedBecause).index(value)
    if hasattr(value, "pack"):
        value = value.pack()
    return value.rjust(32, b"\0") if isinstance(value, bytes) else int(value).to_bytes(32, "big")


def flat(event: MarketEvent) -> dict[str, bytes]:
    """Each field's word by its Solidity name; an `id` is called after its kind."""
    named: dict[str, bytes] = {}
    for one in fields(event):
        value = getattr(event, one.name)
        if one.name in ("offer", "terms") and not isinstance(value, bytes):
            named = {camel(f.name): word(getattr(value, f.name)) for f in fields(value)} | named
        elif one.name == "id":
            named["lease" if isinstance(event, LeaseOpened) else "offer"] = word(value)
        else:
            named[OWN_NAMES.get(one.name, camel(one.name))] = word(value)
    return named


def logged(event: MarketEvent) -> tuple[list[bytes], bytes]:
    """The topics and data by which a contract would log it."""
    name = type(event).__name__
    form, values = events(MARKET)[TOPICS[name]], flat(event)
    topics = [TOPICS[name], *(values[field] for field in form.indexed)]
    return topics, b"".join(values[field] for field in form.data)


@given(market_events)
def test_every_log_becomes_the_fact_that_was_logged(event: MarketEvent) -> None:
    assert decode(*logged(event)) == event


def test_every_event_of_the_contract_is_known() -> None:
    assert set(TOPICS) == {kind.__name__ for kind in MarketEvent.__args__}


@given(st.lists(digests, max_size=4), st.binary(max_size=64))
def test_unknown_logs_are_ignored(topics: list[bytes], data: bytes) -> None:
    assert decode(topics, data) is None


@given(market_events, st.integers(0, 31))
def test_a_known_log_of_another_form_is_broken(event: MarketEvent, cut: int) -> None:
    topics, data = logged(event)
    for damaged in ((topics[:-1], data), (topics, data + bytes(1 + cut)), ([*topics, bytes(32)], data)):
        with pytest.raises(Broken) as failure:
            decode(*damaged)
        assert failure.value.code == "malformed-event"


@pytest.mark.parametrize("reason", [0xFF, 1 << 200])
def test_an_unknown_reason_is_broken(reason: int) -> None:
    topics = [TOPICS["BidSkipped"], bytes(32)]
    with pytest.raises(Broken):
        decode(topics, word(reason))


def test_an_address_with_high_bytes_is_broken() -> None:
    with pytest.raises(Broken):
        decode([TOPICS["Deposited"], b"\x01" * 32], word(1))
