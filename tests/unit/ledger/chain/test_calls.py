from hashlib import sha256
from typing import Any, get_args

import pytest
from eth_abi.abi import decode as decode_abi
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.abi import JURY, MARKET, TOKEN, functions
from ledger.chain.calls import (
    MAX_ITEMS,
    TO_JURY,
    Call,
    approve,
    bump_epoch,
    cancel_nonces,
    decide_claim,
    deposit,
    fill_words,
    market_call,
    pause,
    renounce_guardian,
    request_unstake,
    set_delegate,
    settlement_words,
    stake,
    transfer,
    unpause,
    withdraw,
)
from ledger.chain.structs import bid_words, offer_words, terms_words
from ledger.market.bid import SignedBid
from ledger.market.delegation import Delegation, Role
from ledger.market.errors import Rejected
from ledger.market.identity import BidId, LeaseId, OfferId
from ledger.market.instructions import (
    AnchorEpoch,
    CancelOffer,
    CloseLease,
    CommitResult,
    ContestClaim,
    ContinueLease,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    GangMember,
    Instruction,
    OpenClaim,
    OpenGang,
    OpenLease,
    RegisterOffer,
    RelayDeposit,
    RelayWithdrawal,
    ReleaseLease,
    RevealResult,
    SettleReceipt,
    TerminateLease,
)
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal, Withdrawal
from tests.factories import a_bid, a_digest, an_address, an_offer, some_terms
from tests.strategies import addresses, bids, lease_terms, offers, signed_bids, signed_receipts, words

MARKET_AT, JURY_AT, TOKEN_AT = an_address("market"), an_address("jury"), an_address("token")
LEASE = LeaseId(a_digest("lease"))
SIGNATURE = sha256(b"r").digest() + bytes(32)
GAS_CAP = 1 << 24


def an_opening(offer: str = "offer", nonce: int = 1) -> OpenLease:
    return OpenLease(
        lease=LeaseId(a_digest(f"lease {offer} {nonce}")),
        offer_id=OfferId(a_digest(offer)),
        offer=an_offer(document=a_digest(offer)),
        signed=SignedBid(bid=a_bid(nonce=nonce), signature=SIGNATURE),
        rate=7,
    )


def a_settlement(milliseconds: int = 5) -> SettleReceipt:
    receipt = UsageReceipt(lease=LEASE, milliseconds=milliseconds, evidence=a_digest("usage"), last=False)
    return SettleReceipt(terms=some_terms(), signed=SignedReceipt(receipt=receipt, signature=SIGNATURE))


def a_close(member: int = 0) -> CloseLease:
    return CloseLease(lease=LEASE, terms=some_terms(member=member))


def a_gang(*offers: str) -> OpenGang:
    members = tuple(
        GangMember(
            lease=LeaseId(a_digest(f"member {number}")),
            offer_id=OfferId(a_digest(offer)),
            offer=an_offer(document=a_digest(offer)),
            rate=7 + number,
        )
        for number, offer in enumerate(offers)
    )
    signed = SignedBid(bid=a_bid(members=len(members)), signature=SIGNATURE)
    return OpenGang(bid=BidId(a_digest("bid")), signed=signed, members=members, seed=a_digest("seed"))


def a_continuation() -> ContinueLease:
    opening, receipt = an_opening(), a_settlement().signed
    return ContinueLease(
        lease=opening.lease,
        previous=some_terms(),
        receipt=receipt,
        offer_id=opening.offer_id,
        offer=opening.offer,
        signed=opening.signed,
        rate=7,
    )


def a_permit() -> RelayDeposit:
    return RelayDeposit(
        signed=SignedPermit(owner=an_address("owner"), amount=5, deadline=9, signature=SIGNATURE)
    )


def a_withdrawal() -> RelayWithdrawal:
    order = Withdrawal(account=an_address("owner"), to=an_address("receiver"), amount=5, nonce=3, deadline=9)
    return RelayWithdrawal(signed=SignedWithdrawal(withdrawal=order, signature=SIGNATURE))


