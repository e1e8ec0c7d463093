"""No nonce is given out twice, whatever runs beside."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.market.errors import Rejected
from node.buying.nonces import NonceCounter


def test_nonces_run_on_from_where_the_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "nonces" / "account"
    first = NonceCounter(path, lambda: 1_000.5).take(3)
    second = NonceCounter(path, lambda: 2_000.0).take(1)
    assert list(first) == [1_000_500, 1_000_501, 1_000_502]
    assert list(second) == [1_000_503]


def test_a_lost_file_starts_above_what_was_used(tmp_path: Path) -> None:
    path = tmp_path / "account"
    used = NonceCounter(path, lambda: 1_000.0).take(50)
    path.unlink()
    assert NonceCounter(path, lambda: 1_001.0).take(1).start > used[-1]


def test_many_takers_at_once_share_nothing(tmp_path: Path) -> None:
    def take(_: int) -> list[int]:
        return list(NonceCounter(tmp_path / "account", lambda: 5.0).take(2))

    with ThreadPoolExecutor(8) as pool:
        taken = [nonce for nonces in pool.map(take, range(40)) for nonce in nonces]
    assert len(set(taken)) == 80


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "account"
    path.write_text("not a number")
    with pytest.raises(Rejected):
        NonceCounter(path, lambda: 1.0).take(1)
