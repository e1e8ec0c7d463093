"""Job document: what a bid's `job` hash stands for; the buyer signs it, the agent runs exactly it.

Plain JSON of texts, integers and lists (no floats, so that RFC 8785 has one form); `from_plain` is
strict. Units: milli-cores, MiB, seconds, milli-base-units per hour.
"""

import re
from dataclasses import dataclass, fields

from ledger.market.accelerators import Accelerators, accelerators_from_plain
from ledger.market.domains import Preference, check_pattern
from ledger.market.errors import Rejected
from ledger.market.gang import Gang, gang_from_plain
from ledger.market.job_terms import (
    ANY_PLACE,
    ANY_PROVIDER,
    ANY_TIME,
    DataPlace,
    Providers,
    Times,
    check_notice,
    preferences_to_plain,
    read_data,
    read_notice,
    read_preferences,
    read_providers,
)
from ledger.market.plain import Reader
from ledger.market.ranges import unsigned

__all__ = [
    "KIND",
    "Accelerators",
    "DataPlace",
    "Gang",
    "Image",
    "InputFile",
    "Job",
    "Preference",
    "Providers",
    "Times",
    "check_path",
    "job_from_plain",
    "same_but_resized",
]

KIND = "bingwang/job/1"
MAX_TEXT = 32_768
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONFIG = re.compile(r"sha256:[0-9a-f]{64}")
_SEGMENT = re.compile(r"[A-Za-z0-9._@+-]{1,255}")


def check_path(path: str) -> str:
    """A relative path of plain segments; `Rejected` for anything that could leave the job's folder."""
    segments = path.split("/")
    plain = all(_SEGMENT.fullmatch(part) and part not in (".", "..") for part in segments)
    if not plain or len(path) > 512:
        raise Rejected(
            "unsafe-path",
            f"{path[:120]!r} is not a plain relative path.",
            "Use segments of letters, digits and . _ @ + - separated by /, without . or ..",
        )
    return path


