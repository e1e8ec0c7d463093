"""Wakes whoever waits for news of the chain; one thread for all of them, and sealing never waits for any."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ledger.chain.embedded.chain import EmbeddedChain

Wake = Callable[[], None]


class Announcer:
    """Calls every registered `wake` after the chain or its pool changed; they must return at once."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        self._wakes: dict[int, Wake] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="announcing", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; nobody is woken any more."""
        with self._chain.changed:
            self._stopping = True
            self._chain.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def waking(self, wake: Wake) -> Iterator[None]:
        """Call `wake` at every change while the context lasts."""
        with self._chain.changed:
            self._wakes[id(wake)] = wake
        try:
            yield
        finally:
            with self._chain.changed:
                del self._wakes[id(wake)]

    def _run(self) -> None:
        with self._chain.changed:
            while not self._stopping:
                self._chain.changed.wait()
                for wake in self._wakes.values():
                    wake()
