"""Who waits is woken by a change, until it leaves; the one thread ends when told."""

import threading
from types import SimpleNamespace

from ledger.chain.embedded.announcing import Announcer

TIMEOUT = 20.0


def test_everybody_who_waits_is_woken_until_it_leaves() -> None:
    chain = SimpleNamespace(changed=threading.Condition())
    announcer = Announcer(chain)  # type: ignore[arg-type]  # only the condition matters
    announcer.start()
    stays, leaves = threading.Event(), threading.Event()

    def change_until(woken: threading.Event) -> None:
        while not woken.wait(0.01):
            with chain.changed:
                chain.changed.notify_all()

    with announcer.waking(stays.set):
        with announcer.waking(leaves.set):
            change_until(leaves)
        stays.clear()
        leaves.clear()
        change_until(stays)
        assert not leaves.is_set()
    announcer.stop()
    stays.clear()
    with chain.changed:
        chain.changed.notify_all()
    assert not stays.is_set()


def test_one_that_never_began_can_be_stopped() -> None:
    Announcer(SimpleNamespace(changed=threading.Condition())).stop()  # type: ignore[arg-type]