def a_reveal() -> RevealResult:
    return RevealResult(
        lease=LEASE, bid=a_bid(), terms=some_terms(), result=a_digest("result"), salt=a_digest("salt")
    )


def a_judgement(members: int = 3) -> DecideReplicas:
    terms = tuple(some_terms(member=number) for number in range(members))
    return DecideReplicas(bid_id=BidId(a_digest("bid")), bid=a_bid(members=members), members=terms)


SINGLE: list[tuple[Instruction, str]] = [
    (RegisterOffer(offer=an_offer()), "registerOffer"),
    (CancelOffer(offer=an_offer()), "cancelOffer"),
    (an_opening(), "matchBid"),
    (a_settlement(), "settle"),
    (ReleaseLease(lease=LEASE, terms=some_terms()), "release"),
    (TerminateLease(lease=LEASE, terms=some_terms()), "terminate"),
    (a_close(), "close"),
    (a_gang("a", "b"), "matchGang"),
    (a_continuation(), "continueLease"),
    (OpenClaim(lease=LEASE, terms=some_terms(), milliseconds=5), "claim"),
    (ContestClaim(lease=LEASE, terms=some_terms()), "contest"),
    (FinalizeClaim(lease=LEASE, terms=some_terms()), "finalize"),
    (FinishUnstake(account=an_address("staker")), "finishUnstake"),
    (AnchorEpoch(root=a_digest("epoch")), "matchBids"),
    (a_permit(), "depositWithPermit"),
    (a_withdrawal(), "withdrawSigned"),
    (CommitResult(lease=LEASE, terms=some_terms(), commitment=a_digest("commitment")), "commit"),
    (a_reveal(), "reveal"),
    (a_judgement(), "decide"),
]


def read(call: Call, contract: str = MARKET) -> tuple[str, tuple[Any, ...]]:
    """The function that is called, and its arguments."""
    name, function = next((n, f) for n, f in functions(contract).items() if f.selector == call.data[:4])
    return name, decode_abi(function.inputs, call.data[4:])


def as_read(value: Any) -> Any:
    """A struct as the decoder gives it: the contract takes its addresses as words."""
    if isinstance(value, tuple | list):
        return tuple(map(as_read, value))
    return value.rjust(32, b"\0") if isinstance(value, bytes) else value


def shown(account: bytes) -> str:
    """An address that the contract takes as an address."""
    return "0x" + account.hex()


@pytest.mark.parametrize(("wish", "name"), SINGLE, ids=[name for _, name in SINGLE])
def test_one_wish_is_its_own_call(wish: Instruction, name: str) -> None:
    call = market_call(MARKET_AT, [wish], jury=JURY_AT)
    to_jury = isinstance(wish, TO_JURY)
    assert call.to == (JURY_AT if to_jury else MARKET_AT)
    assert read(call, JURY if to_jury else MARKET)[0] == name
    assert call.gas < GAS_CAP


def test_every_kind_of_wish_has_its_call() -> None:
    assert {type(wish) for wish, _ in SINGLE} == set(get_args(Instruction))


@pytest.mark.parametrize("wish", [wish for wish, _ in SINGLE if isinstance(wish, TO_JURY)])
def test_a_call_of_a_jury_that_is_not_named_is_refused(wish: Instruction) -> None:
    with pytest.raises(Rejected) as refusal:
        market_call(MARKET_AT, [wish])
    assert refusal.value.code == "no-jury"


def test_a_gang_carries_each_offer_once_and_its_members_in_order() -> None:
    gang = a_gang("a", "b", "a")
    name, (carried, members, bid, r, vs, seed) = read(market_call(MARKET_AT, [gang]))
    assert name == "matchGang"
    assert carried == tuple(as_read(offer_words(gang.members[number].offer)) for number in (0, 1))
    assert members == ((0, 7), (1, 8), (0, 9))
    assert bid == as_read(bid_words(gang.signed.bid))
    assert (r + vs, seed) == (SIGNATURE, gang.seed)


