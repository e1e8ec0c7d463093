"""The job file: what a person writes for a job, read strictly, since a typing error costs money.

Keys: name image command envs resources{cpus memory disk accelerators{vendor model count share memory}}
inputs outputs domains{allow deny prefer} regions runtime grade network retry max_price max_over_ask
max_duration wait signer gang{count distinct same} or replicas{count agree}, min_reputation, the goods of
`node.cli.reading.job_goods`, and any_of: a list of other forms of the same job, each of which may change
resources, domains, regions, providers, data, trust, runtime, grade, max_price, max_over_ask, max_duration
and min_reputation. Unknown keys are refused with the nearest known one. Paths are relative to the file.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

from ledger.market.domains import Preference, check_pattern
from ledger.market.errors import Rejected
from ledger.market.identity import from_text
from ledger.market.job import Accelerators, Gang, Image, InputFile, check_path
from node.buying.draft import (
    BUYER_SIGNS,
    NODE_SIGNS,
    ArchiveImage,
    EngineImage,
    ImageSource,
    JobDraft,
    LocalInput,
)
from node.cli.reading.amounts import parse_price
from node.cli.reading.job_goods import (
    accelerators_of,
    basis_points,
    data_of,
    notice_of,
    preferences_of,
    providers_of,
    times_of,
    waiting,
)
from node.cli.reading.quantities import parse_count, parse_milli, parse_size, parse_time, parse_yes
from node.cli.reading.yaml_section import Section, compose

MAX_BYTES = 256 * 1024
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
_MAX_RETRY = 7
MAX_FORMS = 8


Domains = tuple[tuple[str, ...], tuple[str, ...], tuple[Preference, ...]]
"""allowed, denied, preferred"""


def parse_job_file(
    source: str, decimals: int, where: str = "The job file", clock: Callable[[], float] = time.time
) -> JobDraft:
    """The draft behind the YAML text; `decimals` are the market token's, `clock` tells what `in 3h` means."""
    if len(source) > MAX_BYTES:
        raise Rejected("oversized-job-file", f"{where} is larger than {MAX_BYTES} bytes.", "Shorten it.")
    return draft_of(compose(source, where), decimals, int(clock()))


def draft_of(read: Section, decimals: int, now: int) -> JobDraft:
    """The draft behind the file's top mapping, read at `now` (seconds since 1970)."""
    cpu, memory, disk, accelerators = _resources(read.section("resources"))
    allow, deny, prefer = _domains(read.section("domains"))
    times = times_of(read, now)
    local, stored = _inputs(read)
    envs = read.section("envs")
    draft = JobDraft(
        name=read.text("name", "job"),
        image=_image(read),
        command=read.texts("command", required=True),
        cpu=cpu,
        memory=memory,
        disk=disk,
        max_rate=read.convert("max_price", lambda text: parse_price(text, decimals)),
        max_seconds=read.convert("max_duration", parse_time),
        envs=() if envs is None else tuple(sorted(envs.pairs())),
        accelerators=accelerators,
        local_inputs=local,
        stored_inputs=stored,
        outputs=tuple(output_path(text) for text in read.texts("outputs")),
        allow=allow,
        deny=deny,
        regions=read.texts("regions"),
        runtime=read.text("runtime", "runc"),
        grade=read.text("grade", "").lower(),
        network=read.convert("network", parse_yes, "false"),
        retry=read.convert("retry", _retry, "0"),
        gang=_gang(read),
        min_reputation=read.convert("min_reputation", parse_milli, "0"),
        max_over_ask=read.convert("max_over_ask", basis_points, "0%"),
        trust=read.text("trust", "").lower(),
        prefer=prefer,
        providers=providers_of(read.section("providers")),
        data=data_of(read.section("data")),
        times=times,
        notice=notice_of(read.section("interruptible")),
        wait=waiting(read.convert("wait", parse_time, "0"), times, now),
        signer=read.convert("signer", signer, NODE_SIGNS),
    )
    forms = tuple(_form(section, draft, decimals) for section in _forms(read))
    read.done()
    return replace(draft, any_of=forms)


def image_source(text: str) -> ImageSource:
    """An image by one text: a config digest, an archive file's path, or an engine's reference."""
    if text.startswith("sha256:"):
        return Image(reference=text, config=text)
    if text.endswith(_ARCHIVES):
        return ArchiveImage(path=text)
    if not text:
        raise Rejected("missing-image", "The image is empty.", "Name an archive file or an image.")
    return EngineImage(reference=text)


def local_input(text: str) -> LocalInput:
    """A file under its own relative path, or under its name where the path leads elsewhere."""
    source = PurePosixPath(text)
    leads_away = source.is_absolute() or ".." in source.parts
    return LocalInput(path=check_path(source.name if leads_away else str(source)), source=text)


def output_path(text: str) -> str:
    """The path below the job's `out/`, however it was written (`out/a.csv` or `a.csv`)."""
    return check_path(text.removeprefix("out/"))


