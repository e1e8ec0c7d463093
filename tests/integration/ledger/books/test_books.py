"""The books on a real file: one moment for readers, all or nothing for the writer, every fact once."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from ledger.books.books import Books, open_books
from ledger.books.projections.money import post
from ledger.books.tables import JobRecord
from ledger.market.delegation import Role
from ledger.market.errors import Broken, Rejected, Unavailable
from ledger.market.events import BidSkipped, EpochBumped, OfferCancelled
from ledger.market.facts import (
    AgentLost,
    BidWithdrawn,
    Fact,
    JobPhase,
    JobReported,
    OutputFile,
    PlanFailed,
    UsageReported,
)
from ledger.market.identity import BidId, LeaseId, OfferId
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import CANCELLED_BY_BUYER, JobState, LeaseState
from ledger.market.money import escrow_for
from ledger.market.outbox import IntentState
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from tests.books_url import tamper
from tests.factories import NOW, a_bid, a_digest, an_address
from tests.fakes.small_market import (
    BUYER,
    GENESIS,
    OFFER,
    PROVIDER,
    SmallMarket,
    accepted,
    bid_id,
    cosigned,
    job_id,
    lease_id,
    planned,
    used_for,
)

LEASE = lease_id("digits")


@pytest.fixture
def books(books_url: str) -> Iterator[Books]:
    with open_books(books_url) as opened:
        yield opened


@pytest.fixture
def market() -> SmallMarket:
    """A registered offer and a buyer with money, sealed in the first block."""
    market = SmallMarket()
    market.register()
    market.deposit(1_000_000)
    market.seal()
    return market


def record(books: Books, *facts: Fact) -> list[int]:
    with books.transaction() as unit:
        return [unit.record(fact) for fact in facts]


def opened(books: Books, market: SmallMarket, attempts: int = 1) -> int:
    """The job `digits` with an open lease; its escrow."""
    escrow = market.open("digits")
    record(books, market.blocks[0], accepted("digits", attempts), planned("digits"), market.seal())
    return escrow


def reported(phase: JobPhase, at: int = NOW, **words: str) -> JobReported:
    files = (OutputFile(path="accuracy.txt", sha256="ab" * 32, size=5),) if phase.final else ()
    return JobReported(
        lease=LEASE,
        phase=phase,
        exit_code=0 if phase is JobPhase.SUCCEEDED else None,
        code=words.get("code", ""),
        cause=words.get("cause", ""),
        outputs=files,
        at=at,
    )


def state_of(books: Books) -> JobState:
    row = books.queries.job(job_id("digits"))
    assert row is not None
    return row.state


def test_a_job_is_seen_through_from_order_to_settlement(books: Books, market: SmallMarket) -> None:
    seen = []
    record(books, market.blocks[0], accepted("digits"))
    seen.append(state_of(books))
    record(books, planned("digits"))
    seen.append(state_of(books))
    escrow = market.open("digits")
    record(books, market.seal())
    seen.append(state_of(books))
    record(books, reported(JobPhase.RUNNING), used_for("digits", 90_000), cosigned("digits", 90_000))
    seen.append(state_of(books))
    paid = market.settle(LEASE, 90_000)
    market.close(LEASE)
    record(books, reported(JobPhase.SUCCEEDED), market.seal())
    seen.append(state_of(books))
    assert seen == [
        JobState.RESTING,
        JobState.OPENING,
        JobState.STARTING,
        JobState.RUNNING,
        JobState.SUCCEEDED,
    ]
    job, lease = books.queries.job(job_id("digits")), books.queries.lease(LEASE)
    assert job is not None
    assert lease is not None
    assert (job.exit_code, [file.path for file in job.outputs]) == (0, ["accuracy.txt"])
    assert (lease.state, lease.escrow, lease.paid, lease.refunded) == (
        LeaseState.CLOSED,
        escrow,
        paid,
        escrow - paid,
    )
    assert lease.because is ClosedBecause.LAST_RECEIPT
    assert (lease.usage, lease.receipt) == (used_for("digits", 90_000), cosigned("digits", 90_000).signed)
    assert lease.signed == accepted("digits").attempts[0]
    assert lease.transactions.opened is not None
    assert len(lease.transactions.settled) == 1
    assert books.queries.balances() == market.state().balances
    assert books.queries.balance(PROVIDER) == paid


def test_every_fact_twice_changes_nothing(books: Books, market: SmallMarket) -> None:
    facts: list[Fact] = [
        market.blocks[0],
        accepted("digits"),
        planned("digits"),
        (market.open("digits"), market.seal())[1],
        reported(JobPhase.RUNNING),
        used_for("digits", 10),
        cosigned("digits", 10),
        AgentLost(lease=LEASE, provider=PROVIDER, at=NOW),
        BidWithdrawn(job=job_id("digits"), code=CANCELLED_BY_BUYER, cause="", at=NOW),
    ]
    first = record(books, *facts)
    before = (books.queries.jobs(), books.queries.leases(), books.queries.balances(), books.queries.events())
    assert [record(books, fact)[0] for fact in facts] == first
    after = (books.queries.jobs(), books.queries.leases(), books.queries.balances(), books.queries.events())
    assert after == before
    assert [seq for seq, _ in books.queries.facts()] == first


def test_the_same_words_of_an_agent_an_hour_later_are_no_new_fact(books: Books, market: SmallMarket) -> None:
    opened(books, market)
    first = record(books, reported(JobPhase.RUNNING, at=NOW))
    assert record(books, reported(JobPhase.RUNNING, at=NOW + 3_600)) == first
    assert record(books, reported(JobPhase.SUCCEEDED)) > first


def test_nothing_of_a_unit_that_fails_is_kept(books: Books) -> None:
    def fail_late() -> None:
        with books.transaction() as unit:
            unit.record(accepted("digits"))
            unit.wish("open", planned("digits").wish, NOW)
            unit.keep_document(a_digest("document"), b"{}")
            unit.save_cursor(GENESIS, (GENESIS,))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_late()
    assert books.queries.jobs() == []
    assert books.queries.intent("open") is None
    assert books.queries.document(a_digest("document")) is None
    assert books.queries.cursor() is None


def test_a_unit_reads_its_own_writes_and_others_do_not_until_it_is_done(books: Books) -> None:
    with books.transaction() as unit:
        unit.record(accepted("digits"))
        assert len(unit.queries.jobs()) == 1
        assert books.queries.jobs() == []
    assert len(books.queries.jobs()) == 1


def test_a_unit_inside_a_unit_of_the_same_thread_is_refused_rather_than_waiting_forever(books: Books) -> None:
    with books.transaction(), pytest.raises(Broken) as refused, books.transaction():
        pass
    assert refused.value.code == "nested-transaction"


def test_writers_of_many_threads_queue(books: Books) -> None:
    def write(number: int) -> None:
        record(books, accepted(f"job {number}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(books.queries.jobs()) == 8


def test_documents_wishes_and_the_cursor_come_back(books: Books, market: SmallMarket) -> None:
    head = market.head()
    with books.transaction() as unit:
        unit.keep_document(a_digest("document"), b'{"a":1}')
        unit.keep_document(a_digest("document"), b'{"a":1}')
        first = unit.wish("open", planned("digits").wish, NOW)
        assert unit.wish("open", planned("digits").wish, NOW + 9) == first
        assert unit.wish("again", planned("digits").wish, NOW) != first
        unit.save_cursor(GENESIS, (GENESIS,))
        unit.save_cursor(head, (GENESIS, head))
    assert books.queries.document(a_digest("document")) == b'{"a":1}'
    row = books.queries.intent("open")
    assert row is not None
    assert (row.id, row.instruction, row.state) == (first, planned("digits").wish, IntentState.PENDING)
    assert books.queries.cursor() == (head, (GENESIS, head))


@pytest.mark.parametrize("statement", ["UPDATE journal SET at = 0", "DELETE FROM journal"])
def test_the_journal_cannot_be_changed_or_shortened(books: Books, books_url: str, statement: str) -> None:
    record(books, accepted("digits"))
    with pytest.raises(DBAPIError, match="append-only"):
        tamper(books_url, statement)


def test_unopened_orders_are_reserved_at_their_limits(books: Books, market: SmallMarket) -> None:
    bid = a_bid()
    at_limit = escrow_for(bid.limit_rate, bid.duration)
    record(books, market.blocks[0], accepted("digits"), accepted("other"))
    assert books.queries.reserved(BUYER) == 2 * at_limit
    record(books, planned("digits"))
    assert books.queries.reserved(BUYER) == 2 * at_limit
    market.open("digits")
    record(books, market.seal())
    assert books.queries.reserved(BUYER) == at_limit
    record(books, BidWithdrawn(job=job_id("other"), code=CANCELLED_BY_BUYER, cause="", at=NOW))
    assert books.queries.reserved(BUYER) == 0
    assert books.queries.reserved(PROVIDER) == 0


def test_planned_capacity_is_counted_beside_what_the_chain_uses(books: Books, market: SmallMarket) -> None:
    want, nothing = a_bid().want, Quantities()
    record(books, market.blocks[0], accepted("digits"), planned("digits"))
    usage = books.queries.live_usage()[OFFER]
    assert (usage.used, usage.planned) == (nothing, want)
    market.open("digits")
    record(books, market.seal())
    usage = books.queries.live_usage()[OFFER]
    assert (usage.used, usage.planned) == (want, nothing)
    market.close(LEASE, ClosedBecause.RELEASED)
    record(books, market.seal())
    usage = books.queries.live_usage()[OFFER]
    assert (usage.used, usage.planned) == (nothing, nothing)


def test_a_skipped_match_returns_the_order_and_the_same_lease_can_be_planned_again(
    books: Books, market: SmallMarket
) -> None:
    failed = PlanFailed(job=job_id("digits"), lease=LEASE, reason=SkipReason.CAPACITY, at=NOW)
    record(books, market.blocks[0], accepted("digits"), planned("digits"))
    first = record(books, failed)
    assert record(books, failed) == first
    assert [row.state for row in books.queries.leases()] == [LeaseState.SKIPPED]
    assert [row.job for row in books.queries.resting()] == [job_id("digits")]
    assert record(books, planned("digits", at=NOW + 1)) > first
    assert state_of(books) is JobState.OPENING
    assert record(books, failed) > first


def test_a_refused_job_rests_again_without_the_provider(books: Books, market: SmallMarket) -> None:
    opened(books, market, attempts=2)
    market.close(LEASE, ClosedBecause.RELEASED)
    refusal = reported(JobPhase.REFUSED, code="no-image", cause="The image is missing.")
    record(books, refusal, market.seal())
    (row,) = books.queries.resting()
    assert (row.next_attempt, row.excluded, row.code) == (1, frozenset([PROVIDER]), "no-image")
    record(books, planned("digits", attempt=1))
    assert state_of(books) is JobState.OPENING
    assert books.queries.job_of_bid(bid_id("digits", 1)) == job_id("digits")


def test_a_terminated_and_closed_lease_makes_its_job_cancelled(books: Books, market: SmallMarket) -> None:
    opened(books, market)
    market.terminate(LEASE, 30)
    record(books, reported(JobPhase.RUNNING), market.seal())
    assert state_of(books) is JobState.SETTLING
    market.settle(LEASE, 30_000)
    market.close(LEASE)
    record(books, market.seal(), reported(JobPhase.FAILED))
    assert state_of(books) is JobState.CANCELLED


def test_a_reorganisation_takes_back_money_leases_offers_and_epochs(
    books: Books, market: SmallMarket
) -> None:
    opened(books, market)
    before = (books.queries.balances(), books.queries.leases(), books.queries.offers(), state_of(books))
    market.settle(LEASE, 60_000)
    market.close(LEASE)
    market.log(OfferCancelled(id=OFFER, provider=PROVIDER), EpochBumped(account=PROVIDER, epoch=1))
    block = market.seal()
    record(books, block)
    assert books.queries.offers(usable=True) == []
    assert books.queries.epoch_of(PROVIDER) == 1
    rewound = market.rewind(1)
    first = record(books, rewound)
    after = (books.queries.balances(), books.queries.leases(), books.queries.offers(), state_of(books))
    assert after == (before[0] | {PROVIDER: 0}, *before[1:])
    assert books.queries.epoch_of(PROVIDER) == 0
    assert [row.rewound for row in books.queries.events()][-4:] == [True] * 4
    assert record(books, rewound) == first
    assert record(books, block) > first, "a block that comes back counts again"
    assert books.queries.epoch_of(PROVIDER) == 1


def test_a_reorganised_opening_makes_a_planned_lease_planned_again(books: Books, market: SmallMarket) -> None:
    opened(books, market)
    record(books, market.rewind(1))
    assert state_of(books) is JobState.OPENING
    assert books.queries.live_usage()[OFFER].planned == a_bid().want
    market.open("digits")
    record(books, market.seal())
    assert state_of(books) is JobState.STARTING


def test_a_lease_that_nobody_here_planned_is_known_while_its_block_lives(
    books: Books, market: SmallMarket
) -> None:
    market.open("foreign")
    record(books, market.blocks[0], market.seal())
    assert [(row.state, row.job) for row in books.queries.leases()] == [(LeaseState.ACTIVE, None)]
    record(books, market.rewind(1))
    assert books.queries.leases() == []


def test_a_lease_opened_by_somebody_else_with_our_bid_belongs_to_the_job(
    books: Books, market: SmallMarket
) -> None:
    market.open("digits")
    record(books, market.blocks[0], accepted("digits"), market.seal())
    assert state_of(books) is JobState.STARTING


def test_an_event_that_contradicts_the_books_is_broken(
    books: Books, market: SmallMarket, tmp_path: Path
) -> None:
    opened(books, market)
    market.settle(LEASE, 1_000)
    orphan = market.seal()
    stranger = open_books(str(tmp_path / "stranger.db"))
    with stranger, pytest.raises(Broken) as refused:
        record(stranger, orphan)
    assert refused.value.code in ("unknown-lease", "negative-balance")


@pytest.mark.parametrize(
    "fact",
    [
        used_for("nobody", 1),
        cosigned("nobody", 1),
        AgentLost(lease=LeaseId(a_digest("nobody")), provider=PROVIDER, at=NOW),
        BidWithdrawn(job=BidId(a_digest("nobody")), code="cancelled", cause="", at=NOW),
    ],
)
def test_a_fact_about_what_nobody_knows_is_rejected_and_not_journalled(books: Books, fact: Fact) -> None:
    with pytest.raises(Rejected):
        record(books, fact)
    assert list(books.queries.facts()) == []


def test_a_bid_that_belongs_to_another_order_is_rejected(books: Books) -> None:
    record(books, accepted("digits"))
    stolen = accepted("other")
    changed = type(stolen)(
        job=stolen.job,
        document=stolen.document,
        attempts=stolen.attempts,
        attempt_ids=(bid_id("digits", 0),),
        accepted_at=NOW,
        wait_until=NOW,
    )
    with pytest.raises(Rejected) as refused:
        record(books, changed)
    assert refused.value.code == "bid-known"


def test_amounts_beyond_64_bits_stay_exact(books: Books, market: SmallMarket) -> None:
    market.deposit((1 << 88) - 1_000_001)
    record(books, market.blocks[0], market.seal())
    assert books.queries.balance(BUYER) == (1 << 88) - 1


def test_times_beyond_32_bits_stay_exact(books: Books, market: SmallMarket) -> None:
    latest = (1 << 40) - 1
    market.delegate(an_address("laptop"), Role.SPEND, 1 << 100, until=latest)
    record(books, market.blocks[0], market.seal())
    (known,) = books.queries.delegations(BUYER)
    assert (known.until, known.allowance) == (latest, 1 << 100)


def test_what_an_agent_writes_may_hold_any_character(books: Books, market: SmallMarket) -> None:
    opened(books, market)
    report = reported(JobPhase.FAILED, code="odd", cause="null \0 and 灯")
    record(books, report)
    row = books.queries.lease(LEASE)
    assert row is not None
    assert row.cause == "null \N{REPLACEMENT CHARACTER} and 灯"
    assert [fact for _, fact in books.queries.facts()][-1] == report, "the journal keeps what was said"


def test_a_reader_sees_one_moment_however_long_it_reads(books: Books) -> None:
    record(books, accepted("before"))
    with books.reading() as session:
        query = select(JobRecord.job)
        seen = session.exec(query).all()
        record(books, accepted("meanwhile"))
        assert session.exec(query).all() == seen == [job_id("before")]
    assert len(books.queries.jobs()) == 2


def test_skips_are_listed_for_explorers(books: Books, market: SmallMarket) -> None:
    market.log(BidSkipped(bid=bid_id("digits", 0), reason=SkipReason.FUNDS))
    record(books, market.blocks[0], market.seal())
    assert [row.name for row in books.queries.events()] == ["OfferRegistered", "Deposited", "BidSkipped"]
    assert [row.name for row in books.queries.events(after=2)] == ["BidSkipped"]
    assert books.queries.offer(OfferId(a_digest("nothing"))) is None


def test_a_database_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(Unavailable) as refused:
        open_books("mysql://somewhere/books")
    assert refused.value.code == "unknown-database"


def test_a_file_that_is_no_database_is_broken(tmp_path: Path) -> None:
    (tmp_path / "node.db").write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(Broken) as refused:
        open_books(str(tmp_path / "node.db"))
    assert refused.value.code == "books-damaged"


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as refused:
        open_books(str(tmp_path / "file" / "node.db"))
    assert refused.value.code == "books-unavailable"


def a_line_of_usage(sequence: int | None, milliseconds: int = 1_000, *, last: bool = False) -> UsageReported:
    fact = used_for("digits", milliseconds, last=last)
    return replace(fact, sequence=sequence, evidence=a_digest(f"root {sequence} {milliseconds}"))


@pytest.fixture
def leased(books: Books, market: SmallMarket) -> LeaseId:
    """A lease that is open."""
    opened(books, market)
    return LEASE


def test_usage_lines_are_read_in_their_order_and_each_is_kept_once(books: Books, leased: LeaseId) -> None:
    lines = [a_line_of_usage(0), a_line_of_usage(1), a_line_of_usage(2, 2_000)]
    record(books, *lines, lines[0], lines[2])
    queries = books.queries
    assert queries.usage_lines(leased) == lines
    assert queries.usage_lines(leased, 1, 1) == lines[1:2]
    assert queries.usage_lines(leased, 3) == []
    assert queries.is_evidence(leased, lines[1].evidence)
    assert not queries.is_evidence(leased, a_digest("other"))


def test_a_lease_shows_its_newest_line_also_where_it_says_no_more(books: Books, leased: LeaseId) -> None:
    record(books, a_line_of_usage(0, 3_000), a_line_of_usage(1, 3_000), a_line_of_usage(2, 2_000, last=True))
    row = books.queries.lease(leased)
    assert row is not None
    assert row.usage == a_line_of_usage(2, 2_000, last=True)


def test_what_an_earlier_release_reported_is_no_line(books: Books, leased: LeaseId) -> None:
    record(books, a_line_of_usage(None, 3_000), a_line_of_usage(None, 2_000), a_line_of_usage(0, 4_000))
    assert books.queries.usage_lines(leased) == [a_line_of_usage(0, 4_000)]
    assert len(books.queries.usage(leased)) == 3
    assert books.queries.is_evidence(leased, a_line_of_usage(None, 3_000).evidence)


def test_of_two_receipts_for_the_same_time_the_later_counts(books: Books, leased: LeaseId) -> None:
    first, second = cosigned("digits", 1_000), cosigned("digits", 1_000)
    receipt = replace(second.signed.receipt, evidence=a_digest("more lines"))
    second = replace(second, signed=replace(second.signed, receipt=receipt))
    record(books, first, second, second)
    row = books.queries.lease(leased)
    assert row is not None
    assert row.receipt == second.signed


def test_payments_are_read_with_their_roots_until_they_are_rewound(
    books: Books, market: SmallMarket, leased: LeaseId
) -> None:
    market.settle(leased, 1_000)
    record(books, market.seal())
    (settled,) = books.queries.settlements(leased)
    assert settled.name == "UsageSettled"
    record(books, market.rewind(1))
    assert books.queries.settlements(leased) == []


def test_a_transfer_that_the_disk_refuses_is_no_fault_of_the_events(tmp_path: Path) -> None:
    market = SmallMarket()
    market.deposit(1)
    (deposit,) = market.seal().events
    with open_books(str(tmp_path / "node.db")) as books:
        with pytest.raises(Unavailable) as refused, books._writing() as session:  # noqa: PT012 - one unit
            session.connection().exec_driver_sql("PRAGMA query_only = ON")
            post(session, deposit)
        assert refused.value.code == "books-unavailable"
