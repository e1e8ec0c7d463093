"""Strict reading of plain JSON values: the one place where an unknown key or a wrong type is refused.

Documents are signed by hash, so a key that is silently ignored would be a promise nobody keeps; the
nearest known key is named in the remedy.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ledger.market.errors import Rejected


class Reader:
    """Reads one mapping key by key; `done` refuses whatever was not asked for."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise Rejected("malformed-document", f"{where} is not a mapping.", "Give keys and values.")
        self._value: Mapping[str, Any] = value
        self._where = where
        self._known: list[str] = []

    def get(self, key: str, kind: type, default: object = None) -> Any:  # noqa: ANN401 - typed by `kind` at run time
        """The value under `key`, of exactly `kind`; without a default the key is required."""
        self._known.append(key)
        if key not in self._value:
            if default is None:
                raise Rejected(
                    "missing-key",
                    f"{self._where} lacks {key!r}.",
                    f"Add {key}.",
                    key=f"{self._where}.{key}",
                )
            return default
        value = self._value[key]
        if type(value) is not kind:
            raise Rejected(
                "wrong-type",
                f"{self._where}.{key} is {type(value).__name__}, not {kind.__name__}.",
                f"Give {key} as {kind.__name__}.",
                key=f"{self._where}.{key}",
            )
        return value

    def maybe(self, key: str, kind: type) -> Any:  # noqa: ANN401 - typed by `kind` at run time
        """The value under `key`, or None where it is absent or null."""
        if self._value.get(key) is None:
            self._known.append(key)
            return None
        return self.get(key, kind)

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """A list of texts under `key`."""
        values = self.get(key, list, None if required else [])
        if not all(type(value) is str for value in values):
            raise Rejected(
                "wrong-type",
                f"{self._where}.{key} holds something other than text.",
                f"Give {key} as a list of texts.",
                key=f"{self._where}.{key}",
            )
        return tuple(values)

    def done(self) -> None:
        """Refuse keys that nothing read."""
        for key in self._value:
            if key not in self._known:
                near = get_close_matches(str(key), self._known, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(self._known)}."
                raise Rejected(
                    "unknown-key", f"{self._where} has an unknown key {key!r}.", hint, key=str(key)
                )
