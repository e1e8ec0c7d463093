from dataclasses import replace
from typing import Any

import pytest

from ledger.books.books import Books
from ledger.chain.keys import LocalKey
from ledger.chain.outcomes import Outcome
from ledger.chain.typed_data import withdrawal_digest
from ledger.market.errors import LostRace, MarketError, Rejected
from ledger.market.identity import NOBODY, Digest
from ledger.market.outbox import IntentState, TxAttempt
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal, Withdrawal
from node.trading.pace import TooOften
from node.trading.relaying import EACH_ACCOUNT, INCLUSION_SECONDS, Relayed, Relaying
from tests.factories import NOW, a_digest, an_address
from tests.fakes.model_chain import ModelChain
from tests.fakes.node_twin import BUYER, DOMAIN, NODE, OTHER, a_model

SOON = NOW + 600


@pytest.fixture
def chain() -> ModelChain:
    """A market where the buyer has nothing yet, and 1,000 tokens outside."""
    chain = ModelChain(a_model(), DOMAIN, NODE.address, NOW)
    chain.tokens[BUYER.address] = 1_000
    return chain


@pytest.fixture
def relaying(books: Books, chain: ModelChain) -> Relaying:
    return Relaying(books, chain, DOMAIN, NODE.address)


def carried_out(books: Books, chain: ModelChain) -> None:
    """What waits in the outbox, mined one by one."""
    store = books.outbox(NODE.address)
    for number, intent in enumerate(store.pending(100), start=store.next_nonce()):
        attempt = TxAttempt(
            intents=(intent.id,), nonce=number, raw=b"", hash=a_digest(intent.key), max_fee=1, sent_at=NOW
        )
        store.record_attempt(attempt)
        try:
            chain.carry_out(intent.instruction)
            outcome = Outcome(intent=intent.id, state=IntentState.DONE)
        except Rejected as exc:
            outcome = Outcome(intent=intent.id, state=IntentState.FAILED, detail=exc.code)
        store.settle_attempt(number, [outcome])


def found(relaying: Relaying, name: Digest) -> Relayed:
    relayed = relaying.relay(name)
    assert relayed is not None
    return relayed


def a_withdrawal(key: LocalKey = BUYER, **changes: Any) -> SignedWithdrawal:
    order = Withdrawal(account=BUYER.address, to=OTHER.address, amount=400, nonce=3, deadline=SOON)
    order = replace(order, **changes)
    return SignedWithdrawal(withdrawal=order, signature=key.sign(withdrawal_digest(DOMAIN, order)))


def refusal(relaying: Relaying, signed: SignedPermit | SignedWithdrawal) -> str:
    def relay() -> Digest:
        if isinstance(signed, SignedPermit):
            return relaying.deposit(signed, NOW)
        return relaying.withdrawal(signed, NOW)

    with pytest.raises(MarketError) as caught:
        relay()
    return caught.value.code


def test_a_permit_becomes_a_deposit_and_a_signed_order_a_withdrawal(
    relaying: Relaying, books: Books, chain: ModelChain
) -> None:
    name = relaying.deposit(chain.sign_permit(BUYER, 1_000, SOON), NOW)
    assert (found(relaying, name).state, found(relaying, name).transaction) == (IntentState.PENDING, None)
    carried_out(books, chain)
    assert found(relaying, name).state is IntentState.DONE
    assert found(relaying, name).transaction is not None
    assert chain.balance_of(BUYER.address) == 1_000

    paid_out = relaying.withdrawal(a_withdrawal(), NOW)
    carried_out(books, chain)
    assert found(relaying, paid_out).state is IntentState.DONE
    assert chain.balance_of(BUYER.address) == 600


def test_the_same_words_are_one_relay_however_often_they_come(
    relaying: Relaying, books: Books, chain: ModelChain
) -> None:
    permit = chain.sign_permit(BUYER, 1_000, SOON)
    names = {relaying.deposit(permit, NOW) for _ in range(EACH_ACCOUNT + 1)}
    assert len(names) == 1
    assert len(books.outbox(NODE.address).pending(10)) == 1
    carried_out(books, chain)
    assert relaying.deposit(permit, NOW) in names
    assert books.outbox(NODE.address).pending(10) == []


