"""Receipt: cumulative milliseconds of a lease, signed by the bid's signer; never money."""

from dataclasses import dataclass

from ledger.market.identity import Digest, LeaseId
from ledger.market.ranges import exact_bytes, unsigned


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReceipt:
    """The signed type `UsageReceipt` of PROTOCOL; `last` closes the lease when it is settled."""

    lease: LeaseId
    milliseconds: int
    evidence: Digest
    last: bool

    def __post_init__(self) -> None:
        exact_bytes("lease", self.lease, 32)
        exact_bytes("evidence", self.evidence, 32)
        unsigned("milliseconds", self.milliseconds, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReceipt:
    """A receipt with the 64-byte signature (EIP-2098) of the bid's signer."""

    receipt: UsageReceipt
    signature: bytes

    def __post_init__(self) -> None:
        exact_bytes("signature", self.signature, 64)
