"""Settlement: which usage the node co-signs, and which receipts and closes it wishes for on the chain.

The node signs only where the bid named it as signer, never beyond the time that the lease stood open,
and never less than before. A lease whose agent fell silent ends with a last receipt at what was
reported, so that the rest is refunded without waiting for the grace period.
"""

from collections.abc import Callable

from ledger.books.books import Books
from ledger.books.rows import LeaseRow
from ledger.books.unit_of_work import Unit
from ledger.chain.keys import Signer
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, receipt_digest
from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import AgentLost, ReceiptCosigned, UsageReported
from ledger.market.identity import NO_DIGEST, LeaseId, text
from ledger.market.instructions import CloseLease, SettleReceipt
from ledger.market.lease import Lease
from ledger.market.lifecycle import LeaseState
from ledger.market.policy import Policy
from ledger.market.receipt import SignedReceipt, UsageReceipt

CLOSE_MARGIN_SECONDS = 2
INTERIM_SECONDS = 600
"""an open lease's best receipt is settled at least this often, so that a provider's exposure is bounded"""
REPEAT_SECONDS = 60
"""a wish that was mined without effect is wished again after this long"""


class Settlement:
    """Co-signs with `key`, and turns receipts into wishes; everything is idempotent."""

    def __init__(self, books: Books, domain: Domain, key: Signer, policy: Policy) -> None:
        self._books = books
        self._domain = domain
        self._key = key
        self._policy = policy

    def report(self, fact: UsageReported) -> SignedReceipt | None:
        """Take an agent's usage report; the co-signed receipt, or None while another signer must sign."""
        row = self._active(fact.lease)
        self._check_bound(row, fact.milliseconds, fact.at)
        known = row.receipt
        if (
            known is not None
            and known.receipt.milliseconds >= fact.milliseconds
            and known.receipt.last >= fact.last
        ):
            return known
        if row.agent_lost_at is not None:
            raise LostRace("lease-ended", "The lease was ended as its agent was silent.", "Stop the job.")
        with self._books.transaction() as unit:
            unit.record(fact)
            if row.terms.signer != self._key.address:
                return None
            return self._cosign(unit, row, fact)

    def accept(self, signed: SignedReceipt, at: int) -> None:
        """Take a receipt that the bid's signer signed elsewhere."""
        row = self._active(signed.receipt.lease)
        if recover(receipt_digest(self._domain, signed.receipt), signed.signature) != row.terms.signer:
            raise Rejected(
                "bad-signature",
                f"The receipt is not signed by the lease's signer {text(row.terms.signer)}.",
                "Sign it with the key that the bid names as signer.",
            )
        self._check_bound(row, signed.receipt.milliseconds, at)
        with self._books.transaction() as unit:
            self._keep(unit, row, signed, at)

    def give_up(self, row: LeaseRow, at: int) -> None:
        """The agent of an open lease is lost: end the lease at what was reported, where we may sign."""
        with self._books.transaction() as unit:
            unit.record(AgentLost(lease=row.id, provider=row.terms.provider, at=at))
            if row.terms.signer == self._key.address and not (row.receipt and row.receipt.receipt.last):
                usage = row.usage
                fact = UsageReported(
                    lease=row.id,
                    milliseconds=usage.milliseconds if usage else 0,
                    cpu_ns=usage.cpu_ns if usage else 0,
                    peak_bytes=usage.peak_bytes if usage else 0,
                    evidence=usage.evidence if usage else NO_DIGEST,
                    last=True,
                    at=at,
                )
                self._cosign(unit, row, fact)

    def sweep(self, at: int) -> None:
        """Wish for what is due on every open lease: an unsettled receipt, or the close after its end."""
        for row in self._books.queries.leases(states=(LeaseState.ACTIVE,)):
            wish = self._due(row, at)
            if wish is not None:
                with self._books.transaction() as unit:
                    wish(unit)

    def _due(self, row: LeaseRow, at: int) -> Callable[[Unit], object] | None:
        lease = _as_lease(row)
        over = at >= lease.closable_at(self._policy.grace) + CLOSE_MARGIN_SECONDS
        best = row.receipt
        unsettled = best is not None and (
            best.receipt.last or lease.due(best.receipt.milliseconds) > row.paid
        )
        slot = at // REPEAT_SECONDS
        if best is not None and unsettled and (over or best.receipt.last or self._interim_due(row, best)):
            key = f"settle:{row.id.hex()}:{best.receipt.milliseconds}:{best.receipt.last}"
            fresh = best.receipt.last and at - self._signed_at(row) < REPEAT_SECONDS
            again = "" if fresh else f":{slot}"
            settle = SettleReceipt(terms=row.terms, signed=best)
            return lambda unit: unit.wish(key + again, settle, at)
        if over:
            close = CloseLease(lease=row.id, terms=row.terms)
            return lambda unit: unit.wish(f"close:{row.id.hex()}:{slot}", close, at)
        return None

    @staticmethod
    def _interim_due(row: LeaseRow, best: SignedReceipt) -> bool:
        settled = row.paid * 3_600_000_000 // max(1, row.terms.rate)
        return best.receipt.milliseconds - settled >= INTERIM_SECONDS * 1000

    @staticmethod
    def _signed_at(row: LeaseRow) -> int:
        return row.usage.at if row.usage else 0

    def _active(self, lease: LeaseId) -> LeaseRow:
        row = self._books.queries.lease(lease)
        if row is None:
            raise Rejected("unknown-lease", f"There is no lease {text(lease)}.", "Read the chain again.")
        if row.state is not LeaseState.ACTIVE:
            raise LostRace(
                "lease-not-active",
                f"The lease {text(lease)} is {row.state.value}.",
                "Wait until it is open, or stop its job if it is closed.",
            )
        return row

    @staticmethod
    def _check_bound(row: LeaseRow, milliseconds: int, at: int) -> None:
        allowed = _as_lease(row).billable(milliseconds, at)
        if allowed < milliseconds:
            raise Rejected(
                "usage-beyond-bound",
                f"{milliseconds} ms are reported, {allowed} ms are possible at the node's time {at}.",
                "Report at most the time that the lease stood open; if this repeats, set your clock.",
                allowed=allowed,
            )

    def _cosign(self, unit: Unit, row: LeaseRow, fact: UsageReported) -> SignedReceipt:
        receipt = UsageReceipt(
            lease=fact.lease, milliseconds=fact.milliseconds, evidence=fact.evidence, last=fact.last
        )
        signature = self._key.sign(receipt_digest(self._domain, receipt))
        signed = SignedReceipt(receipt=receipt, signature=signature)
        self._keep(unit, row, signed, fact.at)
        return signed

    def _keep(self, unit: Unit, row: LeaseRow, signed: SignedReceipt, at: int) -> None:
        unit.record(ReceiptCosigned(signed=signed, at=at))
        if signed.receipt.last:
            key = f"settle:{row.id.hex()}:{signed.receipt.milliseconds}:True"
            unit.wish(key, SettleReceipt(terms=row.terms, signed=signed), at)


def _as_lease(row: LeaseRow) -> Lease:
    assert row.start is not None
    return Lease(
        terms=row.terms, start=row.start, escrow=row.escrow, paid=row.paid, ended_after=row.ended_after
    )