def test_a_restarted_node_knows_its_relays(relaying: Relaying, books: Books, chain: ModelChain) -> None:
    name = relaying.deposit(chain.sign_permit(BUYER, 1_000, SOON), NOW)
    again = Relaying(books, chain, DOMAIN, NODE.address)
    assert found(again, name).state is IntentState.PENDING
    carried_out(books, chain)
    assert found(again, name).state is IntentState.DONE
    assert again.relay(Digest(a_digest("never seen"))) is None


def test_a_relay_that_failed_says_why_and_may_be_sent_again(
    relaying: Relaying, books: Books, chain: ModelChain
) -> None:
    permit = chain.sign_permit(BUYER, 1_000, SOON)
    name = relaying.deposit(permit, NOW)
    chain.model.pause(NODE.address, NOW)
    carried_out(books, chain)
    assert (found(relaying, name).state, found(relaying, name).cause) == (IntentState.FAILED, "paused")
    assert refusal(relaying, permit) == "relay-refused"
    chain.model.unpause(NODE.address, NOW)
    assert relaying.deposit(permit, NOW) == name
    assert found(relaying, name).state is IntentState.PENDING
    carried_out(books, chain)
    assert found(relaying, name).state is IntentState.DONE


def test_a_permit_that_somebody_else_delivered_still_deposits(
    relaying: Relaying, books: Books, chain: ModelChain
) -> None:
    permit = chain.sign_permit(BUYER, 1_000, SOON)
    chain.permits[BUYER.address], chain.allowances[BUYER.address] = 1, 1_000
    relaying.deposit(permit, NOW)
    carried_out(books, chain)
    assert chain.balance_of(BUYER.address) == 1_000


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"owner": OTHER.address}, "bad-signature"),
        ({"amount": 999}, "bad-signature"),
        ({"amount": 0}, "nothing-to-relay"),
        ({"deadline": NOW + INCLUSION_SECONDS - 1}, "deadline-too-near"),
    ],
)
def test_a_permit_that_was_changed_is_refused(
    relaying: Relaying, books: Books, chain: ModelChain, changes: dict[str, Any], code: str
) -> None:
    assert refusal(relaying, replace(chain.sign_permit(BUYER, 1_000, SOON), **changes)) == code
    assert books.outbox(NODE.address).pending(10) == []


def test_a_deposit_beyond_what_the_owner_has_is_refused_with_the_markets_reason(
    relaying: Relaying, books: Books, chain: ModelChain
) -> None:
    assert refusal(relaying, chain.sign_permit(BUYER, 1_001, SOON)) == "relay-refused"
    assert books.outbox(NODE.address).pending(10) == []
    assert chain.token_balance(BUYER.address) == 1_000


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": 0}, "nothing-to-relay"),
        ({"to": NOBODY}, "no-receiver"),
        ({"amount": 1_001}, "relay-refused"),
        ({"deadline": NOW}, "deadline-too-near"),
        ({"account": an_address("somebody else")}, "bad-signature"),
    ],
)
def test_a_withdrawal_that_does_not_hold_is_refused(
    relaying: Relaying, books: Books, chain: ModelChain, changes: dict[str, Any], code: str
) -> None:
    chain.model.deposit(BUYER.address, 1_000)
    assert refusal(relaying, a_withdrawal(**changes)) == code
    assert books.outbox(NODE.address).pending(10) == []


def test_a_used_nonce_and_a_strangers_signature_withdraw_nothing(
    relaying: Relaying, chain: ModelChain
) -> None:
    chain.model.deposit(BUYER.address, 1_000)
    assert refusal(relaying, a_withdrawal(OTHER)) == "bad-signature"
    chain.model.cancel_nonces(BUYER.address, 0, 1 << 3)
    with pytest.raises(LostRace):
        relaying.withdrawal(a_withdrawal(), NOW)


def test_an_account_is_relayed_for_only_so_often(relaying: Relaying, chain: ModelChain) -> None:
    chain.model.deposit(BUYER.address, 1_000)
    for nonce in range(EACH_ACCOUNT):
        relaying.withdrawal(a_withdrawal(nonce=nonce, amount=1), NOW)
    with pytest.raises(TooOften):
        relaying.withdrawal(a_withdrawal(nonce=99, amount=1), NOW)
    relaying.withdrawal(a_withdrawal(nonce=99, amount=1), NOW + 60)
