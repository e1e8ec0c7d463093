from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.chain.outcomes import Outcome
from ledger.chain.typed_data import offer_id
from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import ChainObserved, JobPhase
from ledger.market.identity import OfferId
from ledger.market.lifecycle import JobState, LeaseState
from ledger.market.outbox import IntentState, TxIntent
from ledger.market.resource import Quantities
from node.trading.admission import Order
from node.trading.presence import Heartbeat
from node.trading.resting import INCLUSION_SECONDS
from tests.factories import a_digest, a_job, an_address, an_offer
from tests.fakes.node_twin import BUYER, DOMAIN, LOST_AFTER, OTHER, RATE, TIMEOUT, NodeTwin

WHOLE = Quantities(cpu=1_000, memory=1_024, disk=1_024)
"""capacity for one job of the factories"""


def wishes(node: NodeTwin) -> list[TxIntent]:
    return node.wishes()


def free_cores(node: NodeTwin, offer: OfferId) -> int:
    listed = node.exchange.book.offers()
    row = [one.id for one in listed.orders].index(offer)
    return listed.free_of(row).cpu


def test_the_cheaper_eligible_provider_wins(node: NodeTwin) -> None:
    dear = node.lend("dear", ask=Quantities(cpu=2_000))
    cheap = node.lend("cheap", ask=Quantities(cpu=1_000))
    node.seal()
    node.beat(dear, name="dear")
    node.beat(cheap, name="cheap")

    job = node.submit()

    lease = node.lease(node.job(job).leases[0])
    assert lease.terms.offer == cheap
    assert node.job(job).state is JobState.OPENING


def test_a_domain_that_only_the_dearer_meets_goes_there(node: NodeTwin) -> None:
    node.beat(node.lend("cheap", domain="lab/berlin"), name="cheap")
    dear = node.lend("dear", domain="lab/paris", ask=Quantities(cpu=2_000))
    node.beat(dear, name="dear")
    node.seal()

    job = node.submit(a_job(allow=("lab/paris",)))

    assert node.lease(node.job(job).leases[0]).terms.offer == dear


def test_an_order_without_an_offer_is_refused_before_anything_is_kept(node: NodeTwin) -> None:
    with pytest.raises(Rejected) as caught:
        node.submit()
    assert caught.value.code == "no-match"
    assert node.books.queries.jobs() == []
    assert wishes(node) == []


