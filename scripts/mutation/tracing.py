"""A pytest plugin that notes every step which the tests take on the in-process EVM.

python -m pytest -p scripts.mutation.tracing --evm-trace FILE tests/integration/contracts
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boa
import pytest
from boa.environment import Env

from scripts.mutation.trace import Called, Created, Outcome, Setting, Span, Stored


class TracingEnv(Env):  # type: ignore[misc]  # boa is untyped
    """An environment that notes what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Span()
        self._open = [self.root]

    @contextmanager
    def anchor(self) -> Iterator[None]:
        span = Span()
        self._open[-1].items.append(span)
        self._open.append(span)
        try:
            with super().anchor():
                yield
        finally:
            self._open.pop()

    def deploy(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - boa's own signature
        setting = setting_of(self)
        address, computation = super().deploy(*args, **kwargs)
        self._open[-1].items.append(
            Created(
                setting=setting,
                sender=str(self._get_sender(kwargs.get("sender"))),
                code=kwargs["bytecode"],
                address=str(address),
                outcome=outcome_of(computation),
            )
        )
        return address, computation

    def execute_code(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - boa's own signature
        setting = setting_of(self)
        computation = super().execute_code(*args, **kwargs)
        named = dict(zip(("to_address", "sender", "gas", "value", "data"), args, strict=False)) | kwargs
        self._open[-1].items.append(
            Called(
                setting=setting,
                sender=str(self._get_sender(named.get("sender"))),
                to=str(named["to_address"]),
                data=bytes(named.get("data", b"")),
                value=int(named.get("value", 0)),
                modifies=bool(named.get("is_modifying", True)) and not named.get("simulate", False),
                outcome=outcome_of(computation),
            )
        )
        return computation

    def set_storage(self, address: Any, slot: int, value: int) -> None:  # noqa: ANN401 - boa's own signature
        super().set_storage(address, slot, value)
        self._open[-1].items.append(Stored(address=str(address), slot=slot, value=value))


def setting_of(env: Env) -> Setting:
    """The block that the next step runs in."""
    patch = env.evm.patch
    return Setting(timestamp=patch.timestamp, number=patch.block_number, chain_id=patch.chain_id)


def outcome_of(computation: Any) -> Outcome:  # noqa: ANN401 - py-evm's computation
    """What a computation answered."""
    logs = () if computation.is_error else computation.get_log_entries()
    return Outcome(
        failed=bool(computation.is_error),
        output=bytes(computation.output),
        logs=tuple((bytes(address), tuple(topics), bytes(data)) for address, topics, data in logs),
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--evm-trace", type=Path, help="Where the tests' steps on the EVM are written.")


def pytest_configure(config: pytest.Config) -> None:
    boa.set_env(TracingEnv())


def pytest_sessionfinish(session: pytest.Session) -> None:
    env = boa.env
    with session.config.getoption("--evm-trace").open("wb") as file:
        pickle.dump(getattr(env, "root"), file)  # noqa: B009 - `boa.env` is typed as any environment
