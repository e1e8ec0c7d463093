"""After the last transaction the chain shows a few more blocks, and then rests."""

import time
from collections.abc import Callable
from typing import Any

from eth_account import Account

from ledger.chain.embedded.sealing import SealPolicy

Serving = Callable[..., Any]
ANA = Account.from_key(b"\x21" * 32)
FINALITY = 2


def mined(grid: Any) -> int:
    key = grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, 1))
    receipt = grid.web3.eth.wait_for_transaction_receipt(key, timeout=20, poll_latency=0.01)
    return int(receipt.blockNumber)


def head_when(grid: Any, holds: Callable[[int], bool]) -> int:
    deadline = time.monotonic() + 20
    while not holds(head := int(grid.web3.eth.block_number)):
        assert time.monotonic() < deadline, head
        time.sleep(0.02)
    return head


def rested(grid: Any) -> int:
    """The head once none came for ten times the longest pause."""
    head, since = -1, time.monotonic()
    deadline = since + 30
    while time.monotonic() < since + 1.0:
        assert time.monotonic() < deadline
        if (now := int(grid.web3.eth.block_number)) != head:
            head, since = now, time.monotonic()
        time.sleep(0.05)
    return head


def test_a_client_that_looks_late_still_sees_a_block_come(serving: Serving) -> None:
    grid = serving(seal=SealPolicy(seconds=0.0, confirm_seconds=0.02, linger_pause=0.1))
    final = mined(grid) + FINALITY
    late = head_when(grid, lambda head: head > final)
    assert head_when(grid, lambda head: head > late) > late


def test_then_the_chain_rests(serving: Serving) -> None:
    grid = serving(seal=SealPolicy(seconds=0.0, confirm_seconds=0.02, linger_pause=0.1, linger_seconds=0.5))
    last = mined(grid)
    assert last + FINALITY <= rested(grid) <= last + FINALITY + 6


def test_a_chain_that_does_not_linger_stops_where_the_last_transaction_is_final(serving: Serving) -> None:
    grid = serving(seal=SealPolicy(seconds=0.0, confirm_seconds=0.02, linger_seconds=0.0))
    last = mined(grid)
    assert rested(grid) == last + FINALITY
