"""What may happen to a lease, seen from its agent; any of these may come twice, late or never.

Times `at` are milliseconds since 1970 by the agent's clock.
"""

from dataclasses import dataclass

from ledger.market.facts import JobPhase, OutputFile
from ledger.market.identity import Digest, LeaseId
from ledger.market.lease import LeaseTerms
from ledger.market.receipt import SignedReceipt
from provider_agent.lifecycle.lease_state import Ending, Replica
from provider_agent.runtimes.base import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSeen:
    """The chain opened a lease for this provider; `start` in seconds, `escrow` in base units. It may
    continue another one, or be a replica that a jury will judge."""

    at: int
    id: LeaseId
    terms: LeaseTerms
    start: int
    escrow: int
    continues: LeaseId | None = None
    replica: Replica | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseStands:
    """The contract, asked now, says that the lease is open."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseUnmined:
    """A reorganisation undid the block that opened the lease."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerminated:
    """The buyer ended the lease `ended_after` seconds after its start."""

    at: int
    ended_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseEnded:
    """The chain closed the lease, or does not know it any more; `agreed` where a last receipt did."""

    at: int
    agreed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """The chain closed the lease and opened the next one in its place, in one call."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimStands:
    """Our claim is open, or contested; it can be finalised from `until` on (chain, seconds)."""

    at: int
    until: int
    contested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseJudged:
    """The jury judged the replica; `ended_after` seconds from its start it counts as ended."""

    at: int
    guilty: bool
    ended_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultHashed:
    """The ended replica's result, with a fresh salt; the first salt is the one that is kept."""

    at: int
    result: Digest
    salt: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTaken:
    """The jury took our commitment, or (`revealed`) our result."""

    at: int
    revealed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JuryRead:
    """What the jury has: whether our commitment and result, how many commitments, which results."""

    at: int
    committed: bool
    revealed: bool
    commits: int
    results: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """The container has the lease's limits; `remark` says what of them it could not get."""

    at: int
    remark: Ending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Yield:
    """The node says that a higher bid takes the lease's place; its job was sold with `notice` seconds."""

    at: int
    notice: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """The job was asked to end."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSettled:
    """The chain paid for this many milliseconds in total."""

    at: int
    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentJudged:
    """The job document came and was checked; `refusal` says what is against running it, `remark` what of
    it cannot be had while it runs on."""

    at: int
    refusal: Ending | None
    remark: Ending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Image, volume and inputs are there."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationFailed:
    """The image or an input is wrong, so that trying again is useless."""

    at: int
    why: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerCreated:
    """This process itself has just created the container."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The engine's word on a container; times by the engine's clock, in milliseconds."""

    phase: Phase
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerObserved:
    """Somebody looked at the engine; `container` is None where there is none."""

    at: int
    container: Observed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptReceived:
    """The bid's signer agreed; the signature has been verified."""

    at: int
    signed: SignedReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTaken:
    """The node keeps our report of usage, and nobody has signed for it yet."""

    at: int
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Disowned:
    """The node will take no more usage for this lease."""

    at: int
    why: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsCollected:
    """Logs and outputs are at the node; `missing` names declared outputs that could not be read."""

    at: int
    outputs: tuple[OutputFile, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReported:
    """The node acknowledged a report (or will never take it)."""

    at: int
    phase: JobPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """Container and volume are removed."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The agent was started again; nothing that was under way is under way any more."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time passed."""

    at: int


Stimulus = (
    LeaseSeen
    | LeaseStands
    | LeaseUnmined
    | LeaseTerminated
    | LeaseEnded
    | HandedOver
    | ClaimStands
    | LeaseJudged
    | ResultHashed
    | ResultTaken
    | JuryRead
    | Resized
    | Yield
    | Warned
    | UsageSettled
    | DocumentJudged
    | Prepared
    | PreparationFailed
    | ContainerCreated
    | ContainerObserved
    | ReceiptReceived
    | UsageTaken
    | Disowned
    | OutputsCollected
    | PhaseReported
    | Cleaned
    | Resumed
    | Tick
)
