"""The outbox against a chain in memory, with a crash possible on either side of every commit and send."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.calls import MAX_ITEMS
from ledger.chain.keys import unsigned_of
from ledger.chain.outbox import OutboxPolicy
from ledger.market.errors import Rejected, Unavailable
from ledger.market.instructions import CancelOffer, Instruction
from ledger.market.outbox import IntentState
from tests.fakes.chain_wishes import (
    JURY,
    KINDS,
    MARKET,
    TIMED,
    a_cancellation,
    a_close,
    a_commitment,
    a_gang,
    a_judgement,
    a_registration,
    a_release,
    a_reveal,
    a_settlement,
    an_anchor,
    an_opening,
)
from tests.fakes.outbox_chain import GWEI, POINTS, Scene

DONE, FAILED, PENDING, SENT = IntentState.DONE, IntentState.FAILED, IntentState.PENDING, IntentState.SENT


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_wish_is_done_when_its_event_is_mined(
    scene: Scene, kind: Callable[[int], Instruction]
) -> None:
    scene.store.wish(kind(1), kind(2))
    scene.step()
    assert scene.store.states() == [SENT, SENT]
    scene.chain.mine()
    scene.step()
    assert scene.store.states() == [DONE, DONE]


def test_wishes_of_a_kind_share_a_transaction_and_others_do_not(scene: Scene) -> None:
    scene.store.wish(an_opening(1), a_registration(2), an_opening(3), a_registration(4))
    scene.step()
    assert [attempt.intents for attempt in scene.store.recorded] == [(1, 3), (2, 4)]
    assert [attempt.nonce for attempt in scene.store.recorded] == [0, 1]


def test_epochs_roots_go_with_the_matches_and_behind_gangs(scene: Scene) -> None:
    scene.store.wish(an_anchor(1), an_opening(2), a_gang(3), an_anchor(4), a_registration(5))
    scene.step()
    assert [attempt.intents for attempt in scene.store.recorded] == [(2, 1, 4), (3,), (5,)]
    scene.finish()
    assert set(scene.store.states()) == {DONE}


def test_many_matches_take_several_calls_and_the_roots_go_with_the_first(scene: Scene) -> None:
    scene.store.wish(*map(an_opening, range(MAX_ITEMS + 1)), an_anchor(1))
    scene.step()
    assert [len(attempt.intents) for attempt in scene.store.recorded] == [MAX_ITEMS + 1, 1]


def test_gangs_are_called_one_by_one(scene: Scene) -> None:
    scene.store.wish(a_gang(1), a_gang(2))
    scene.step()
    assert [attempt.intents for attempt in scene.store.recorded] == [(1,), (2,)]


def test_what_the_jury_is_asked_goes_to_the_jury(scene: Scene) -> None:
    scene.store.wish(a_commitment(1), a_reveal(1), a_judgement(1), a_close(1))
    scene.step()
    called = [unsigned_of(attempt.raw).to for attempt in scene.store.recorded]
    assert called == [JURY, JURY, JURY, MARKET]


def test_a_skipped_gang_fails_with_its_reason(scene: Scene) -> None:
    scene.store.wish(a_gang(1, limit=1))
    scene.finish()
    assert (scene.store.states(), scene.store.details()) == ([FAILED], ["ABOVE_LIMIT"])


def test_one_bad_offer_does_not_keep_the_others_from_the_market(scene: Scene) -> None:
    """A batch of offers reverts whole, so its offers are tried one by one."""
    poison = a_registration(2)
    scene.chain.reverts = lambda wishes: poison in wishes
    scene.store.wish(a_registration(1), poison, a_registration(3))
    scene.step()
    scene.chain.refuses = lambda wish: "market: offer known" if wish == poison else ""
    scene.finish()
    assert scene.store.states() == [DONE, FAILED, DONE]


def test_an_offer_that_would_be_refused_is_not_sent_with_the_others(scene: Scene) -> None:
    scene.chain.refuses = lambda wish: "market: offer known" if wish == a_registration(2) else ""
    scene.store.wish(a_registration(1), a_registration(2), a_registration(3))
    scene.step()
    assert scene.store.details()[1] == "market: offer known"
    assert [attempt.intents for attempt in scene.store.recorded] == [(1, 3)]


def test_no_transaction_carries_more_than_the_contract_takes(scene: Scene) -> None:
    scene.store.wish(*map(a_settlement, range(40)))
    scene.step()
    assert [len(attempt.intents) for attempt in scene.store.recorded] == [32, 8]


def test_a_wish_is_sent_once_however_often_it_is_stepped(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    assert [scene.step() for _ in range(3)] == [1, 0, 0]
    assert len(scene.store.recorded) == 1


def test_a_skipped_bid_fails_with_its_reason_and_its_neighbour_opens(scene: Scene) -> None:
    scene.store.wish(an_opening(1, limit=1), an_opening(2))
    scene.finish()
    assert scene.store.states() == [FAILED, DONE]
    assert scene.store.details() == ["ABOVE_LIMIT", ""]


def test_the_same_receipt_wished_twice_pays_once(scene: Scene) -> None:
    scene.store.wish(a_settlement(1))
    scene.finish()
    scene.store.wish(a_settlement(1))
    scene.finish()
    assert scene.store.states() == [DONE, FAILED]
    assert scene.store.details()[1] == "NOT_MONOTONE"


def test_a_reverted_batch_is_tried_one_by_one(scene: Scene) -> None:
    poison = an_opening(2)
    scene.chain.reverts = lambda wishes: poison in wishes
    scene.store.wish(an_opening(1), poison, an_opening(3))
    scene.finish()
    assert scene.store.states() == [DONE, FAILED, DONE]
    assert scene.store.details()[1] == "reverted"
    assert [attempt.intents for attempt in scene.store.recorded] == [(1, 2, 3), (1,), (2,), (3,)]


def test_matches_of_a_paused_market_cost_one_transaction(scene: Scene) -> None:
    scene.chain.reverts = lambda _: True
    scene.store.wish(*map(an_opening, range(1, 9)))
    scene.step()
    scene.chain.mine()
    scene.chain.refuses = lambda _: "market: paused"
    scene.finish()
    assert scene.store.details() == ["market: paused"] * 8
    assert len(scene.store.recorded) == 1


def test_what_would_revert_fails_without_a_transaction(scene: Scene) -> None:
    scene.chain.refuses = lambda _: "market: no such lease"
    scene.store.wish(a_release(1))
    scene.step()
    assert (scene.store.states(), scene.store.details()) == ([FAILED], ["market: no such lease"])
    assert scene.store.recorded == []


def test_what_an_earlier_wish_may_make_right_is_sent_all_the_same(scene: Scene) -> None:
    """A cancellation right behind its registration would revert now, and will not once both are mined."""
    scene.chain.refuses = lambda wish: "market: offer not open" if isinstance(wish, CancelOffer) else ""
    scene.store.wish(a_registration(1), a_cancellation(1))
    scene.finish()
    assert scene.store.states() == [DONE, DONE]


@pytest.mark.parametrize("kind", TIMED)
@pytest.mark.parametrize("reason", ["market: not yet", "jury: too early"])
def test_what_comes_before_its_time_waits(
    scene: Scene, kind: Callable[[int], Instruction], reason: str
) -> None:
    scene.chain.refuses = lambda _: reason
    scene.store.wish(kind(1))
    assert scene.step() == 0
    assert scene.store.states() == [PENDING]
    scene.chain.refuses = lambda _: ""
    scene.finish()
    assert scene.store.states() == [DONE]


@pytest.mark.parametrize("kind", TIMED)
def test_what_comes_too_late_fails_without_a_transaction(
    scene: Scene, kind: Callable[[int], Instruction]
) -> None:
    scene.chain.refuses = lambda _: "market: no such lease"
    scene.store.wish(kind(1))
    scene.step()
    assert (scene.store.states(), scene.store.recorded) == ([FAILED], [])


def test_a_silent_chain_loses_nothing(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.chain.down = True
    with pytest.raises(Unavailable):
        scene.step()
    scene.chain.down = False
    scene.finish()
    assert scene.store.states() == [DONE]


def test_without_coin_the_wish_waits_for_some(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.chain.coin = False
    for _ in range(2):
        with pytest.raises(Rejected) as refusal:
            scene.step()
        assert refusal.value.code == "no-coin-for-gas"
    scene.chain.coin = True
    scene.finish()
    assert scene.store.states() == [DONE]
    assert len(scene.store.recorded) == 1


def test_a_transaction_that_is_forgotten_is_sent_again_with_the_same_bytes(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.pool.clear()
    scene.at += scene.policy.resend_after
    scene.step()
    assert list(scene.chain.pool.values()) == [scene.store.recorded[0].raw]


def test_a_stuck_transaction_offers_an_eighth_more_under_the_same_nonce(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    scene.at += scene.policy.bump_after
    scene.step()
    first, second = (unsigned_of(attempt.raw) for attempt in scene.store.recorded)
    assert (second.nonce, second.data, second.gas) == (first.nonce, first.data, first.gas)
    assert second.max_fee * 8 >= first.max_fee * 9
    assert second.tip * 8 >= first.tip * 9
    scene.finish()
    assert scene.store.states() == [DONE]


def test_whichever_of_two_attempts_is_mined_settles_both(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    first = scene.chain.pool[0]
    scene.at += scene.policy.bump_after
    scene.step()
    scene.chain.pool[0] = first
    scene.finish()
    assert scene.store.states() == [DONE]
    assert scene.chain.carried() == [1]


def test_a_fee_that_became_too_low_is_raised_soon(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.pool.clear()
    scene.chain.base_fee *= 10
    for _ in range(2):
        scene.at += scene.policy.resend_after
        scene.step()
    assert len(scene.store.recorded) == 2
    assert unsigned_of(scene.chain.pool[0]).max_fee >= scene.chain.base_fee


def test_a_fee_never_rises_above_the_highest() -> None:
    scene = Scene(policy=OutboxPolicy(highest_fee=2 * GWEI))
    scene.store.wish(an_opening(1))
    scene.step()
    scene.at += 10 * scene.policy.bump_after
    scene.step()
    assert len(scene.store.recorded) == 1


def test_nothing_is_settled_before_it_is_deep_enough() -> None:
    scene = Scene(policy=OutboxPolicy(confirmations=3))
    scene.store.wish(an_opening(1))
    seen = []
    for _ in range(4):
        scene.round()
        seen.append(scene.store.states()[0])
    assert seen == [SENT, SENT, SENT, DONE]


def test_a_transaction_that_a_reorganisation_drops_is_sent_again() -> None:
    """At once: that it was sent long ago, or just now, says nothing after it was seen mined."""
    scene = Scene(policy=OutboxPolicy(confirmations=3, resend_after=1_000))
    scene.store.wish(an_opening(1))
    scene.round()
    scene.step()
    scene.chain.reorg(1)
    scene.chain.pool.clear()
    scene.step()
    assert list(scene.chain.pool.values()) == [scene.store.recorded[0].raw]
    scene.finish()
    assert scene.store.states() == [DONE]


def test_a_nonce_that_a_stranger_took_is_replaced(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.steal_nonce(1)
    scene.finish()
    assert scene.store.states() == [DONE]
    assert [attempt.nonce for attempt in scene.store.recorded] == [0, 1]


def test_a_nonce_counts_as_taken_only_when_that_is_deep_enough() -> None:
    """Until then a reorganisation may give it back, and the first transaction may yet be mined."""
    scene = Scene(policy=OutboxPolicy(confirmations=3))
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.steal_nonce(1)
    scene.step()
    assert [attempt.nonce for attempt in scene.store.recorded] == [0]
    scene.chain.mine()
    scene.chain.mine()
    scene.step()
    assert [attempt.nonce for attempt in scene.store.recorded] == [0, 1]


def test_a_gap_that_a_stranger_left_is_filled() -> None:
    scene = Scene(policy=OutboxPolicy(confirmations=3))
    scene.chain.steal_nonce(1)
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.reorg(1)
    scene.chain.pool = {nonce: raw for nonce, raw in scene.chain.pool.items() if nonce == 1}
    scene.finish()
    assert scene.store.states() == [DONE]
    assert () in [attempt.intents for attempt in scene.store.recorded]


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_point_carries_the_wish_out_once(scene: Scene, point: str) -> None:
    scene.store.wish(an_opening(1), a_registration(2))
    for _ in range(3):
        scene.step_and_die(point)
        scene.chain.mine()
    scene.finish()
    assert scene.store.states() == [DONE, DONE]
    assert sorted(scene.chain.carried()) == [1, 2]


# what was settled, and vanishes


def settled(scene: Scene) -> bytes:
    """A wish done on the head; the raw bytes that did it."""
    scene.store.wish(an_opening(1))
    scene.round()
    scene.step()
    assert scene.store.states() == [DONE]
    return scene.store.recorded[0].raw


@pytest.mark.parametrize("depth", [1, 2, 64])
def test_a_done_wish_whose_block_vanishes_is_sent_again_as_the_same_bytes(scene: Scene, depth: int) -> None:
    raw = settled(scene)
    for _ in range(depth - 1):
        scene.round()
    scene.chain.reorg(depth)
    scene.chain.pool.clear()
    scene.chain.handed.clear()
    scene.step()
    assert scene.store.states() == [SENT]
    assert scene.chain.handed == [raw]
    scene.finish()
    assert scene.store.states() == [DONE]
    assert scene.chain.mined() == [raw]


def test_a_process_that_slept_through_the_reorganisation_sends_again_too(scene: Scene) -> None:
    raw = settled(scene)
    scene.chain.reorg(1)
    scene.chain.pool.clear()
    for _ in range(200):
        scene.chain.mine()
    scene.restart()
    scene.finish()
    assert (scene.store.states(), scene.chain.mined()) == ([DONE], [raw])


def test_what_failed_in_a_block_that_vanishes_is_judged_anew(
    scene: Scene,
) -> None:
    scene.chain.reverts = lambda _: True
    scene.store.wish(an_opening(1))
    scene.round()
    scene.step()
    assert scene.store.states() == [FAILED]
    scene.chain.reverts = lambda _: False
    scene.chain.reorg(1)
    scene.finish()
    assert scene.store.states() == [DONE]


def test_an_endpoint_that_lags_brings_nothing_back(scene: Scene) -> None:
    settled(scene)
    scene.chain.mine()
    scene.chain.lags = 2
    scene.step()
    assert scene.store.states() == [DONE]


def test_nothing_is_asked_about_what_is_final(scene: Scene) -> None:
    settled(scene)
    for _ in range(scene.chain.finality + 1):
        scene.chain.mine()
    scene.step()
    assert scene.store.settled() == []


def test_a_nonce_that_a_stranger_lost_again_is_used_for_what_it_was_meant(scene: Scene) -> None:
    """The wish was tried anew under another nonce meanwhile; whichever comes first does it."""
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.steal_nonce(1)
    scene.step()
    scene.chain.reorg(1)
    scene.chain.pool.clear()
    scene.finish()
    assert scene.store.states() == [DONE]
    assert list(scene.chain.effects().values()) == [1]


# when wishes go together


def test_a_lone_wish_goes_at_once(scene: Scene) -> None:
    scene.store.wish(a_settlement(1))
    assert scene.step() == 1


def test_wishes_that_come_while_one_waits_go_together_with_the_next_block(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    for serial in range(2, 6):
        scene.store.wish(an_opening(serial))
        assert scene.step() == 0
    scene.chain.mine()
    scene.step()
    assert [attempt.intents for attempt in scene.store.recorded] == [(1,), (2, 3, 4, 5)]


def test_no_wish_waits_for_a_transaction_that_no_block_takes(scene: Scene) -> None:
    scene.store.wish(an_opening(1))
    scene.step()
    scene.store.wish(an_opening(2))
    scene.chain.pool.clear()
    scene.chain.mine()
    scene.step()
    assert [attempt.intents for attempt in scene.store.recorded] == [(1,), (2,)]


def test_a_full_call_does_not_wait(scene: Scene) -> None:
    scene.store.wish(a_settlement(0))
    scene.step()
    scene.store.wish(*map(a_settlement, range(1, 40)))
    scene.step()
    assert [len(attempt.intents) for attempt in scene.store.recorded] == [1, MAX_ITEMS]


def test_nothing_overtakes_what_gathers(scene: Scene) -> None:
    """A cancellation that went ahead of its registration would be refused."""
    scene.store.wish(a_registration(1))
    scene.step()
    scene.store.wish(a_registration(2), a_cancellation(2))
    scene.step()
    assert len(scene.store.recorded) == 1
    scene.chain.mine()
    scene.step()
    assert [attempt.intents for attempt in scene.store.recorded] == [(1,), (2,), (3,)]


def test_a_batch_that_would_revert_whole_costs_nothing(scene: Scene) -> None:
    scene.chain.refuses = lambda _: "market: paused"
    scene.store.wish(*map(an_opening, range(3)))
    scene.step()
    assert scene.store.details() == ["market: paused"] * 3
    assert scene.store.recorded == []


def test_a_person_s_transaction_that_waits_is_not_replaced(scene: Scene) -> None:
    scene.chain.pool[0] = b"stranger 0 1"
    scene.store.wish(an_opening(1))
    scene.step()
    assert [attempt.nonce for attempt in scene.store.recorded] == [1]
    scene.chain.base_fee = 1
    scene.finish()
    assert scene.store.states() == [DONE]


# what it may cost

DAY = 86_400


def budgeted(budget: int, **policy: int) -> Scene:
    return Scene(policy=OutboxPolicy(gas_budget=budget, **policy))


def worst(scene: Scene) -> int:
    """What one opening is reserved for."""
    probe = Scene()
    probe.chain.base_fee = scene.chain.base_fee
    probe.store.wish(an_opening(1))
    probe.step()
    fields = unsigned_of(probe.store.recorded[0].raw)
    return fields.gas * fields.max_fee


def test_a_wish_beyond_the_day_s_budget_waits_for_the_next_day() -> None:
    scene = budgeted(worst(Scene()))
    scene.store.wish(an_opening(1))
    scene.round()
    scene.step()
    scene.store.wish(an_opening(2))
    with pytest.raises(Unavailable) as refusal:
        scene.step()
    assert refusal.value.code == "gas-budget-spent"
    assert scene.store.states() == [DONE, PENDING]
    scene.at = DAY
    scene.finish()
    assert scene.store.states() == [DONE, DONE]


def test_what_is_in_flight_counts_at_its_most() -> None:
    scene = budgeted(2 * worst(Scene()) - 1)
    scene.store.wish(an_opening(1))
    scene.step()
    scene.store.wish(a_gang(2))
    with pytest.raises(Unavailable):
        scene.step()
    assert scene.store.states() == [SENT, PENDING]


def test_what_was_reserved_and_not_used_is_free_again() -> None:
    """A mined opening costs the fake a quarter of its most."""
    scene = budgeted(2 * worst(Scene()) - 1)
    for serial in range(3):
        scene.store.wish(an_opening(serial))
        scene.round()
    scene.step()
    assert scene.store.states() == [DONE] * 3


def test_no_fee_is_raised_beyond_the_budget() -> None:
    scene = budgeted(worst(Scene()))
    scene.store.wish(an_opening(1))
    scene.step()
    scene.at += scene.policy.bump_after
    scene.step()
    assert len(scene.store.recorded) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from([1, 40, DAY // 3]), st.booleans()), max_size=20),
)
def test_no_day_costs_more_than_its_budget(times: int, history: list[tuple[int, int, bool]]) -> None:
    scene = budgeted(times * worst(Scene()) // 2)
    for serial, (fee, seconds, wishes) in enumerate(history):
        scene.chain.base_fee = fee * GWEI // 3 + 1
        if wishes:
            scene.store.wish(an_opening(serial))
        with suppress(Unavailable):
            scene.step()
        scene.chain.mine()
        scene.at += seconds
    assert all(scene.store.spent(day) <= times * worst(Scene()) // 2 for day in range(scene.at // DAY + 1))


def test_a_first_fee_is_not_above_the_highest_either() -> None:
    scene = Scene(policy=OutboxPolicy(highest_fee=GWEI // 2))
    scene.store.wish(an_opening(1))
    scene.step()
    assert unsigned_of(scene.store.recorded[0].raw).max_fee == GWEI // 2


def test_the_last_raise_ends_at_the_highest() -> None:
    scene = Scene(policy=OutboxPolicy(highest_fee=3 * GWEI))
    scene.store.wish(an_opening(1))
    scene.step()
    scene.chain.base_fee = 10 * GWEI
    for _ in range(3):
        scene.at += scene.policy.bump_after
        scene.step()
    assert [unsigned_of(attempt.raw).max_fee for attempt in scene.store.recorded] == [2 * GWEI, 3 * GWEI]


@pytest.mark.parametrize("wrong", [{"confirmations": 0}, {"in_flight": 0}, {"gas_budget": -1}])
def test_a_policy_that_cannot_be_kept_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Rejected) as refusal:
        OutboxPolicy(**wrong)
    assert refusal.value.code == "malformed-outbox-policy"
