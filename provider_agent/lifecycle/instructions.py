"""What the machine wants done about one lease; each may be carried out twice, except a start.

`Settle` and `Release` become outbox intents with one key a lease, so wishing them again changes nothing.
"""

from dataclasses import dataclass

from ledger.market.facts import JobPhase
from ledger.market.receipt import SignedReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDocument:
    """Get lease and document from the node, check them, answer `DocumentJudged`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Bring image, volume and inputs; answer `Prepared` or `PreparationFailed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateContainer:
    """Create it; answer `ContainerCreated`, or `ContainerObserved` where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContainer:
    """Start it, once in the life of a lease; answer `ContainerObserved`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe:
    """Look at the engine; answer `ContainerObserved`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """Follow the running container: its log to the node, its exit to `ContainerObserved`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopContainer:
    """End the job, by force after `grace` seconds; answer `ContainerObserved`."""

    grace: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUsage:
    """Send the metered time; answer `ReceiptReceived` or `Disowned`."""

    milliseconds: int
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOutputs:
    """Send the rest of the log and the declared outputs; answer `OutputsCollected`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPhase:
    """Tell the node how the job is; answer `PhaseReported`."""

    phase: JobPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Deliver this receipt to the contract."""

    signed: SignedReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Close the lease at what is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskContract:
    """Ask whether the lease is open; answer `LeaseStands` where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """Remove container and volume; answer `Cleaned`."""


Instruction = (
    FetchDocument
    | Prepare
    | CreateContainer
    | StartContainer
    | Observe
    | Attach
    | StopContainer
    | ReportUsage
    | CollectOutputs
    | ReportPhase
    | Settle
    | Release
    | AskContract
    | Cleanup
)
