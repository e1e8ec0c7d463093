"""Room that is kept for an order: as early as leases end, lent meanwhile to whoever ends in time."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.identity import BidId, LeaseId, OfferId
from ledger.market.resource import Quantities
from matcher.orders import BidOrder
from matcher.preemption.running import Room
from matcher.reservation.planning import earliest
from matcher.reservation.reservation import Lending, Reservation, Reservations
from tests.factories import HOUR, NOW, a_digest, an_address, bid_order

A, B = OfferId(a_digest("offer a")), OfferId(a_digest("offer b"))
LATEST = NOW + 10 * HOUR


def cores(count: int) -> Quantities:
    return Quantities(cpu=count)


def a_room(offer: OfferId = A, free: int = 0, **changes: Any) -> Room:
    """An offer of which so many cores are free."""
    given_here: dict[str, Any] = {
        "rate": 1,
        "valid_until": NOW + 24 * HOUR,
        "provider": an_address(offer.hex()),
    }
    return Room(offer=offer, free=cores(free), **(given_here | changes))


def lent(name: str, cpu: int, ends: int, offer: OfferId = A) -> Lending:
    """So many cores until so many seconds from now."""
    return Lending(lease=LeaseId(a_digest(name)), offer=offer, want=cores(cpu), ends_at=NOW + ends)


def a_gang(members: int, cpu: int = 1, name: str = "gang", **changes: Any) -> BidOrder:
    flags = {"flags": 1} if changes.pop("apart", False) else {}
    return bid_order(name, want=cores(cpu), members=members, duration=100, **flags, **changes)


def single(cpu: int, seconds: int, name: str = "single") -> BidOrder:
    return bid_order(name, want=cores(cpu), duration=seconds)


def kept(order: BidOrder, rooms: list[Room], *lendings: Lending) -> Reservation | None:
    return earliest(order, rooms, Reservations(lendings=lendings), NOW, latest=LATEST)


def test_a_gang_gets_the_moment_at_which_the_last_lease_that_it_needs_ends() -> None:
    found = kept(a_gang(3), [a_room(free=1)], lent("x", 1, 50), lent("y", 1, 70), lent("z", 1, 90))
    assert found is not None
    assert (found.at, found.until, found.places) == (NOW + 70, NOW + 170, ((A, 3),))


def test_a_gang_that_never_finds_room_gets_none() -> None:
    assert kept(a_gang(3), [a_room(free=1)], lent("x", 1, 50)) is None


def test_a_gang_spreads_over_offers_the_cheaper_first() -> None:
    rooms = [a_room(A, free=2, rate=2), a_room(B, free=1, rate=1)]
    found = kept(a_gang(2), rooms)
    assert found is not None
    assert found.places == ((B, 1), (A, 1))


def test_members_apart_take_one_room_a_provider() -> None:
    same = an_address("same")
    rooms = [a_room(A, free=2, provider=same), a_room(B, free=2, provider=same)]
    assert kept(a_gang(2, apart=True), rooms) is None
    assert kept(a_gang(2), rooms) is not None


def test_an_offer_that_ends_before_the_lease_would_is_no_room() -> None:
    assert kept(a_gang(1), [a_room(free=1, valid_until=NOW + 100)]) is not None
    assert kept(a_gang(1), [a_room(free=1, valid_until=NOW + 99)]) is None


def test_nothing_is_kept_for_later_than_the_order_may_begin() -> None:
    taken = Reservations(lendings=[lent("x", 1, 50)])
    assert earliest(a_gang(1), [a_room()], taken, NOW, latest=NOW + 49) is None
    assert earliest(a_gang(1), [a_room()], taken, NOW, latest=NOW + 50) is not None


def test_a_reserved_start_is_kept_at_its_moment_or_not_at_all() -> None:
    order = a_gang(1, start_at=NOW + 60)
    found = kept(order, [a_room()], lent("x", 1, 60))
    assert found is not None
    assert found.at == NOW + 60
    assert kept(order, [a_room()], lent("x", 1, 61)) is None


def test_what_is_kept_already_is_not_kept_twice() -> None:
    rooms, order = [a_room(free=1)], a_gang(1)
    first = kept(order, rooms)
    assert first is not None
    second = earliest(a_gang(1, name="next"), rooms, Reservations([first]), NOW, latest=LATEST)
    assert second is not None
    assert second.at == first.until


def a_reservation(cpu: int, begins: int, seconds: int = 100) -> Reservation:
    order = a_gang(1)
    return Reservation(
        bid=order.id,
        job=order.job,
        places=((A, 1),),
        want=cores(cpu),
        at=NOW + begins,
        until=NOW + begins + seconds,
    )


@pytest.mark.parametrize(("seconds", "blocked"), [(50, 0), (51, 3)])
def test_who_ends_in_time_may_have_what_is_kept_for_later(seconds: int, blocked: int) -> None:
    reservations = Reservations([a_reservation(3, 50)])
    assert reservations.blocked(single(1, seconds), A, NOW) == cores(blocked)


def test_only_what_no_ending_lease_brings_is_blocked_for_long_ones() -> None:
    reservations = Reservations([a_reservation(3, 50)], [lent("x", 2, 50), lent("y", 5, 51)])
    assert reservations.blocked(single(1, 1_000), A, NOW) == cores(1)
    assert reservations.blocked(single(1, 1_000), B, NOW) == Quantities()


def test_what_is_kept_for_an_order_does_not_block_itself() -> None:
    assert Reservations([a_reservation(3, 50)]).blocked(a_gang(1), A, NOW) == Quantities()


ARRIVALS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 300)), max_size=12)
RUNNING = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 200)), max_size=5)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 4), RUNNING, st.integers(1, 4), ARRIVALS, st.integers(0, 60))
def test_no_later_order_puts_off_what_was_promised(
    free: int, running: list[tuple[int, int]], members: int, arrivals: list[tuple[int, int]], pause: int
) -> None:
    """Orders come one after another and take what is free and not blocked; at the promised moment the gang
    has its room all the same."""
    lendings = [lent(f"{n}", cpu, ends) for n, (cpu, ends) in enumerate(running)]
    gang = a_gang(members)
    found = earliest(gang, [a_room(free=free)], Reservations(lendings=lendings), NOW, latest=LATEST)
    if found is None:
        assert members > free + sum(one.want.cpu for one in lendings)
        return
    now = NOW
    left = free
    for number, (cpu, seconds) in enumerate(arrivals):
        for over in [one for one in lendings if one.ends_at <= now]:
            left += over.want.cpu
            lendings.remove(over)
        if now >= found.at:
            break
        order = single(cpu, seconds, f"order {number}")
        if cpu <= left - Reservations([found], lendings).blocked(order, A, now).cpu:
            left -= cpu
            lendings.append(replace(lent(f"later {number}", cpu, 0), ends_at=now + seconds))
        now += pause
    then = left + sum(one.want.cpu for one in lendings if one.ends_at <= found.at)
    assert then >= members


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 3), RUNNING, st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms())
def test_promises_never_exceed_what_there_is_whatever_the_order_of_leases(
    free: int, running: list[tuple[int, int]], gangs: list[int], random: Any
) -> None:
    lendings = [lent(f"{n}", cpu, ends) for n, (cpu, ends) in enumerate(running)]
    made: list[list[Reservation]] = []
    for _ in range(2):
        promised: list[Reservation] = []
        for number, members in enumerate(gangs):
            order = a_gang(members, name=f"gang {number}")
            taken = Reservations(promised, lendings)
            found = earliest(order, [a_room(free=free)], taken, NOW, latest=LATEST)
            promised += [found] if found else []
        made.append(promised)
        random.shuffle(lendings)
    assert made[0] == made[1]
    for moment in {one.at for one in made[0]}:
        there = free + sum(one.want.cpu for one in lendings if one.ends_at <= moment)
        wanted = sum(one.on(A) for one in made[0] if one.at <= moment < one.until)
        assert wanted <= there


def test_an_order_of_another_job_is_no_owner() -> None:
    other = replace(a_gang(1), job=BidId(a_digest("another job")))
    assert Reservations([a_reservation(3, 50)]).blocked(other, A, NOW) == cores(3)
