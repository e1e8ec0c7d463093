"""A lease's volume as an ext4 file system in a file of fixed size: the one disk limit that always holds.

Quotas of the host's file system need XFS or btrfs and a mount option; a loop device needs root alone. The
file's blocks are reserved when it is made, so a job that fills its volume cannot fill the host. Mounted
`nosuid,nodev`, it is bound into the container, and survives the agent: mounts belong to the host.
"""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from ledger.market.errors import MarketError, Rejected, Unavailable
from provider_agent.runtimes.base import JOB_GID, JOB_HOME, JOB_UID, VolumeMount
from provider_agent.storage.base import (
    JOB_HOME_MODE,
    InputFile,
    OutputFile,
    OutputLimits,
    RefusedOutput,
    VolumeKind,
    bounded,
    job_path,
)

_MIN_MIB = 4
_BYTES_PER_INODE = 32768
_MAX_HELD_BACK_MIB = 16
_MAX_DEPTH = 32
_CHUNK = 1 << 20
_COMMAND_S = 120
_NO_FOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LoopVolumes:
    """Volumes of fixed size below one directory; needs root, `mkfs.ext4` and `mount`."""

    kind = VolumeKind.HARD

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def create(self, lease: bytes, mib: int, image: str) -> None:
        """Make the file system; `image` plays no part here."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        backing = self._backing(lease)
        if not backing.exists():
            unfinished = backing.with_suffix(".new")
            _make_file_system(unfinished, max(mib, _MIN_MIB))
            unfinished.rename(backing)
        self._mount(lease)
        self._lay_out(self._home(lease))

    def fill(self, lease: bytes, files: Iterable[InputFile]) -> None:
        inputs = self._home(lease) / "in"
        for file in files:
            target = inputs / file.path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.source, target)
            except OSError as exc:
                raise _cannot_fill(file, exc) from exc
            target.chmod(0o444)
        _make_readable(inputs)

    def mounts(self, lease: bytes) -> tuple[VolumeMount, ...]:
        return (VolumeMount(source=str(self._home(lease)), target=JOB_HOME),)

    def read(self, lease: bytes, limits: OutputLimits) -> Iterator[OutputFile | RefusedOutput]:
        """Walk by directory handles and without following links, though nobody writes any more."""
        self._mount(lease)
        top = os.open(self._home(lease) / "out", _NO_FOLLOW | os.O_DIRECTORY)
        try:
            yield from bounded(_walk(top, ()), limits)
        finally:
            os.close(top)

    def delete(self, lease: bytes) -> None:
        home = self._home(lease)
        if os.path.ismount(home):
            _run("umount", str(home))
        if home.exists():
            home.rmdir()
        for suffix in (".ext4", ".new"):
            self._backing(lease).with_suffix(suffix).unlink(missing_ok=True)

    def leases(self) -> frozenset[bytes]:
        if not self._root.exists():
            return frozenset()
        return frozenset(bytes.fromhex(path.stem) for path in self._root.glob("*.ext4"))

    def _backing(self, lease: bytes) -> Path:
        return self._root / f"{lease.hex()}.ext4"

    def _home(self, lease: bytes) -> Path:
        return self._root / lease.hex()

    def _mount(self, lease: bytes) -> None:
        home = self._home(lease)
        home.mkdir(mode=0o700, exist_ok=True)
        if os.path.ismount(home):
            return
        backing = self._backing(lease)
        # Without a journal, a host that lost power leaves it unclean; 1 means repaired.
        _run("e2fsck", "-p", str(backing), accepted=(0, 1))
        _run("mount", "-o", "loop,nosuid,nodev,noatime", str(backing), str(home))

    @staticmethod
    def _lay_out(home: Path) -> None:
        shutil.rmtree(home / "lost+found", ignore_errors=True)
        os.chown(home, 0, JOB_GID)
        home.chmod(JOB_HOME_MODE)
        for name, owner in (("in", (0, 0)), ("out", (JOB_UID, JOB_GID))):
            (home / name).mkdir(exist_ok=True)
            (home / name).chmod(0o755)
            os.chown(home / name, *owner)


def file_mib(mib: int) -> int:
    """Size of the file whose file system has room for `mib` MiB of a job's files.

    Added are the inode tables (1 %) and the blocks that ext4 holds back (2 %, at most 16 MiB).
    """
    return mib + mib // 100 + min(mib // 48, _MAX_HELD_BACK_MIB) + 2


def _make_file_system(path: Path, mib: int) -> None:
    path.unlink(missing_ok=True)
    try:
        _run("fallocate", "--length", f"{file_mib(mib)}MiB", str(path))
        # No journal: the content dies with the job. nodiscard: discarding would give the reserved
        # blocks back. -m 0: no blocks are set aside for root.
        features = ("-O", "^has_journal,^resize_inode", "-E", "nodiscard,lazy_itable_init=1")
        sizes = ("-m", "0", "-i", str(_BYTES_PER_INODE))
        _run("mkfs.ext4", "-q", "-F", *features, *sizes, str(path))
    except Unavailable:
        path.unlink(missing_ok=True)
        raise


def _run(*argv: str, accepted: tuple[int, ...] = (0,)) -> None:
    try:
        done = subprocess.run(  # noqa: S603  # a fixed program; the paths are ours
            argv, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise Unavailable(
            "volume-tool", f"{argv[0]} could not run: {exc}.", "Install util-linux and e2fsprogs."
        ) from exc
    if done.returncode not in accepted:
        full = any(word in done.stderr for word in ("No space left", "File too large"))
        code = "disk-full" if full else "volume-failed"
        raise Unavailable(
            code, f"{argv[0]} failed: {done.stderr.strip()}.", "Free disk space or lend less of it."
        )


def _cannot_fill(file: InputFile, exc: OSError) -> MarketError:
    if exc.errno == errno.ENOSPC:
        return Rejected(
            "inputs-do-not-fit",
            f"The input {file.path} does not fit the disk that the bid asks for.",
            "Ask for more disk or send less.",
        )
    return Unavailable(
        "input-unreadable", f"The input {file.path} could not be copied: {exc}.", "Send it again."
    )


def _make_readable(top: Path) -> None:
    for directory, _, _ in os.walk(top):
        Path(directory).chmod(0o755)


def _walk(directory: int, above: tuple[str, ...]) -> Iterator[OutputFile | RefusedOutput]:
    with os.scandir(directory) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        parts = (*above, name)
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if stat.S_ISREG(mode):
            yield from _file(directory, parts)
        elif not stat.S_ISDIR(mode):
            yield RefusedOutput(path=ascii("/".join(parts)), reason="not a regular file")
        elif len(parts) > _MAX_DEPTH:
            yield RefusedOutput(path=ascii("/".join(parts)), reason="too deep")
        else:
            child = os.open(name, _NO_FOLLOW | os.O_DIRECTORY, dir_fd=directory)
            try:
                yield from _walk(child, parts)
            finally:
                os.close(child)


def _file(directory: int, parts: tuple[str, ...]) -> Iterator[OutputFile | RefusedOutput]:
    text = "/".join(parts)
    try:
        path = job_path(text)
    except Rejected:
        yield RefusedOutput(path=ascii(text), reason="not a printable path")
        return
    handle = os.open(parts[-1], _NO_FOLLOW, dir_fd=directory)
    with os.fdopen(handle, "rb") as stream:
        size = os.fstat(handle).st_size
        yield OutputFile(path=path, size=size, chunks=iter(lambda: stream.read(_CHUNK), b""))
