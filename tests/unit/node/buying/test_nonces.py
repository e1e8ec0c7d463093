"""No nonce is given out twice, whatever runs beside, and each stays near what the chain has seen."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.market.errors import Rejected
from node.buying.nonces import NonceCounter


def seen_up_to(newest: int) -> Callable[[int, int], Sequence[int]]:
    """A chain on which every nonce below `newest` was used."""
    return lambda count, first: range(max(newest, first), max(newest, first) + count)


def test_a_new_account_counts_from_nought(tmp_path: Path) -> None:
    path = tmp_path / "nonces" / "account"
    assert NonceCounter(path, seen_up_to(0)).take(3) == (0, 1, 2)
    assert NonceCounter(path, seen_up_to(0)).take(1) == (3,)


def test_nonces_run_on_from_what_the_chain_has_seen(tmp_path: Path) -> None:
    path = tmp_path / "account"
    NonceCounter(path, seen_up_to(0)).take(2)
    assert NonceCounter(path, seen_up_to(40)).take(2) == (40, 41)


def test_used_nonces_between_are_passed_over(tmp_path: Path) -> None:
    def gaps(count: int, first: int) -> Sequence[int]:
        return [nonce for nonce in (5, 7, 9, 10, 11) if nonce >= first][:count]

    counter = NonceCounter(tmp_path / "account", gaps)
    assert counter.take(2) == (5, 7)
    assert counter.take(2) == (9, 10)


def test_a_counter_that_began_at_the_clock_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "account"
    path.write_text("1800000000123\n")
    assert NonceCounter(path, seen_up_to(7)).take(1) == (7,)


def test_a_look_gives_nothing_out(tmp_path: Path) -> None:
    counter = NonceCounter(tmp_path / "account", seen_up_to(3))
    assert counter.peek() == 3
    assert counter.take(1) == (3,)


def test_many_takers_at_once_share_nothing(tmp_path: Path) -> None:
    def take(_: int) -> tuple[int, ...]:
        return NonceCounter(tmp_path / "account", seen_up_to(5)).take(2)

    with ThreadPoolExecutor(8) as pool:
        taken = [nonce for nonces in pool.map(take, range(40)) for nonce in nonces]
    assert len(set(taken)) == 80


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "account"
    path.write_text("not a number")
    with pytest.raises(Rejected):
        NonceCounter(path, seen_up_to(0)).take(1)
