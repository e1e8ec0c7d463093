"""A market falls apart only where nothing connects it."""

from dataclasses import replace

import numpy as np

from matcher.welfare.kernels import CANDIDATE
from matcher.welfare.parts import only, parts, servable
from matcher.welfare.problem import SAME_DOMAIN, numbers
from matcher.welfare.tables import canon
from tests.fakes.clearings import Ask, Host, problem

LEFT = Ask(value=9, costs=((0, 4),))
RIGHT = Ask(value=9, costs=((1, 4),), seq=1)


def test_bids_without_a_common_offer_are_cleared_apart() -> None:
    found = parts(canon(problem([Host(), Host(pool=1)], [LEFT, RIGHT])))
    assert [(part.bid_rows.tolist(), part.offer_rows.tolist()) for part in found] == [([0], [0]), ([1], [1])]


def test_alternatives_and_a_short_purse_keep_bids_together() -> None:
    grouped = [replace(LEFT, group=5), replace(RIGHT, group=5)]
    assert len(parts(canon(problem([Host(), Host(pool=1)], grouped)))) == 1
    assert len(parts(canon(problem([Host(), Host()], [LEFT, RIGHT], purse=3)))) == 1
    assert len(parts(canon(problem([Host(), Host()], [LEFT, RIGHT])))) == 2


def test_a_bid_that_nobody_can_serve_is_in_no_part() -> None:
    found = parts(canon(problem([Host()], [LEFT, Ask(value=9, costs=())])))
    assert [part.bid_rows.tolist() for part in found] == [[0]]


def test_a_part_with_fewer_candidates_keeps_each_bids_own() -> None:
    table = canon(problem([Host(), Host()], [replace(LEFT, costs=((0, 4), (1, 5))), RIGHT]))
    small, rows = only(table, numbers([1, 2]))
    assert rows.tolist() == [1, 2]
    assert small.tables[0][:, CANDIDATE].tolist() == [0, 1, 2]


def test_a_gang_that_has_no_room_even_alone_is_not_searched_for() -> None:
    apart = [Host(lanes=(1, 1), domain=1), Host(lanes=(1, 1), domain=2)]
    gang = Ask(value=30, members=2, together=SAME_DOMAIN, costs=((0, 4), (1, 4)), seq=1)
    table = canon(problem(apart, [LEFT, gang]))
    assert np.diff(servable(table).tables[0][:, CANDIDATE]).tolist() == [1, 0]
    free = canon(problem([replace(host, domain=1) for host in apart], [LEFT, gang]))
    assert servable(free) is free
