"""A book is cleared alike by every process, whatever its hashes are seeded with."""

from tests.fakes.hash_seeds import printed_by_two

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


def test_two_processes_with_other_hash_seeds_clear_a_book_alike() -> None:
    first, second = printed_by_two("-c", SCRIPT)
    assert first.count("Match(") > 20
    assert first == second