def test_a_limit_below_the_ask_names_the_price_at_which_it_matches(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    with pytest.raises(Rejected) as caught:
        node.submit(a_job(max_rate=RATE - 1))
    assert caught.value.facts["would_match_at"] == str(RATE)

    node.submit(a_job(max_rate=RATE))


def test_many_excluded_offers_are_counted_but_not_all_listed(node: NodeTwin) -> None:
    offers = [node.lend(salt=number) for number in range(60)]
    node.seal()
    node.beat(*offers)
    with pytest.raises(Rejected) as caught:
        node.submit(a_job(max_rate=1))
    listed = caught.value.facts["excluded"]
    assert isinstance(listed, list)
    assert len(listed) == 50
    assert "60 live offers" in caught.value.cause


def test_an_offer_without_its_document_takes_no_part(node: NodeTwin) -> None:
    offer = an_offer(document=a_digest("nobody brought it"))
    node.beat(node.register(offer))
    node.seal()
    with pytest.raises(Rejected):
        node.submit()


def test_an_agent_speaks_for_its_own_offers_alone(node: NodeTwin) -> None:
    offer = node.lend("provider")
    node.seal()
    node.beat(offer, name="stranger")
    with pytest.raises(Rejected):
        node.submit()

    node.beat(offer, name="provider")
    node.submit()


def test_a_silent_a_draining_and_an_engineless_agent_get_nothing(node: NodeTwin) -> None:
    offer = node.lend()
    node.seal()
    for change in ({"draining": True}, {"engine_ok": False}, {"at": node.now - TIMEOUT - 1}):
        node.beat(offer, **change)
        with pytest.raises(Rejected):
            node.submit()
    node.beat(offer)
    node.submit()


def test_a_resting_order_is_matched_by_the_first_heartbeat(node: NodeTwin) -> None:
    offer = node.lend()
    node.seal()
    job = node.submit(wait=600)
    assert node.job(job).state is JobState.RESTING

    node.beat(offer)

    assert node.job(job).state is JobState.OPENING


def test_a_resting_order_goes_before_a_new_one(node: NodeTwin) -> None:
    first = node.submit(wait=600)
    node.lend(capacity=WHOLE)
    node.seal()
    offers = frozenset(row.id for row in node.books.queries.offers())
    heard = Heartbeat(offers=offers, draining=False, engine_ok=True, at=node.now)
    node.presence.beat(an_address("provider"), heard)

    with pytest.raises(Rejected):
        node.submit()

    assert node.job(first).state is JobState.OPENING


def test_capacity_is_held_from_plan_to_close(node: NodeTwin) -> None:
    offer = node.lend(capacity=WHOLE)
    node.seal()
    node.beat(offer)
    lease = node.opened()
    assert free_cores(node, offer) == 0
    with pytest.raises(Rejected):
        node.submit()

    node.settlement.report(node.used(lease, 1_000, last=True))
    node.mine()
    node.seal()

    assert node.lease(lease).state is LeaseState.CLOSED
    assert free_cores(node, offer) == 1_000
    node.submit()


def test_a_block_that_is_told_twice_holds_capacity_once(node: NodeTwin) -> None:
    offer = node.lend()
    node.seal()
    node.beat(offer)
    node.submit()
    node.mine()
    block = node.seal()
    node.tell(block)
    assert free_cores(node, offer) == 3_000


def test_the_same_order_twice_is_one_job(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    order = node.order()
    node.exchange.submit(order, 0, node.now)
    with pytest.raises(LostRace) as caught:
        node.exchange.submit(order, 0, node.now)
    assert caught.value.code == "replayed-bid"
    assert len(wishes(node)) == 1


def test_a_replay_is_named_as_one_even_once_its_nonce_is_spent(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    order = node.order()
    node.exchange.submit(order, 0, node.now)
    node.mine()
    with pytest.raises(LostRace) as caught:
        node.exchange.submit(order, 0, node.now)
    assert caught.value.code == "replayed-bid"


def test_a_spent_nonce_and_an_old_epoch_are_lost_races(node: NodeTwin) -> None:
    order = node.order()
    node.pending += node.model.cancel_nonces(BUYER.address, order.bid.nonce // 256, 1 << order.bid.nonce)
    node.seal()
    with pytest.raises(LostRace) as caught:
        node.exchange.submit(order, 0, node.now)
    assert caught.value.code == "nonce-used"

    node.pending += node.model.bump_epoch(BUYER.address)
    node.seal()
    with pytest.raises(LostRace) as caught:
        node.exchange.submit(node.order(), 0, node.now)
    assert caught.value.code == "bid-epoch"


def test_an_empty_wallet_is_told_what_is_needed(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    with pytest.raises(Rejected) as caught:
        node.submit(buyer=OTHER)
    assert caught.value.code == "insufficient-balance"
    assert caught.value.facts == {"needed": "834", "held": "0"}


def test_what_resting_orders_reserve_cannot_be_promised_again(node: NodeTwin) -> None:
    node.deposit(2 * 834, OTHER.address)
    node.seal()
    for _ in range(2):
        node.submit(wait=600, buyer=OTHER)
    with pytest.raises(Rejected) as caught:
        node.submit(wait=600, buyer=OTHER)
    assert caught.value.facts["held"] == "0"


def test_a_match_is_planned_once_its_buyer_withdrew_the_money_only_when_it_is_back(node: NodeTwin) -> None:
    node.deposit(834, OTHER.address)
    node.seal()
    job = node.submit(wait=600, buyer=OTHER)
    node.pending += node.model.withdraw(OTHER.address, 834)
    offer = node.lend()
    node.seal()

    node.beat(offer)
    assert wishes(node) == []
    assert node.job(job).state is JobState.RESTING

    node.deposit(834, OTHER.address)
    node.seal()
    assert node.job(job).state is JobState.OPENING


def test_an_unfunded_order_does_not_hold_up_the_others(node: NodeTwin) -> None:
    node.deposit(834, OTHER.address)
    node.seal()
    poor = node.submit(wait=600, buyer=OTHER)
    rich = node.submit(wait=600)
    node.pending += node.model.withdraw(OTHER.address, 834)
    offer = node.lend(capacity=WHOLE)
    node.seal()

    node.beat(offer)

    assert node.job(rich).state is JobState.OPENING
    assert node.job(poor).state is JobState.RESTING


def test_an_offer_that_ends_before_the_match_can_be_mined_is_not_used(node: NodeTwin) -> None:
    too_short = node.now + 600 + INCLUSION_SECONDS - 1
    node.beat(node.lend(valid_until=too_short))
    node.seal()
    with pytest.raises(Rejected) as caught:
        node.submit()
    assert "validity" in caught.value.cause

    node.beat(node.lend("other", valid_until=too_short + 1), name="other")
    node.seal()
    node.submit()


def test_a_skipped_match_frees_its_capacity_and_is_tried_again_after_a_pause(node: NodeTwin) -> None:
    offer = node.lend(capacity=WHOLE)
    node.seal()
    node.beat(offer)
    job = node.submit(wait=600)
    _fail(node, "CAPACITY")
    assert node.job(job).state is JobState.RESTING
    assert free_cores(node, offer) == 1_000
    assert wishes(node) == []

    node.now += 5
    node.sweep()
    assert len(wishes(node)) == 1
    node.mine()
    node.seal()
    assert node.job(job).state is JobState.STARTING


def _fail(node: NodeTwin, detail: str) -> None:
    for intent in wishes(node):
        node.settle(intent, Outcome(intent=intent.id, state=IntentState.FAILED, detail=detail))
    node.mine()


def test_the_pauses_grow(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    node.submit(wait=600)
    tries = 0
    for _ in range(100):
        tries += len(wishes(node))
        _fail(node, "no-event")
        node.now += 1
        node.beat(*(row.id for row in node.books.queries.offers()))
        node.exchange.clear_round(node.now)
    assert tries == 5


def test_a_plan_of_the_same_moment_is_a_wish_of_its_own(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    job = node.submit(wait=600)
    _fail(node, "CAPACITY")
    node.now -= 1_000
    node.beat(*(row.id for row in node.books.queries.offers()))
    node.exchange.clear_round(node.now)
    assert node.job(job).state is JobState.OPENING
    assert len(wishes(node)) == 1


def test_what_the_contract_never_takes_leaves_the_book(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    job = node.submit(wait=600)
    _fail(node, "BID_EPOCH")
    assert node.job(job).state is JobState.LAPSED
    assert "BID_EPOCH" in node.job(job).cause


def test_a_nonce_that_the_lease_itself_used_is_no_failure(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    job = node.submit(a_job(retry=1))
    wish = wishes(node)[0]
    node.step(node.now)
    node.settle(wish, Outcome(intent=wish.id, state=IntentState.FAILED, detail="NONCE_USED"))
    node.mine()
    assert node.job(job).state is JobState.OPENING
    assert wishes(node) == []

    node.seal()
    assert node.job(job).state is JobState.STARTING


def test_a_nonce_that_was_cancelled_leads_to_the_next_attempt(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    job = node.submit(a_job(retry=1), wait=600)
    nonce = node.job(job).bid.nonce
    node.pending += node.model.cancel_nonces(BUYER.address, nonce // 256, 1 << nonce)
    node.mine()
    assert node.job(job).state is JobState.RESTING
    node.now += 5
    node.sweep()
    node.mine()
    node.seal()
    assert node.lease(node.job(job).leases[-1]).attempt == 1


def test_a_resting_order_lapses_with_the_reason(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    job = node.submit(a_job(max_rate=RATE - 1), wait=60)
    node.now += 60
    node.beat(node.books.queries.offers()[0].id)
    node.sweep()
    assert node.job(job).state is JobState.RESTING

    node.now += 1
    node.sweep()
    assert node.job(job).state is JobState.LAPSED
    assert "price excludes 1" in node.job(job).cause


def test_an_order_is_not_matched_after_its_waiting_time(node: NodeTwin) -> None:
    offer = node.lend()
    node.seal()
    job = node.submit(wait=60)
    node.now += 61
    node.beat(offer)
    assert node.job(job).state is JobState.RESTING
    node.sweep()
    assert node.job(job).state is JobState.LAPSED


def test_a_withdrawn_order_is_cancelled_and_cannot_match(node: NodeTwin) -> None:
    offer = node.lend()
    node.seal()
    job = node.submit(wait=600)
    node.exchange.withdraw(job, node.now)
    node.beat(offer)
    assert node.job(job).state is JobState.CANCELLED
    with pytest.raises(LostRace):
        node.exchange.withdraw(job, node.now)


def test_a_match_in_flight_cannot_be_withdrawn(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    job = node.submit()
    with pytest.raises(LostRace) as caught:
        node.exchange.withdraw(job, node.now)
    assert caught.value.code == "not-resting"


def test_a_job_whose_agent_is_lost_goes_to_another_provider(node: NodeTwin) -> None:
    one, two = node.lend("one"), node.lend("two", ask=Quantities(cpu=2_000))
    node.seal()
    node.beat(one, name="one")
    node.beat(two, name="two")
    lease = node.opened(a_job(retry=1))
    job = node.lease(lease).job
    assert job is not None

    for _ in range(LOST_AFTER + 1):
        node.now += 1
        node.beat(two, name="two")
        node.sweep()

    row = node.job(job)
    assert row.excluded == {an_address("one")}
    assert node.lease(row.leases[-1]).terms.offer == two
    node.mine()
    node.seal()
    assert node.lease(lease).state is LeaseState.CLOSED
    assert node.lease(row.leases[-1]).state is LeaseState.ACTIVE


def test_without_a_retry_a_lost_job_is_lost(node: NodeTwin) -> None:
    one, two = node.lend("one"), node.lend("two", ask=Quantities(cpu=2_000))
    node.seal()
    node.beat(one, name="one")
    lease = node.opened()
    node.now += LOST_AFTER + 1
    node.presence.tick(node.now)
    node.now += LOST_AFTER + 1
    node.beat(two, name="two")
    node.presence.tick(node.now)
    node.settlement.give_up(lease, node.now)
    node.exchange.clear_round(node.now)
    job = node.lease(lease).job
    assert job is not None
    assert node.job(job).state is JobState.LOST
    assert node.job(job).leases == (lease,)


def test_a_lost_job_that_succeeded_after_all_is_not_run_again(node: NodeTwin) -> None:
    offer = node.lend("one")
    node.seal()
    node.beat(offer, name="one")
    lease = node.opened(a_job(retry=1))
    job = node.lease(lease).job
    assert job is not None
    node.settlement.give_up(lease, node.now)
    node.exchange.clear_round(node.now)
    assert node.job(job).state is JobState.RESTING

    node.say(lease, JobPhase.SUCCEEDED, 0)
    node.beat(node.lend("two"), name="two")
    node.seal()

    assert node.job(job).state is JobState.SUCCEEDED
    assert node.job(job).leases == (lease,)


def test_a_refused_job_waits_for_the_refund_and_is_retried_elsewhere(node: NodeTwin) -> None:
    one, two = node.lend("one"), node.lend("two", ask=Quantities(cpu=2_000))
    node.seal()
    node.beat(one, name="one")
    node.beat(two, name="two")
    lease = node.opened(a_job(retry=1))
    job = node.lease(lease).job
    assert job is not None
    node.say(lease, JobPhase.REFUSED)
    assert node.job(job).state is JobState.SETTLING

    node.pending += node.model.release(an_address("one"), node.lease(lease).terms)
    node.seal()
    assert node.job(job).state is JobState.OPENING
    assert node.lease(node.job(job).leases[-1]).terms.offer == two


def test_a_restart_takes_up_capacity_resting_orders_and_wishes(node: NodeTwin) -> None:
    offer = node.lend(capacity=WHOLE)
    node.seal()
    node.beat(offer)
    running = node.submit()
    resting = node.submit(wait=600)

    node.restart()
    node.beat(offer)

    assert free_cores(node, offer) == 0
    assert node.job(resting).state is JobState.RESTING
    assert len(wishes(node)) == 1
    node.mine()
    node.seal()
    assert node.job(running).state is JobState.STARTING


def test_an_opening_that_vanishes_is_wished_again_and_opens_once(node: NodeTwin) -> None:
    offer = node.lend()
    node.seal()
    node.beat(offer)
    lease = node.opened()
    job = node.lease(lease).job
    assert job is not None

    node.rewind(1)
    assert node.lease(lease).state is LeaseState.PLANNED
    assert free_cores(node, offer) == 3_000
    assert len(wishes(node)) == 1

    node.mine()
    node.seal()
    assert node.lease(lease).state is LeaseState.ACTIVE
    assert node.job(job).leases == (lease,)
    assert free_cores(node, offer) == 3_000


def test_an_offer_that_vanishes_leaves_the_book(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    node.rewind(1)
    with pytest.raises(Rejected):
        node.submit()


def test_a_failure_between_commit_and_book_is_repaired(node: NodeTwin) -> None:
    offer = node.lend(capacity=WHOLE)
    node.seal()
    node.beat(offer)
    lease = node.opened()
    node.settlement.report(node.used(lease, 1_000, last=True))
    node.mine()
    closing = node.sealed()
    with node.books.transaction() as unit:
        node.exchange.observe([closing], unit)

    with pytest.raises(ZeroDivisionError):
        node.exchange.observed(_breaking(), node.now)
    node.exchange.clear_round(node.now)

    assert free_cores(node, offer) == 1_000


def _breaking() -> Iterator[ChainObserved]:
    raise ZeroDivisionError
    yield


def test_orders_heartbeats_and_blocks_at_once_neither_hang_nor_oversell(node: NodeTwin) -> None:
    offer = node.lend(capacity=Quantities(cpu=3_000, memory=8_192, disk=8_192))
    node.seal()
    orders = [node.order() for _ in range(8)]
    twice = [*orders, *orders]

    def submit(order: Order) -> str:
        try:
            return node.exchange.submit(order, 600, node.now).state.value
        except LostRace as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        told = pool.map(submit, twice, timeout=60)
        beats = pool.map(lambda _: node.beat(offer), range(20), timeout=60)
        empty = pool.map(lambda _: node.exchange.clear_round(node.now), range(20), timeout=60)
        assert len(list(beats) + list(empty)) == 40
        assert list(told).count("replayed-bid") == 8

    assert len(node.books.queries.jobs()) == 8
    assert len(wishes(node)) == 3
    assert free_cores(node, offer) == 0


def test_an_estimate_says_what_an_order_would_get_and_keeps_nothing(node: NodeTwin) -> None:
    offer = node.lend()
    node.seal()
    node.beat(offer)
    document, attempts = node.signed(a_job())
    told = node.exchange.estimate(attempts[0].bid, document, node.now)
    assert told["eligible"] == [
        {
            "offer": "0x" + offer.hex(),
            "provider": "0x" + an_address("provider").hex(),
            "domain": "lab/berlin",
            "rate": str(RATE),
            "escrow": "184",
        }
    ]
    assert node.books.queries.jobs() == []


def test_a_cancelled_offer_is_matched_no_more(node: NodeTwin) -> None:
    name = node.lend()
    node.seal()
    node.beat(name)
    offer = node.books.queries.offers()[0].offer
    assert offer_id(DOMAIN, offer) == name
    node.pending += node.model.cancel_offer(offer.provider, name, offer)
    node.seal()
    with pytest.raises(Rejected):
        node.submit()