def signer(text: str) -> str:
    """`node`, `buyer` or the 20 bytes of an account."""
    if text not in (NODE_SIGNS, BUYER_SIGNS):
        from_text(text, 20)
    return text


def _forms(read: Section) -> tuple[Section, ...]:
    forms = tuple(read.mixed("any_of"))
    if len(forms) > MAX_FORMS or any(isinstance(form, str) for form in forms):
        raise Rejected(
            "malformed-forms",
            f"any_of has {len(forms)} entries, or one that is no mapping.",
            f"Write at most {MAX_FORMS} mappings of what differs.",
        )
    return tuple(form for form in forms if isinstance(form, Section))


def _form(read: Section, draft: JobDraft, decimals: int) -> JobDraft:
    """Another form of the same job: what the mapping says, and the file's top for the rest."""
    form = draft
    resources, domains = read.section("resources"), read.section("domains")
    if resources is not None:
        cpu, memory, disk, accelerators = _resources(resources)
        form = replace(form, cpu=cpu, memory=memory, disk=disk, accelerators=accelerators)
    if domains is not None:
        allow, deny, prefer = _domains(domains)
        form = replace(form, allow=allow, deny=deny, prefer=prefer)
    if "providers" in read:
        form = replace(form, providers=providers_of(read.section("providers")))
    if "data" in read:
        form = replace(form, data=data_of(read.section("data")))
    if "max_price" in read:
        form = replace(form, max_rate=read.convert("max_price", lambda text: parse_price(text, decimals)))
    if "max_over_ask" in read:
        form = replace(form, max_over_ask=read.convert("max_over_ask", basis_points))
    if "max_duration" in read:
        form = replace(form, max_seconds=read.convert("max_duration", parse_time))
    if "min_reputation" in read:
        form = replace(form, min_reputation=read.convert("min_reputation", parse_milli))
    form = replace(
        form,
        regions=read.texts("regions") or form.regions,
        runtime=read.text("runtime", form.runtime),
        grade=read.text("grade", form.grade).lower(),
        trust=read.text("trust", form.trust).lower(),
    )
    read.done()
    return form


def _gang(read: Section) -> Gang | None:
    gang, replicas = read.section("gang"), read.section("replicas")
    if gang is not None and replicas is not None:
        raise Rejected(
            "gang-and-replicas", "The file asks for a gang and for replicas.", "Keep one of the two."
        )
    if gang is not None:
        wanted = Gang(
            members=gang.convert("count", parse_count),
            distinct=gang.convert("distinct", parse_yes, "false"),
            same=gang.text("same", ""),
        )
        gang.done()
        return wanted
    if replicas is None:
        return None
    count, agree = replicas.convert("count", parse_count), replicas.convert("agree", parse_count)
    replicas.done()
    return Gang(members=count, distinct=True, agree=agree)


def _retry(text: str) -> int:
    count = parse_count(text)
    if count > _MAX_RETRY:
        raise Rejected("too-many-retries", f"{count} retries are too many.", f"Give at most {_MAX_RETRY}.")
    return count


def _image(read: Section) -> ImageSource:
    if "image" not in read or read.is_text("image"):
        return read.convert("image", image_source)
    section = read.section("image")
    assert section is not None
    image = Image(
        reference=section.text("reference"),
        config=section.text("config"),
        archive=section.text("archive", ""),
        archive_bytes=section.convert("archive_bytes", parse_count, "0"),
    )
    section.done()
    return image


def _resources(read: Section | None) -> tuple[int, int, int, Accelerators | None]:
    if read is None:
        return 1000, 1024, 1024, None
    cpu = read.convert("cpus", parse_milli, "1")
    memory = read.convert("memory", parse_size, "1GiB")
    disk = read.convert("disk", parse_size, "1GiB")
    accelerators = accelerators_of(read.section("accelerators"))
    read.done()
    return cpu, memory, disk, accelerators


def _domains(read: Section | None) -> Domains:
    if read is None:
        return (), (), ()
    allow = tuple(check_pattern(text) for text in read.texts("allow"))
    deny = tuple(check_pattern(text) for text in read.texts("deny"))
    prefer = preferences_of(read.section("prefer"))
    read.done()
    return allow, deny, prefer


def _inputs(read: Section) -> tuple[tuple[LocalInput, ...], tuple[InputFile, ...]]:
    local: list[LocalInput] = []
    stored: list[InputFile] = []
    for item in read.mixed("inputs"):
        if isinstance(item, str):
            local.append(local_input(item))
        elif "from" in item:
            local.append(LocalInput(path=item.convert("path", check_path), source=item.text("from")))
            item.done()
        else:
            path, sha256 = item.convert("path", check_path), item.text("sha256")
            stored.append(InputFile(path=path, sha256=sha256, size=item.convert("size", parse_count)))
            item.done()
    return tuple(local), tuple(stored)
