from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.abi import JURY, MARKET, events
from ledger.chain.logs import decode
from ledger.market.errors import Broken
from ledger.market.events import (
    BatchMatched,
    BidSkipped,
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    DelegateSet,
    Deposited,
    EpochBumped,
    FeePaid,
    GuardianRenounced,
    LeaseClosed,
    LeaseContinued,
    LeaseJudged,
    LeaseOpened,
    LeaseTerminated,
    MarketDeployed,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
    Paused,
    ReceiptSkipped,
    ReplicasDecided,
    ReplicasOpened,
    ResultCommitted,
    ResultRevealed,
    StakeBurned,
    Staked,
    Unpaused,
    Unstaked,
    UnstakeQueued,
    UsageSettled,
    Withdrawn,
)
from ledger.market.lease import ClaimDecidedBy, ClosedBecause
from ledger.market.policy import EMBEDDED, PUBLIC
from ledger.market.reasons import SkipReason
from tests.strategies import addresses, bid_ids, digests, lease_ids, lease_terms, offer_ids, offers, words

parties = {"lease": lease_ids, "buyer": addresses, "provider": addresses}
reasons = st.sampled_from(SkipReason)
of_offers = st.one_of(
    st.builds(
        MarketDeployed,
        token=addresses,
        guardian=addresses,
        arbiter=addresses,
        jury=addresses,
        policy=st.sampled_from([EMBEDDED, PUBLIC]),
    ),
    st.builds(OfferRegistered, id=offer_ids, offer=offers),
    st.builds(OfferCancelled, id=offer_ids, provider=addresses),
    st.builds(EpochBumped, account=addresses, epoch=words(32)),
    st.builds(NoncesCancelled, account=addresses, word=words(64), mask=words(256)),
    st.builds(BatchMatched, matcher=addresses, root=digests, opened=words(8), skipped=words(8)),
    st.builds(BidSkipped, bid=bid_ids, reason=reasons),
    st.builds(ReceiptSkipped, lease=lease_ids, reason=reasons),
    st.builds(Paused, until=words(40)),
    st.builds(Unpaused, guardian=addresses),
    st.builds(GuardianRenounced, guardian=addresses),
)
of_leases = st.one_of(
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
        UsageSettled,
        **parties,
        milliseconds=words(64),
        amount=words(88),
        fee=words(88),
        paid=words(88),
        evidence=digests,
    ),
    st.builds(LeaseTerminated, **parties, ended_after=words(32)),
    st.builds(
        LeaseClosed, **parties, paid=words(88), refunded=words(88), because=st.sampled_from(ClosedBecause)
    ),
    st.builds(LeaseContinued, lease=lease_ids, previous=lease_ids),
    st.builds(ClaimOpened, **parties, claimed=words(88), bond=words(88), until=words(40)),
    st.builds(ClaimContested, **parties, bond=words(88), until=words(40)),
    st.builds(
        ClaimDecided,
        **parties,
        **{name: words(88) for name in ("amount", "fee", "paid", "to_provider", "to_buyer", "burned")},
        by=st.sampled_from(ClaimDecidedBy),
    ),
    st.builds(ReplicasOpened, bid=bid_ids, members=words(4), agree=words(4), seed=digests),
    st.builds(LeaseJudged, lease=lease_ids, guilty=st.booleans(), start=words(40), ended_after=words(32)),
)
of_accounts = st.one_of(
    st.builds(Deposited, account=addresses, amount=words(88)),
    st.builds(Withdrawn, account=addresses, to=addresses, amount=words(88)),
    st.builds(Staked, account=addresses, amount=words(88)),
    st.builds(UnstakeQueued, account=addresses, amount=words(88), unlock_at=words(40)),
    st.builds(Unstaked, account=addresses, amount=words(88)),
    st.builds(StakeBurned, provider=addresses, lease=lease_ids, amount=words(88)),
    st.builds(FeePaid, matcher=addresses, amount=words(88)),
    st.builds(
        DelegateSet,
        account=addresses,
        key=addresses,
        roles=words(2),
        allowance=words(128),
        until=words(40),
    ),
)
jury_events = st.one_of(
    st.builds(ResultCommitted, lease=lease_ids, provider=addresses, commitment=digests),
    st.builds(ResultRevealed, lease=lease_ids, provider=addresses, result=digests),
    st.builds(ReplicasDecided, bid=bid_ids, result=digests, agreed=words(4)),
)
market_events = of_offers | of_leases | of_accounts
OWN_NAMES = {"ended_after": "endOffset", "because": "reason"}
TOPICS = {event.name: topic for topic, event in events(MARKET).items()}
JURY_TOPICS = {event.name: topic for topic, event in events(JURY).items()}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def word(value: Any) -> bytes:
    if isinstance(value, ClosedBecause | ClaimDecidedBy):
        value = 1 + list(type(value)).index(value)
    if hasattr(value, "pack"):
        value = value.pack()
    return value.rjust(32, b"\0") if isinstance(value, bytes) else int(value).to_bytes(32, "big")


