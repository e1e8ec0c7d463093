"""How far a long transfer is, told to whoever wants to show it; apart, so that showing imports no client."""

from typing import Protocol


class Progress(Protocol):
    """Told how far one thing is: a file in bytes, or what is counted one by one."""

    def __call__(self, name: str, done: int, total: int) -> None: ...


def no_progress(name: str, done: int, total: int) -> None:
    """For callers that show nothing."""
