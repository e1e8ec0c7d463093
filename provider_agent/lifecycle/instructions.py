"""What the machine wants done about one lease; each may be carried out twice, except a start.

What goes to the chain becomes an outbox intent under a key of the lease, so that wishing it again while it
is under way changes nothing.
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
class Warn:
    """Ask the job to end, and let it run on; answer `Warned`."""


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
class Claim:
    """Claim pay up to `milliseconds` in all, or up to `free` where `bond` base units cannot be paid."""

    milliseconds: int
    free: int
    bond: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize:
    """Have the contract decide our claim, its window being over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashOutputs:
    """Compute the result of an ended replica, draw a salt; answer `ResultHashed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Give the jury the commitment to our result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """Give the jury our result and its salt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskJury:
    """Read what the jury has of all replicas; answer `JuryRead`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Have the jury judge the replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Give the running container the limits of this lease's job; answer `Resized`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """Stop following the container under this lease's name; it runs on under the next one's."""


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
    | Warn
    | ReportUsage
    | CollectOutputs
    | ReportPhase
    | Settle
    | Release
    | Claim
    | Finalize
    | HashOutputs
    | Commit
    | Reveal
    | AskJury
    | Decide
    | Resize
    | Detach
    | AskContract
    | Cleanup
)
