"""The one door to a Docker engine's API, so that an engine may die and its errors speak our words.

docker-py asks the engine for its version when a client is made; the client is therefore made at first
use, and made again after a failure: an agent outlives the engine that it talks to.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests.exceptions
import urllib3.exceptions
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from ledger.market.errors import LostRace, MarketError, Rejected, Unavailable

_UNIX = "unix://"
_DEFAULT_URL = "unix:///var/run/docker.sock"
_TIMEOUT_S = 60
_CONFLICT = 409
_NOT_FOUND = 404
_CLIENT_ERRORS = range(400, 500)
_NO_CONNECTION = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    DockerException,
    OSError,
)


class Engine:
    """A Docker engine at `url` (`unix:///…`, `tcp://…`), or where Docker's environment says (None)."""

    def __init__(self, url: str | None = None) -> None:
        self.url = url or os.environ.get("DOCKER_HOST") or _DEFAULT_URL
        self._client: docker.APIClient | None = None
        self._lock = threading.Lock()

    @contextmanager
    def api(self, about: str) -> Iterator[docker.APIClient]:
        """Lend the client for calls about a thing, and translate what goes wrong.

        `Rejected` for a 4xx (`<about>-not-found` for 404), `LostRace` for a 409, `Unavailable` otherwise.
        """
        try:
            yield self._connected()
        except MarketError:
            raise
        except APIError as exc:
            raise _translated(exc, about) from exc
        except _NO_CONNECTION as exc:
            self.close()
            raise Unavailable(
                "engine-unreachable",
                f"The Docker engine at {self.url} does not answer.",
                "Start it (scripts/engine start) or correct its URL.",
                error=str(exc),
            ) from exc

    def close(self) -> None:
        """Give the connections back; the next call connects anew."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> docker.APIClient:
        self._knock()
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _knock(self) -> None:
        """Connect once: docker-py would leave the socket of a refused connection open."""
        if self.url.startswith(_UNIX):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
                knock.settimeout(_TIMEOUT_S)
                knock.connect(self.url.removeprefix(_UNIX))

    def _connect(self) -> docker.APIClient:
        settings = kwargs_from_env() | {"base_url": self.url}
        return docker.APIClient(version="auto", timeout=_TIMEOUT_S, **settings)


def _translated(exc: APIError, about: str) -> MarketError:
    status = int(exc.status_code or 500)
    cause = f"The Docker engine answered: {exc.explanation or exc}".rstrip(".") + "."
    if status == _NOT_FOUND:
        return Rejected(f"{about}-not-found", cause, f"Check that the {about} exists.")
    if status == _CONFLICT:
        return LostRace(f"{about}-conflict", cause, "Look again; somebody else was first.")
    if status in _CLIENT_ERRORS:
        return Rejected(f"{about}-refused", cause, "Correct what was asked for.")
    return Unavailable("engine-failed", cause, "Try again; if it stays, read the engine's log.")
