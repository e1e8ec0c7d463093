"""What may happen to a lease, seen from its agent; any of these may come twice, late or never.

Times `at` are milliseconds since 1970 by the agent's clock.
"""

from dataclasses import dataclass

from ledger.market.facts import JobPhase, OutputFile
from ledger.market.identity import LeaseId
from ledger.market.lease import LeaseTerms
from ledger.market.receipt import SignedReceipt
from provider_agent.lifecycle.lease_state import Ending
from provider_agent.runtimes.base import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSeen:
    """The chain opened a lease for this provider; `start` in seconds, `escrow` in base units."""

    at: int
    id: LeaseId
    terms: LeaseTerms
    start: int
    escrow: int


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
    """The chain closed the lease, or does not know it any more."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSettled:
    """The chain paid for this many milliseconds in total."""

    at: int
    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentJudged:
    """The job document came and was checked; `refusal` says what is against running it."""

    at: int
    refusal: Ending | None


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
    | UsageSettled
    | DocumentJudged
    | Prepared
    | PreparationFailed
    | ContainerCreated
    | ContainerObserved
    | ReceiptReceived
    | Disowned
    | OutputsCollected
    | PhaseReported
    | Cleaned
    | Resumed
    | Tick
)