def test_the_largest_gang_and_the_largest_jury_fit_one_transaction() -> None:
    assert market_call(MARKET_AT, [a_gang(*map(str, range(MAX_ITEMS)))]).gas < GAS_CAP
    assert market_call(MARKET_AT, [a_judgement(15)], jury=JURY_AT).gas < GAS_CAP


def test_a_continuation_carries_the_last_receipt_of_the_lease_before() -> None:
    wish = a_continuation()
    _, (item, offer, fill) = read(market_call(MARKET_AT, [wish]))
    assert item == as_read(settlement_words(wish.previous, wish.receipt))
    assert (offer, fill) == (as_read(offer_words(wish.offer)), as_read(fill_words(wish.signed, wish.rate)))


def test_relayed_money_carries_what_was_signed() -> None:
    owner, receiver = shown(an_address("owner")), shown(an_address("receiver"))
    halves = (SIGNATURE[:32], SIGNATURE[32:])
    assert read(market_call(MARKET_AT, [a_permit()]))[1] == (owner, 5, 9, *halves)
    assert read(market_call(MARKET_AT, [a_withdrawal()]))[1] == ((owner, receiver, 5, 3, 9), *halves)


def test_the_jury_is_told_result_and_salt() -> None:
    _, (bid, terms, result, salt) = read(market_call(MARKET_AT, [a_reveal()], jury=JURY_AT), JURY)
    assert (bid, terms) == (as_read(bid_words(a_bid())), as_read(terms_words(some_terms())))
    assert (result, salt) == (a_digest("result"), a_digest("salt"))


def test_a_batch_of_offers_is_one_registration() -> None:
    batch = [RegisterOffer(offer=an_offer(salt=number)) for number in range(3)]
    name, (carried,) = read(market_call(MARKET_AT, batch))
    assert name == "registerOffers"
    assert carried == tuple(as_read(offer_words(one.offer)) for one in batch)


@given(offers, bids, lease_terms, signed_bids, signed_receipts)
def test_structs_read_back_as_they_were(offer: Any, bid: Any, terms: Any, signed: Any, receipt: Any) -> None:
    table = functions(MARKET)
    for name, struct in (
        ("registerOffer", offer_words(offer)),
        ("bidDigest", bid_words(bid)),
        ("release", terms_words(terms)),
        ("settle", settlement_words(terms, receipt)),
    ):
        assert decode_abi(table[name].inputs, table[name].call(struct)[4:]) == (as_read(struct),)
    fill = fill_words(signed, 3, 2)
    both = decode_abi(table["matchBid"].inputs, table["matchBid"].call(offer_words(offer), fill)[4:])
    assert both == (as_read(offer_words(offer)), as_read(fill))


def test_a_batch_of_matches_carries_each_offer_once() -> None:
    batch = [an_opening("a", 1), an_opening("b", 2), an_opening("a", 3)]
    name, (carried, fills, root) = read(market_call(MARKET_AT, batch, a_digest("root")))
    assert name == "matchBids"
    assert carried == (as_read(offer_words(batch[0].offer)), as_read(offer_words(batch[1].offer)))
    assert [(fill[0], fill[1][13]) for fill in fills] == [(7, 1), (1 << 96 | 7, 2), (7, 3)]
    assert root == a_digest("root")


def test_matches_carry_the_newest_of_their_epochs_roots() -> None:
    anchors = [AnchorEpoch(root=a_digest("first")), AnchorEpoch(root=a_digest("second"))]
    name, (_, fills, root) = read(market_call(MARKET_AT, [an_opening("a", 1), *anchors]))
    assert (name, len(fills), root) == ("matchBids", 1, a_digest("second"))
    assert read(market_call(MARKET_AT, anchors)) == ("matchBids", ((), (), a_digest("second")))
    full = market_call(MARKET_AT, [*[an_opening()] * MAX_ITEMS, *anchors])
    assert full.gas < GAS_CAP


