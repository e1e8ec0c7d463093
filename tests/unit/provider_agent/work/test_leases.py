from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.market.errors import Broken
from ledger.market.identity import LeaseId
from provider_agent.lifecycle.instructions import Attach, Detach, Instruction, Warn
from provider_agent.lifecycle.lease_state import MS, LeaseState, Pace, Stage
from provider_agent.lifecycle.stimuli import HandedOver, LeaseSeen
from provider_agent.state_store import StateStore
from provider_agent.work.leases import Leases
from tests.factories import NOW, a_digest, a_job, some_terms

OLD, NEXT = LeaseId(a_digest("old")), LeaseId(a_digest("next"))
PACE = Pace(interval=10 * MS, grace=60 * MS)
RUNNING = LeaseState(
    id=OLD,
    terms=some_terms(),
    start=NOW,
    escrow=600,
    stage=Stage.RUNNING,
    since=NOW * MS,
    retry_at=NOW * MS,
    started_at=NOW * MS,
)
SEEN = LeaseSeen(at=(NOW + 9) * MS, id=NEXT, terms=some_terms(), start=NOW + 9, escrow=600, continues=OLD)


class Scene:
    def __init__(self, path: Path) -> None:
        self.store = StateStore(path)
        self.asked: list[tuple[LeaseId, Instruction]] = []
        self.store.save(RUNNING)
        self.store.keep_job(OLD, a_job(), ("nvidia.com/gpu=a",))
        self.leases = self.restarted()

    def restarted(self) -> Leases:
        """The leases as an agent finds them that was killed just now."""
        return Leases(self.store, PACE, lambda lease, one: self.asked.append((lease, one)))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "agent.db")
    yield scene
    scene.store.close()


def test_a_continued_lease_hands_container_job_and_devices_over(scene: Scene) -> None:
    scene.leases.feed(NEXT, SEEN, 7)
    scene.leases.feed(OLD, HandedOver(at=SEEN.at))
    assert [state.id for state in scene.leases] == [NEXT]
    assert scene.leases.known(NEXT).container == OLD
    assert (scene.store.job(NEXT), scene.store.devices(NEXT)) == (a_job(), ("nvidia.com/gpu=a",))
    assert (NEXT, Attach()) in scene.asked
    assert (OLD, Detach()) in scene.asked


def test_a_kill_between_the_two_loses_nothing_as_the_block_is_told_again(scene: Scene) -> None:
    scene.leases.feed(NEXT, SEEN, 7)
    adopted = scene.leases.known(NEXT)
    leases = scene.restarted()
    leases.feed(NEXT, replace(SEEN, at=SEEN.at + 1), 7)
    leases.feed(OLD, HandedOver(at=SEEN.at + 1))
    assert leases.known(NEXT) == adopted
    assert [state.id for state in scene.restarted()] == [NEXT]


def test_a_lease_that_was_never_seen_is_a_defect_to_name(scene: Scene) -> None:
    assert scene.leases.get(NEXT) is None
    with pytest.raises(Broken):
        scene.leases.known(NEXT)


def test_a_lease_yields_with_the_notice_that_its_own_document_names_also_after_a_kill(scene: Scene) -> None:
    scene.store.keep_job(OLD, a_job(notice=60), ())
    scene.leases.yields(OLD, SEEN.at)
    scene.leases.yields(OLD, SEEN.at + MS)
    assert scene.asked == [(OLD, Warn())]
    assert scene.restarted().known(OLD).yields_until == SEEN.at + 60 * MS


def test_a_lease_that_was_not_sold_as_interruptible_never_yields(scene: Scene) -> None:
    scene.leases.yields(OLD, SEEN.at)
    scene.leases.yields(NEXT, SEEN.at)
    assert scene.asked == []
    assert scene.leases.known(OLD) == RUNNING