def _matches(pattern: re.Pattern[str], what: str, value: str, remedy: str) -> None:
    if not pattern.fullmatch(value):
        raise Rejected(f"malformed-{what}", f"{value[:120]!r} is not a valid {what}.", remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`config` is the image's config digest, `archive` the sha256 of its archive at the node, or ""."""

    reference: str
    config: str
    archive: str = ""
    archive_bytes: int = 0

    def __post_init__(self) -> None:
        _matches(_CONFIG, "image-digest", self.config, "Give sha256: and 64 hexadecimal digits.")
        if self.archive:
            _matches(_SHA256, "sha256", self.archive, "Give 64 hexadecimal digits.")
        unsigned("archive_bytes", self.archive_bytes, 53)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file of the buyer, a blob at the node, found by the job under `in/<path>`."""

    path: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        check_path(self.path)
        _matches(_SHA256, "sha256", self.sha256, "Give 64 hexadecimal digits.")
        unsigned("size", self.size, 53)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as its buyer signed it."""

    name: str
    image: Image
    command: tuple[str, ...]
    cpu: int
    memory: int
    disk: int
    max_rate: int
    max_seconds: int
    envs: tuple[tuple[str, str], ...] = ()
    accelerators: Accelerators | None = None
    inputs: tuple[InputFile, ...] = ()
    outputs: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    runtime: str = "runc"
    grade: str = ""
    network: bool = False
    retry: int = 0
    gang: Gang | None = None
    min_reputation: int = 0
    """per mille; providers below it do not get the job"""
    trust: str = ""
    """how well the offer's figures must be known: claimed, measured, challenged; "" for any"""
    prefer: tuple[Preference, ...] = ()
    providers: Providers = ANY_PROVIDER
    data: DataPlace = ANY_PLACE
    times: Times = ANY_TIME
    max_over_ask: int = 0
    """basis points of the ask that the matcher may take above it, up to the limit; 0: at the ask"""
    notice: int = 0
    """seconds after which it yields to a higher bid, 0 for never"""

    def __post_init__(self) -> None:
        _matches(_NAME, "name", self.name, "Use letters, digits and . _ - (at most 63).")
        for key, _ in self.envs:
            _matches(_ENV, "environment-name", key, "Use letters, digits and _.")
        if len(dict(self.envs)) != len(self.envs):
            raise Rejected("duplicate-environment", "A variable stands twice in envs.", "Name each once.")
        for path in self.outputs:
            check_path(path)
        for pattern in (*self.allow, *self.deny):
            check_pattern(pattern)
        check_notice(self.notice)
        self.times.check(self.max_seconds)
        self._check_sizes()

    def _check_sizes(self) -> None:
        if not self.command:
            raise Rejected("empty-command", "The job has no command.", "Give command as a list of texts.")
        texts = [*self.command, *(value for _, value in self.envs)]
        if sum(map(len, texts)) > MAX_TEXT or any("\0" in text for text in texts):
            raise Rejected(
                "oversized-command",
                f"Command and environment exceed {MAX_TEXT} characters, or hold a NUL.",
                "Put large values into an input file.",
            )
        for name, least in (("cpu", 1), ("memory", 16), ("disk", 16), ("max_seconds", 1), ("max_rate", 0)):
            value = getattr(self, name)
            unsigned(name, value, 96 if name == "max_rate" else 31)
            if value < least:
                raise Rejected("too-small", f"{name} is {value}.", f"Give at least {least}.", field=name)
        paths = [file.path for file in self.inputs]
        if len(set(paths)) != len(paths) or len(set(self.outputs)) != len(self.outputs):
            raise Rejected("duplicate-path", "A path stands twice among the files.", "Name each file once.")
        if self.disk << 20 < sum(file.size for file in self.inputs):
            raise Rejected("disk-too-small", "The inputs are larger than the disk.", "Ask for more disk.")
        unsigned("retry", self.retry, 3)
        unsigned("max_over_ask", self.max_over_ask, 16)
        unsigned("min_reputation", self.min_reputation, 10)
        if self.min_reputation > 1000:
            raise Rejected("too-large", "min_reputation is above 1000.", "Give per mille, 0 to 1000.")
        if self.gang and self.gang.agree and self.notice:
            raise Rejected(
                "replicas-interruptible",
                "The jury waits for the results of replicas, and one that yields has none.",
                "Leave out interruptible, or the replicas.",
            )
        if self.gang and self.gang.agree and not self.outputs:
            raise Rejected(
                "nothing-to-compare",
                "Replicas are compared by their outputs, and the job has none.",
                "Name the output files that must be equal.",
            )

    def to_plain(self) -> dict[str, object]:
        """The document; absent choices are absent keys, so that one job has one hash."""
        plain: dict[str, object] = {
            "kind": KIND,
            "name": self.name,
            "image": _image_to_plain(self.image),
            "command": list(self.command),
            "cpu": self.cpu,
            "memory": self.memory,
            "disk": self.disk,
            "max_rate": str(self.max_rate),
            "max_seconds": self.max_seconds,
            "runtime": self.runtime,
        }
        optional: dict[str, object] = {
            "envs": dict(self.envs),
            "inputs": [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in self.inputs],
            "outputs": list(self.outputs),
            "allow": list(self.allow),
            "deny": list(self.deny),
            "regions": list(self.regions),
            "grade": self.grade,
            "network": self.network,
            "retry": self.retry,
            "accelerators": self.accelerators.to_plain() if self.accelerators else {},
            "gang": self.gang.to_plain() if self.gang else {},
            "min_reputation": self.min_reputation,
            "trust": self.trust,
            "max_over_ask": self.max_over_ask,
            "prefer": preferences_to_plain(self.prefer),
            "providers": self.providers.to_plain(),
            "data": self.data.to_plain(),
            "start_at": self.times.start_at,
            "start_by": self.times.start_by,
            "deadline": self.times.deadline,
            "interruptible": {"notice": self.notice} if self.notice else {},
        }
        return plain | {key: value for key, value in optional.items() if value}


def _image_to_plain(image: Image) -> dict[str, object]:
    plain: dict[str, object] = {"reference": image.reference, "config": image.config}
    if image.archive:
        plain |= {"archive": image.archive, "archive_bytes": image.archive_bytes}
    return plain


def _read_image(value: object) -> Image:
    read = Reader(value, "image")
    image = Image(
        reference=read.get("reference", str),
        config=read.get("config", str),
        archive=read.get("archive", str, ""),
        archive_bytes=read.get("archive_bytes", int, 0),
    )
    read.done()
    return image


def _read_input(value: object) -> InputFile:
    read = Reader(value, "inputs")
    file = InputFile(path=read.get("path", str), sha256=read.get("sha256", str), size=read.get("size", int))
    read.done()
    return file


_RESIZED = frozenset({"cpu", "memory", "disk", "max_rate", "max_seconds", "retry", "times"})


def same_but_resized(before: Job, after: Job) -> bool:
    """Whether a container of `before` may go on as `after`: the same job, at most with other resources, for
    another price or time."""
    kept = (one.name for one in fields(Job) if one.name not in _RESIZED)
    return all(getattr(before, name) == getattr(after, name) for name in kept)


def job_from_plain(value: object) -> Job:
    """The job behind a document; `Rejected` for an unknown key, a wrong type or an impossible value."""
    read = Reader(value, "job")
    if read.get("kind", str) != KIND:
        raise Rejected("unknown-document", "The document is not a job of a known kind.", f"Use kind {KIND}.")
    envs: dict[str, str] = read.get("envs", dict, {})
    if not all(type(text) is str for text in (*envs, *envs.values())):
        raise Rejected("wrong-type", "envs holds something other than text.", "Quote names and values.")
    rate = read.get("max_rate", str)
    if not rate.isdecimal() or not rate.isascii() or len(rate) > 29:
        raise Rejected(
            "malformed-rate", "max_rate is not a decimal number.", "Give milli-base-units per hour."
        )
    job = Job(
        name=read.get("name", str),
        image=_read_image(read.get("image", dict)),
        command=read.texts("command", required=True),
        cpu=read.get("cpu", int),
        memory=read.get("memory", int),
        disk=read.get("disk", int),
        max_rate=int(rate),
        max_seconds=read.get("max_seconds", int),
        envs=tuple(sorted(envs.items())),
        accelerators=accelerators_from_plain(read.get("accelerators", dict, {})),
        inputs=tuple(_read_input(item) for item in read.get("inputs", list, [])),
        outputs=read.texts("outputs"),
        allow=read.texts("allow"),
        deny=read.texts("deny"),
        regions=read.texts("regions"),
        runtime=read.get("runtime", str, "runc"),
        grade=read.get("grade", str, ""),
        network=read.get("network", bool, False),
        retry=read.get("retry", int, 0),
        gang=gang_from_plain(read.get("gang", dict, {})),
        min_reputation=read.get("min_reputation", int, 0),
        trust=read.get("trust", str, ""),
        max_over_ask=read.get("max_over_ask", int, 0),
        prefer=read_preferences(read.get("prefer", list, [])),
        providers=read_providers(read.get("providers", dict, {})),
        data=read_data(read.get("data", dict, {})),
        times=Times(**{name: read.get(name, int, 0) for name in ("start_at", "start_by", "deadline")}),
        notice=read_notice(read.get("interruptible", dict, {})),
    )
    read.done()
    return job
