"""One writer of several openings of the same books, and what becomes of it when its connection is lost."""

import threading

import pytest

from ledger.books.books import Books, open_books
from ledger.market.errors import LostRace, Unavailable
from tests.books_url import TAKE_ITS_CONNECTION, database_of, tamper
from tests.fakes.small_market import accepted, job_id

TAKE_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND datname = '{database}'"
)


def write(books: Books, name: str) -> int:
    with books.transaction() as unit:
        return unit.record(accepted(name))


def cut_off_the_writer(url: str) -> None:
    assert tamper(url, TAKE_ITS_CONNECTION.format(database=database_of(url))) == 1


def test_the_first_that_asks_leads_and_the_next_does_once_it_is_gone(postgresql_url: str) -> None:
    first, second = open_books(postgresql_url), open_books(postgresql_url)
    with second:
        with first:
            assert (first.lead(), second.lead()) == (True, False)
            assert (first.leads(), second.leads()) == (True, False)
            with pytest.raises(LostRace) as refused:
                write(second, "a")
            assert refused.value.code == "another-writer"
            write(first, "a")
        assert second.lead()
        assert write(second, "b") == 2


def test_a_reader_sees_what_the_writer_committed(postgresql_url: str) -> None:
    with open_books(postgresql_url) as writer, open_books(postgresql_url) as reader:
        with writer.transaction() as unit:
            unit.record(accepted("a"))
            assert reader.queries.jobs() == []
        assert [row.job for row in reader.queries.jobs()] == [job_id("a")]


def test_a_writer_waits_for_the_end_of_the_one_before_it(postgresql_url: str) -> None:
    before = open_books(postgresql_url)
    write(before, "a")
    with open_books(postgresql_url) as after:
        threading.Timer(0.2, before.close).start()
        assert write(after, "b") == 2


def test_a_writer_that_lost_its_connection_cannot_write_again(postgresql_url: str) -> None:
    with open_books(postgresql_url) as books:
        write(books, "a")
        cut_off_the_writer(postgresql_url)
        with pytest.raises(Unavailable):
            write(books, "b")
        assert not books.leads()
        with pytest.raises(Unavailable) as deposed:
            write(books, "b")
        assert deposed.value.code == "writer-deposed"
        assert [row.job for row in books.queries.jobs()] == [job_id("a")]
        with open_books(postgresql_url) as again:
            assert write(again, "b") == 2


def test_a_unit_of_work_whose_connection_is_lost_leaves_nothing(postgresql_url: str) -> None:
    with open_books(postgresql_url) as books:
        write(books, "a")
        with pytest.raises(Unavailable), books.transaction() as unit:  # noqa: PT012 - one unit of work
            unit.record(accepted("b"))
            cut_off_the_writer(postgresql_url)
            unit.record(accepted("c"))
        with open_books(postgresql_url) as successor:
            assert successor.leads()
            assert [row.job for row in successor.queries.jobs()] == [job_id("a")]


def test_readers_go_on_where_the_server_cut_their_connections(postgresql_url: str) -> None:
    with open_books(postgresql_url) as books:
        write(books, "a")
        assert tamper(postgresql_url, TAKE_ALL.format(database=database_of(postgresql_url))) >= 1
        assert len(books.queries.jobs()) == 1


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable) as refused:
        open_books("postgresql://postgres:secret@/books?host=/nowhere")
    assert refused.value.code == "books-unavailable"
    assert "secret" not in str(refused.value)


def test_books_in_a_file_are_always_led_by_who_opened_them(tmp_path: object) -> None:
    with open_books(f"{tmp_path}/books.sqlite3") as books:
        assert books.lead()
        assert books.leads()
