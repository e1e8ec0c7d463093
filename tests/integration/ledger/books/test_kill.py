"""Kill -9 of a writing process: what it acknowledged is there, and nothing is there by half."""

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.books.books import open_books
from tests.fakes.small_market import accepted, job_id, planned

ROOT = Path(__file__).parents[4]
WRITER = """
import sys
from ledger.books.books import open_books
from tests.fakes.small_market import accepted, planned
from tests.factories import NOW

books = open_books(sys.argv[1])
number = 0
while True:
    with books.transaction() as unit:
        unit.record(accepted(str(number)))
        unit.record(planned(str(number)))
        unit.wish(f"open {number}", planned(str(number)).wish, NOW)
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("acknowledged", [1, 5, 23])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(books_url: str, acknowledged: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, books_url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        seen = [int(writer.stdout.readline()) for _ in range(acknowledged)]
        writer.kill()
        seen += [int(line) for line in writer.stdout.read().split()]
    with open_books(books_url) as books:
        assert books.leads(), "the server may still have been busy with the last write"
        jobs = [row.job for row in books.queries.jobs()]
        assert jobs[: len(seen)] == [job_id(str(number)) for number in seen]
        assert len(jobs) <= len(seen) + 1
        assert len(books.queries.leases()) == len(jobs)
        assert [books.queries.intent(f"open {number}") is not None for number in range(len(jobs))]
        assert len(list(books.queries.facts())) == 2 * len(jobs)
        with books.transaction() as unit:
            assert unit.record(accepted("0")) == 1
            assert unit.record(planned("0")) == 2
