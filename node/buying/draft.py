"""A job before its files are known by their hashes: what a person writes, in the kernel's units.

The kernel's `Job` names every file by its sha256; a draft names files on this machine. `node.buying.buyer`
reads them and makes the one from the other.
"""

from dataclasses import dataclass, replace

from ledger.market.errors import Rejected
from ledger.market.job import (
    Accelerators,
    DataPlace,
    Gang,
    Image,
    InputFile,
    Job,
    Preference,
    Providers,
    Times,
)
from ledger.market.job_terms import ANY_PLACE, ANY_PROVIDER, ANY_TIME

NODE_SIGNS = "node"
BUYER_SIGNS = "buyer"
NO_IMAGE = Image(reference="any", config="sha256:" + "0" * 64)
"""stands for the image of a job that is only asked about"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveImage:
    """An image in an archive file on this machine; a relative path is relative to the job file."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineImage:
    """An image that this machine's engine knows under `reference`."""

    reference: str


ImageSource = Image | ArchiveImage | EngineImage


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalInput:
    """A file of this machine (`source`) that the job finds under `in/<path>`."""

    path: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDraft:
    """One job as written. Sizes in MiB, times in seconds, `max_rate` in milli-base-units an hour;
    `wait` is how long the bid may rest unmatched, `signer` `node`, `buyer` or an address. `any_of` are
    other forms of the same job, the most wanted first: where there are any, one of them is bought and the
    draft itself is not."""

    name: str
    image: ImageSource
    command: tuple[str, ...]
    cpu: int
    memory: int
    disk: int
    max_rate: int
    max_seconds: int
    envs: tuple[tuple[str, str], ...] = ()
    accelerators: Accelerators | None = None
    local_inputs: tuple[LocalInput, ...] = ()
    stored_inputs: tuple[InputFile, ...] = ()
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
    max_over_ask: int = 0
    trust: str = ""
    prefer: tuple[Preference, ...] = ()
    providers: Providers = ANY_PROVIDER
    data: DataPlace = ANY_PLACE
    times: Times = ANY_TIME
    notice: int = 0
    wait: int = 0
    signer: str = NODE_SIGNS
    any_of: "tuple[JobDraft, ...]" = ()

    @property
    def forms(self) -> "tuple[JobDraft, ...]":
        """What may be bought, the most wanted first."""
        return self.any_of or (self,)

    def with_envs(self, assignments: tuple[str, ...]) -> "JobDraft":
        """The draft with `KEY=VALUE` texts added; a later one wins."""
        merged = dict(self.envs)
        for assignment in assignments:
            key, equals, value = assignment.partition("=")
            if not equals:
                raise Rejected(
                    "malformed-env", f"{assignment[:60]!r} is not KEY=VALUE.", "Write --env KEY=VALUE."
                )
            merged[key] = value
        forms = tuple(form.with_envs(assignments) for form in self.any_of)
        return replace(self, envs=tuple(sorted(merged.items())), any_of=forms)

    def job(self, image: Image, inputs: tuple[InputFile, ...]) -> Job:
        """The document to sign, once image and inputs are known by their hashes."""
        return Job(
            name=self.name,
            image=image,
            command=self.command,
            cpu=self.cpu,
            memory=self.memory,
            disk=self.disk,
            max_rate=self.max_rate,
            max_seconds=self.max_seconds,
            envs=tuple(sorted(self.envs)),
            accelerators=self.accelerators,
            inputs=inputs,
            outputs=self.outputs,
            allow=self.allow,
            deny=self.deny,
            regions=self.regions,
            runtime=self.runtime,
            grade=self.grade,
            network=self.network,
            retry=self.retry,
            gang=self.gang,
            min_reputation=self.min_reputation,
            max_over_ask=self.max_over_ask,
            trust=self.trust,
            prefer=self.prefer,
            providers=self.providers,
            data=self.data,
            times=self.times,
            notice=self.notice,
        )
