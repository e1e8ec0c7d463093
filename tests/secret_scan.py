"""No key and no password in a log: at the end of a run, everything that it wrote is searched for its secrets.

The secrets are those of the run itself: what its `*.key` and `*.password` files hold, and the keys behind
its keystores. They are looked for raw, in hexadecimal and in base64, in every file below pytest's temporary
folder (logs, databases and their journals among them) and in all that tests printed. A file that is a key may
hold it, if its owner alone can read it.
"""

import base64
import json
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ledger.chain.keys import open_keystore
from ledger.market.errors import Rejected

TEST_PASSWORDS = ("demo", "open sesame", "secret", "password")
"""what tests encrypt keystores with; each is too common a word to be searched for itself"""
LONGEST_FILE = 64 << 20
_SHORTEST = 16
_DISTINCT = 8
_MULTIPLIER = 2_654_435_761
_SHIFT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Where a secret lies that must not be there."""

    secret: str
    where: str

    def __str__(self) -> str:
        return f"{self.where} holds {self.secret}"


class Secrets:
    """Secrets by all the forms in which they may be written; `name` says whose it is, never what it is."""

    def __init__(self) -> None:
        self._forms: dict[bytes, str] = {}

    def __len__(self) -> int:
        return len(set(self._forms.values()))

    def add(self, name: str, secret: bytes) -> None:
        """A made-up one of a few bytes again and again is nobody's, and stands in databases by chance."""
        if len(secret) >= _SHORTEST and len(set(secret)) >= _DISTINCT:
            for form in _forms(secret):
                self._forms.setdefault(form, name)

    def found_in(self, data: bytes) -> set[str]:
        """The names of all that `data` holds."""
        by_start: dict[bytes, list[bytes]] = {}
        for form in self._forms:
            by_start.setdefault(form[:8], []).append(form)
        return {
            self._forms[form]
            for at in _candidates(data, by_start)
            for form in by_start.get(data[at : at + 8], ())
            if data.startswith(form, at)
        }


def gather(folder: Path) -> Secrets:
    """The secrets of the files below a folder."""
    secrets = Secrets()
    for path in _files(folder):
        if path.suffix in (".key", ".password"):
            content = path.read_bytes().strip()
            secrets.add(str(path), content)
            secrets.add(str(path), _unhex(content))
        elif path.suffix == ".json" and path.stat().st_size < 4_096:
            secrets.add(str(path), _key_in(path))
    return secrets


def scan(folder: Path, secrets: Secrets) -> list[Finding]:
    """Every file below a folder that holds one of the secrets and is not its key file."""
    findings = []
    for path in _files(folder):
        data = path.read_bytes()
        for name in sorted(secrets.found_in(data)):
            if not _is_key_file(path, data):
                findings.append(Finding(secret=f"the secret of {name}", where=str(path)))
    return findings


class SecretScan:
    """The pytest plugin: keeps what tests print, and scans when all have run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._printed: list[tuple[str, str]] = []
        self._findings: list[Finding] = []
        self._count = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._printed.extend((f"{report.nodeid}: {title}", text) for title, text in report.sections)
        if report.longrepr:
            self._printed.append((f"{report.nodeid}: traceback", report.longreprtext))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        folder = self._config._tmp_path_factory._basetemp  # type: ignore[attr-defined]  # asking for it makes one
        if folder is None or not folder.exists():
            return
        secrets = gather(folder)
        self._count = len(secrets)
        self._findings = scan(folder, secrets) + [
            Finding(secret=f"the secret of {name}", where=title)
            for title, text in self._printed
            for name in secrets.found_in(text.encode())
        ]
        if self._findings:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._findings:
            terminalreporter.section("secrets were written", red=True)
        for finding in self._findings:
            terminalreporter.line(str(finding))
        if self._count:
            terminalreporter.line(f"{self._count} secrets of this run searched for in all that it wrote")


def _forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for before in range(3):
        # The characters at both ends also depend on what stands beside the secret.
        encoded = base64.b64encode(bytes(before) + secret)
        inner = encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def _candidates(data: bytes, starts: Iterable[bytes]) -> Iterator[int]:
    """Positions at which one of the `starts` (8 bytes) may stand; two tables tell most others apart."""
    words = np.array([np.frombuffer(one, "<u4") for one in starts], "u4").reshape(-1, 2)
    first, second = _table(words[:, 0]), _table(words[:, 1])
    for shift in range(4):
        view = np.frombuffer(data, "<u4", count=max(0, len(data) - shift) // 4, offset=min(shift, len(data)))
        hit = first[_slot(view[:-1])] & second[_slot(view[1:])]
        yield from (int(at) * 4 + shift for at in np.nonzero(hit)[0])


def _table(words: "np.typing.NDArray[np.uint32]") -> "np.typing.NDArray[np.bool_]":
    table = np.zeros(1 << (32 - _SHIFT), bool)
    table[_slot(words)] = True
    return table


def _slot(words: "np.typing.NDArray[np.uint32]") -> "np.typing.NDArray[np.uint32]":
    return (words * np.uint32(_MULTIPLIER)) >> np.uint32(_SHIFT)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        try:
            mode = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(mode.st_mode) and mode.st_size <= LONGEST_FILE:
            yield path


def _is_key_file(path: Path, data: bytes) -> bool:
    """Whether it holds a secret and nothing else, for its owner's eyes alone."""
    alone = len(data.strip().removeprefix(b"0x")) in (32, 43, 64) and b"\n" not in data.strip()
    return alone and not stat.S_IMODE(path.stat().st_mode) & 0o077


def _unhex(content: bytes) -> bytes:
    try:
        return bytes.fromhex(content.decode("ascii").removeprefix("0x"))
    except ValueError:
        return b""


def _key_in(path: Path) -> bytes:
    """The private key in a keystore, none where it is no keystore or nobody here knows its password."""
    try:
        if "crypto" not in json.loads(path.read_bytes()):
            return b""
    except (ValueError, TypeError):
        return b""
    beside = [folder / "node-key.password" for folder in (path.parent, path.parent.parent)]
    own = [file.read_text().strip() for file in beside if file.exists()]
    for password in (*own, *TEST_PASSWORDS):
        try:
            key = open_keystore(path, password)
        except Rejected:
            continue
        return bytes(key._key.secret)
    return b""
