"""A book is cleared alike by every process, whatever its hashes are seeded with."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
from matcher.book import BidPlaced
from matcher.clearing import clear
from tests.factories import NOW
from tests.fakes.random_market import RandomMarket

for seed in range(6):
    market = RandomMarket(seed)
    market.grow(40)
    for _ in range(30):
        market.apply(BidPlaced(order=market.bid()))
    print(clear(market.book, NOW))
"""


def cleared(seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONHASHSEED": seed},
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_two_processes_with_other_hash_seeds_clear_a_book_alike() -> None:
    first = cleared("1")
    assert first.count("Match(") > 20
    assert first == cleared("2")
