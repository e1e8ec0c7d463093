from ledger.market.identity import OfferId
from node.trading.presence import Heartbeat, Presence
from tests.factories import NOW, a_digest, an_address

OFFER = OfferId(a_digest("offer"))
PROVIDER = an_address("provider")


def beat(at: int = NOW, *, draining: bool = False, engine_ok: bool = True) -> Heartbeat:
    return Heartbeat(offers=frozenset({OFFER}), draining=draining, engine_ok=engine_ok, at=at)


def presence() -> Presence:
    return Presence(NOW, heartbeat_timeout=10, lost_after=30)


def test_an_offer_is_live_until_its_agent_was_silent_too_long() -> None:
    agents = presence()
    agents.beat(PROVIDER, beat())
    assert agents.live_offers(NOW + 10) == {(PROVIDER, OFFER)}
    assert agents.live_offers(NOW + 11) == set()


def test_a_draining_and_an_engineless_agent_have_no_live_offer() -> None:
    agents = presence()
    for word in (beat(draining=True), beat(engine_ok=False)):
        agents.beat(PROVIDER, word)
        assert agents.live_offers(NOW) == set()


def test_a_beat_says_whether_it_changes_what_is_live() -> None:
    agents = presence()
    assert agents.beat(PROVIDER, beat())
    assert not agents.beat(PROVIDER, beat(NOW + 2))
    assert agents.beat(PROVIDER, beat(NOW + 4, draining=True))
    assert not agents.beat(PROVIDER, beat(NOW + 6, engine_ok=False))
    assert agents.beat(PROVIDER, beat(NOW + 8))
    assert agents.beat(PROVIDER, beat(NOW + 60))


def test_an_agent_is_lost_after_its_silence_and_not_before() -> None:
    agents = presence()
    agents.beat(PROVIDER, beat(NOW + 100))
    assert not agents.lost(PROVIDER, NOW + 130, since=0)
    assert agents.lost(PROVIDER, NOW + 131, since=0)


def test_silence_is_counted_from_the_nodes_start_and_the_leases_opening() -> None:
    agents = presence()
    assert not agents.lost(PROVIDER, NOW + 30, since=0)
    assert agents.lost(PROVIDER, NOW + 31, since=0)
    assert not agents.lost(PROVIDER, NOW + 31, since=NOW + 5)


def test_a_gap_in_the_nodes_own_time_counts_as_a_start() -> None:
    agents = presence()
    agents.beat(PROVIDER, beat())
    agents.tick(NOW + 3_600)
    assert not agents.lost(PROVIDER, NOW + 3_600, since=0)
    for second in range(31):
        agents.tick(NOW + 3_601 + second)
    assert agents.lost(PROVIDER, NOW + 3_631, since=0)


def test_a_clock_set_back_keeps_nobody_alive_for_ever() -> None:
    agents = presence()
    agents.beat(PROVIDER, beat(NOW + 3_600))
    agents.tick(NOW)
    assert agents.live_offers(NOW + 10) == {(PROVIDER, OFFER)}
    assert agents.live_offers(NOW + 11) == set()
    assert agents.lost(PROVIDER, NOW + 31, since=0)


def test_who_moved_is_told_once() -> None:
    agents = presence()
    agents.beat(PROVIDER, beat())
    assert agents.moved(NOW) == {PROVIDER: {OFFER}}
    assert agents.moved(NOW) == {}
    agents.beat(PROVIDER, beat(NOW + 1))
    assert agents.moved(NOW + 1) == {}


def test_one_that_fell_silent_moved_without_a_word() -> None:
    agents = presence()
    agents.beat(PROVIDER, beat())
    agents.moved(NOW)
    assert agents.moved(NOW + 10) == {}
    assert agents.moved(NOW + 11) == {PROVIDER: frozenset()}


def test_after_a_clock_that_went_back_everybody_may_have_moved() -> None:
    agents = presence()
    agents.beat(PROVIDER, beat())
    agents.moved(NOW + 11)
    assert agents.moved(NOW + 5) == {PROVIDER: {OFFER}}
    assert agents.moved(NOW + 11) == {PROVIDER: frozenset()}


def test_an_asker_that_forgot_is_told_all_again() -> None:
    agents = presence()
    agents.beat(PROVIDER, beat())
    agents.moved(NOW)
    agents.all_moved()
    assert agents.moved(NOW) == {PROVIDER: {OFFER}}
