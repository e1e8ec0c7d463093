"""A job is followed past its end, until its last report was agreed to and its lease is closed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ledger.market.errors import MarketError, Rejected, Unavailable
from ledger.market.identity import BidId, Digest, LeaseId
from ledger.market.receipt import SignedReceipt, UsageReceipt
from node.buying.buyer import LogPiece
from node.buying.following import Observer, follow

JOB = BidId(b"\x0a" * 32)
LAST = SignedReceipt(
    receipt=UsageReceipt(lease=LeaseId(b"\x0b" * 32), milliseconds=5, evidence=Digest(bytes(32)), last=True),
    signature=bytes(64),
)


@dataclass(kw_only=True)
class Purse:
    """A buyer whose job has ended; its lease closes once the last report is agreed to."""

    signed: list[SignedReceipt] = field(default_factory=list)
    log_failures: int = 0
    offsets: list[int] = field(default_factory=list)
    now: float = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        time.sleep(0.005)

    def logs(self, job: BidId, *, follow: bool, offset: int) -> Iterator[LogPiece]:
        self.offsets.append(offset)
        if offset == 0:
            yield LogPiece(data=b"one", next_offset=3)
        if self.log_failures:
            self.log_failures -= 1
            raise Unavailable("node-unreachable", "The node is away.", "Wait.")

    def status(self, job: BidId) -> dict[str, Any]:
        lease = {"state": "closed" if self.signed else "active"}
        return {"state": "succeeded", "leases": [lease], "lease": "0x0b"}

    def wait(self, job: BidId) -> dict[str, Any]:
        return self.status(job)


@dataclass(kw_only=True)
class Pen:
    """Signs the last report, after refusing as often as it is told to."""

    purse: Purse
    refusals: int = 0

    def step(self, job: dict[str, Any]) -> list[SignedReceipt]:
        if self.refusals:
            self.refusals -= 1
            raise Rejected("report-refused", "Too much.", "Look.")
        if self.purse.signed:
            return []
        self.purse.signed.append(LAST)
        return [LAST]


@pytest.mark.parametrize("refusals", [0, 1])
def test_the_last_report_is_agreed_to_after_the_job_ended(refusals: int) -> None:
    purse, logged = Purse(), bytearray()
    told: list[str] = []
    receipts: list[SignedReceipt] = []
    problems: list[MarketError] = []
    observer = Observer(
        log=logged.extend,
        state=lambda job: told.append(job["state"]),
        receipt=receipts.append,
        problem=problems.append,
    )
    pen = Pen(purse=purse, refusals=refusals)
    ended = follow(purse, JOB, observer, pen)  # type: ignore[arg-type]  # doubles of what is asked
    assert ended["leases"][0]["state"] == "closed"
    assert (bytes(logged), told, receipts) == (b"one", ["succeeded"], [LAST])
    assert [error.code for error in problems] == ["report-refused"] * refusals


def test_a_log_goes_on_where_the_node_left_off() -> None:
    purse = Purse(signed=[LAST], log_failures=2)
    logged = bytearray()
    follow(purse, JOB, Observer(log=logged.extend))  # type: ignore[arg-type]  # a double
    assert bytes(logged) == b"one"
    assert purse.offsets == [0, 3, 3]


def test_a_lease_that_stays_open_is_left_after_a_minute() -> None:
    purse = Purse()
    ended = follow(purse, JOB, Observer())  # type: ignore[arg-type]  # a double
    assert ended["leases"][0]["state"] == "active"
    assert purse.now >= 60


def test_a_node_that_stays_away_is_said_so() -> None:
    purse = Purse(log_failures=10_000)
    with pytest.raises(Unavailable):
        follow(purse, JOB, Observer())  # type: ignore[arg-type]  # a double