def test_a_batch_of_receipts_and_of_closes_keeps_its_order() -> None:
    name, (items,) = read(market_call(MARKET_AT, [a_settlement(5), a_settlement(9)]))
    assert (name, [item[1] for item in items]) == ("settleMany", [5, 9])
    name, (items,) = read(market_call(MARKET_AT, [a_close(1), a_close(2)]))
    assert (name, [item[2] for item in items]) == ("closeMany", [1, 2])


@pytest.mark.parametrize(
    "kind",
    [an_opening(), a_settlement(), a_close(), RegisterOffer(offer=an_offer())],
    ids=["match", "settle", "close", "register"],
)
def test_a_full_batch_fits_one_transaction(kind: Instruction) -> None:
    assert market_call(MARKET_AT, [kind] * MAX_ITEMS).gas < GAS_CAP


@pytest.mark.parametrize(
    "batch",
    [
        [],
        [a_close(), a_settlement()],
        [a_close()] * (MAX_ITEMS + 1),
        [a_gang("a", "b")] * 2,
        [TerminateLease(lease=LEASE, terms=some_terms())] * 2,
        [a_gang("a", "b"), AnchorEpoch(root=a_digest("epoch"))],
    ],
    ids=["empty", "mixed", "too many", "two gangs", "two terminations", "a gang with a root"],
)
def test_what_fits_no_call_is_refused(batch: list[Instruction]) -> None:
    with pytest.raises(Rejected) as refusal:
        market_call(MARKET_AT, batch)
    assert refusal.value.code == "malformed-batch"


@given(st.integers(0, 2**256 - 1))
def test_money_calls_say_their_amount(amount: int) -> None:
    assert read(deposit(MARKET_AT, amount)) == ("deposit", (amount,))
    assert read(withdraw(MARKET_AT, amount)) == ("withdraw", (amount,))
    spender = shown(MARKET_AT)
    assert read(approve(TOKEN_AT, MARKET_AT, amount), TOKEN) == ("approve", (spender, amount))
    assert read(transfer(TOKEN_AT, MARKET_AT, amount), TOKEN) == ("transfer", (spender, amount))
    assert read(stake(MARKET_AT, amount)) == ("stake", (amount,))
    assert read(request_unstake(MARKET_AT, amount)) == ("requestUnstake", (amount,))


@given(lease_terms, words(256), words(256))
def test_a_decision_says_the_total_and_what_is_slashed(terms: Any, paid: int, slash: int) -> None:
    expected = ("decide", (as_read(terms_words(terms)), paid, slash))
    assert read(decide_claim(MARKET_AT, terms, paid, slash)) == expected


@given(addresses, words(128), words(40))
def test_a_delegation_says_what_the_key_may_do(key: Any, allowance: int, until: int) -> None:
    both = Delegation(key=key, roles=Role.SPEND | Role.OPERATE, allowance=allowance, until=until)
    expected = ("setDelegate", (shown(key), 3, allowance, until))
    assert read(set_delegate(MARKET_AT, both)) == expected


def test_a_revocation_says_nothing_but_the_key() -> None:
    none = Delegation(key=an_address("key"), roles=Role(0), allowance=0, until=0)
    assert read(set_delegate(MARKET_AT, none))[1] == (shown(an_address("key")), 0, 0, 0)


def test_the_guardians_calls_and_those_that_void_signatures() -> None:
    calls = [pause, unpause, renounce_guardian, bump_epoch]
    names = [read(call(MARKET_AT)) for call in calls]
    assert names == [("pause", ()), ("unpause", ()), ("renounceGuardian", ()), ("bumpEpoch", ())]
    assert read(cancel_nonces(MARKET_AT, 2, 5)) == ("cancelNonces", (2, 5))