def flat(event: MarketEvent) -> dict[str, bytes]:
    """Each field's word by its Solidity name; an `id` is called after its kind."""
    named: dict[str, bytes] = {}
    for one in fields(event):
        value = getattr(event, one.name)
        if one.name in ("offer", "terms", "policy") and not isinstance(value, bytes):
            named = {camel(f.name): word(getattr(value, f.name)) for f in fields(value)} | named
        elif one.name == "id":
            named["lease" if isinstance(event, LeaseOpened) else "offer"] = word(value)
        else:
            named[OWN_NAMES.get(one.name, camel(one.name))] = word(value)
    return named


def logged(event: MarketEvent, contract: str = MARKET) -> tuple[list[bytes], bytes]:
    """The topics and data by which a contract would log it."""
    topic = (TOPICS if contract == MARKET else JURY_TOPICS)[type(event).__name__]
    form, values = events(contract)[topic], flat(event)
    topics = [topic, *(values[field] for field in form.indexed)]
    return topics, b"".join(values[field] for field in form.data)


@given(market_events)
def test_every_log_becomes_the_fact_that_was_logged(event: MarketEvent) -> None:
    assert decode(*logged(event)) == event


@given(jury_events)
def test_every_log_of_the_jury_becomes_the_fact_that_was_logged(event: MarketEvent) -> None:
    assert decode(*logged(event, JURY), JURY) == event


@given(jury_events)
def test_the_market_is_not_believed_what_only_the_jury_may_log(event: MarketEvent) -> None:
    assert decode(*logged(event, JURY), MARKET) is None


@given(market_events)
def test_the_jury_is_not_believed_what_only_the_market_may_log(event: MarketEvent) -> None:
    assert decode(*logged(event), JURY) is None


def test_every_event_of_the_contracts_is_known() -> None:
    assert TOPICS.keys() | JURY_TOPICS.keys() == {kind.__name__ for kind in MarketEvent.__args__}
    assert not TOPICS.keys() & JURY_TOPICS.keys()


@given(st.lists(digests, max_size=4), st.binary(max_size=64))
def test_unknown_logs_are_ignored(topics: list[bytes], data: bytes) -> None:
    assert decode(topics, data) is None


@given(market_events, st.integers(0, 31))
def test_a_known_log_of_another_form_is_broken(event: MarketEvent, cut: int) -> None:
    topics, data = logged(event)
    fewer = [(topics[:-1], data)] if len(topics) > 1 else []
    for damaged in (*fewer, (topics, data + bytes(1 + cut)), ([*topics, bytes(32)], data)):
        with pytest.raises(Broken) as failure:
            decode(*damaged)
        assert failure.value.code == "malformed-event"


@pytest.mark.parametrize("reason", [0xFF, 1 << 200])
def test_an_unknown_reason_is_broken(reason: int) -> None:
    topics = [TOPICS["BidSkipped"], bytes(32)]
    with pytest.raises(Broken):
        decode(topics, word(reason))


@pytest.mark.parametrize("by", [0, 4, 1 << 200])
def test_an_unknown_decider_of_a_claim_is_broken(by: int) -> None:
    topics = [TOPICS["ClaimDecided"], bytes(32), bytes(32), bytes(32)]
    with pytest.raises(Broken):
        decode(topics, bytes(6 * 32) + word(by))


@pytest.mark.parametrize("guilty", [2, 1 << 200])
def test_a_verdict_that_is_neither_yes_nor_no_is_broken(guilty: int) -> None:
    with pytest.raises(Broken):
        decode([TOPICS["LeaseJudged"], bytes(32)], word(guilty) + word(0) + word(0))


def test_an_address_with_high_bytes_is_broken() -> None:
    with pytest.raises(Broken):
        decode([TOPICS["Deposited"], b"\x01" * 32], word(1))
