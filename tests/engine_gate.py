"""A door between an agent and its Docker engine that a test can hold shut at the moment of a start.

No failpoint in the agent could show what a kill leaves behind at that moment: here the agent and the
engine are the real ones, and the test stands on the wire between them. It holds either the request (the
container is created and not started) or the answer (it is started, and its agent does not know).
"""

import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

_START = re.compile(rb"POST \S*/containers/[^/\s]+/start(\?\S*)? HTTP")
_CHUNK = 1 << 16
_BACKLOG = 64


class EngineGate:
    """Forwards a unix socket to another; `hold_request` and `hold_answer` are about starts alone."""

    def __init__(self, path: Path, engine: str) -> None:
        self.url = f"unix://{path}"
        self.held = threading.Event()
        self._engine = engine.removeprefix("unix://")
        self._open = threading.Event()
        self._open.set()
        self._holds = "request"
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(_BACKLOG)
        self._begin(self._accept)

    def hold_request(self) -> None:
        """From now on no start reaches the engine; `held` is set when one tries to."""
        self._holds = "request"
        self._open.clear()

    def hold_answer(self) -> None:
        """From now on starts are carried out and not answered; `held` is set when one is."""
        self._holds = "answer"
        self._open.clear()

    def open(self) -> None:
        """Let everything pass; a start whose agent is dead by now is lost, as its connection is."""
        self._open.set()

    def close(self) -> None:
        """End every connection."""
        self._ended.set()
        self._open.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _begin(self, run: object, *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)  # type: ignore[arg-type]  # any callable
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if select.select([self._listener], [], [], 0.1)[0]:
                agent, _ = self._listener.accept()
                self._begin(self._forward, agent)

    def _forward(self, agent: socket.socket) -> None:
        engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with closing(agent), closing(engine), suppress(OSError):
            engine.connect(self._engine)
            starting = False
            while not self._ended.is_set():
                for ready in select.select([agent, engine], [], [], 0.1)[0]:
                    data = ready.recv(_CHUNK)
                    if not data:
                        return
                    if ready is agent:
                        starting = _START.match(data) is not None
                        self._hold("request", starting, agent)
                        engine.sendall(data)
                    else:
                        self._hold("answer", starting, agent)
                        agent.sendall(data)

    def _hold(self, what: str, starting: bool, agent: socket.socket) -> None:
        """Wait until opened; `OSError` where the agent is dead then."""
        if not starting or self._holds != what or self._open.is_set():
            return
        self.held.set()
        self._open.wait()
        if select.select([agent], [], [], 0)[0] and not agent.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError


@contextmanager
def engine_gate(path: Path, engine: str) -> Iterator[EngineGate]:
    """A gate at the unix socket `path` (below 108 bytes) before the engine at that URL."""
    gate = EngineGate(path, engine)
    try:
        yield gate
    finally:
        gate.close()
