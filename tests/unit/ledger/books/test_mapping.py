"""What is stored must come out as it went in, for every fact, event and instruction of the kernel."""

import json
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.books.mapping import dumps, event_from, fact_from, instruction_from, loads
from ledger.market import events, facts, instructions
from ledger.market.bid import SignedBid
from ledger.market.errors import Broken
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED, PUBLIC, Policy
from ledger.market.receipt import SignedReceipt
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal
from tests import strategies as known
from tests.factories import a_bid, some_terms

numbers = st.integers(min_value=0, max_value=1 << 96)
blocks = st.builds(
    events.BlockRef,
    number=known.words(63),
    hash=st.binary(min_size=32, max_size=32),
    parent=st.binary(min_size=32, max_size=32),
    at=known.words(40),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "Address": known.addresses,
    "OfferId": known.offer_ids,
    "BidId": known.bid_ids,
    "LeaseId": known.lease_ids,
    "Digest": known.digests,
}


def any_of(union: Any) -> st.SearchStrategy[Any]:
    """Any member of a union of kernel dataclasses, with any value in every field."""
    return st.one_of(*(st.from_type(member) for member in get_args(union)))


for kind, strategy in (
    (Offer, known.offers),
    (LeaseTerms, known.lease_terms),
    (SignedReceipt, known.signed_receipts),
    (events.BlockRef, blocks),
    (a_bid().__class__, known.bids),
):
    st.register_type_strategy(kind, strategy)
st.register_type_strategy(SignedBid, known.signed_bids)
st.register_type_strategy(Policy, st.sampled_from([EMBEDDED, PUBLIC]))
st.register_type_strategy(SignedWithdrawal, known.signed_withdrawals)
st.register_type_strategy(SignedPermit, known.signed_permits)
st.register_type_strategy(events.Logged, lambda _: st.builds(events.Logged, event=any_of(events.MarketEvent)))
for name in (Address, BidId, Digest, LeaseId, OfferId):
    st.register_type_strategy(name, FIELDS[name.__name__])


@given(any_of(facts.Fact))
def test_every_fact_comes_back_as_it_was(fact: facts.Fact) -> None:
    assert fact_from(dumps(fact)) == fact


@given(any_of(events.MarketEvent))
def test_every_event_comes_back_as_it_was(event: events.MarketEvent) -> None:
    assert event_from(dumps(event)) == event


@given(any_of(instructions.Instruction))
def test_every_instruction_comes_back_as_it_was(wish: instructions.Instruction) -> None:
    assert instruction_from(dumps(wish)) == wish


@given(known.lease_terms)
def test_stored_text_is_plain_json_with_readable_ids(terms: LeaseTerms) -> None:
    plain = json.loads(dumps(terms))
    assert plain["provider"] == "0x" + terms.provider.hex()
    assert plain["kind"] == "LeaseTerms"
    assert {item.name for item in fields(LeaseTerms)} | {"kind"} == plain.keys()


def test_a_words_lanes_are_stored_as_the_word_that_is_signed() -> None:
    assert json.loads(dumps(some_terms()))["want"] == some_terms().want.pack()


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "not json",
        '{"kind":"NoSuchFact"}',
        '{"kind":"AgentLost","lease":"0x00","provider":"0x00"}',
        dumps(facts.ChainRewound(to=events.BlockRef(number=1, hash=b"", parent=b"", at=1))).replace(
            ":1", ':"1"'
        ),
    ],
)
def test_a_damaged_record_is_broken_not_guessed(body: str) -> None:
    with pytest.raises(Broken) as refused:
        fact_from(body)
    assert refused.value.code == "unreadable-record"


@given(st.from_type(facts.UsageReported))
def test_a_report_of_usage_that_an_earlier_release_wrote_is_read(fact: facts.UsageReported) -> None:
    plain = json.loads(dumps(fact))
    del plain["sequence"]
    assert fact_from(json.dumps(plain)) == replace(fact, sequence=None)


def test_a_record_of_another_type_is_broken() -> None:
    with pytest.raises(Broken):
        loads(LeaseTerms, dumps(a_bid()))
