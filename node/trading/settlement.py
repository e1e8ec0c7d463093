"""Settlement: which usage the node co-signs, and which receipts and closes it wishes for on the chain.

The node signs only where the bid named it as signer, never beyond the time that the lease stood open,
never less than before, and nothing after a last receipt. A lease whose agent fell silent ends with a last
receipt at what was reported, so that the rest is refunded without waiting for the grace period. Every
decision is made inside the unit of work that keeps it, so that two reports at once cannot cross.
"""

from dataclasses import replace

from ledger.books.books import Books
from ledger.books.rows import LeaseRow
from ledger.books.unit_of_work import Unit
from ledger.chain.keys import Signer
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, receipt_digest
from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import AgentLost, ReceiptCosigned, UsageReported
from ledger.market.identity import NO_DIGEST, LeaseId, text
from ledger.market.instructions import CloseLease, Instruction, SettleReceipt
from ledger.market.lease import Lease
from ledger.market.lifecycle import LeaseState
from ledger.market.money import MILLISECONDS, RATE_DIVISOR
from ledger.market.outbox import IntentState
from ledger.market.policy import Policy
from ledger.market.receipt import SignedReceipt, UsageReceipt

CLOSE_MARGIN_SECONDS = 2
INTERIM_SECONDS = 600
"""an open lease's best receipt is settled at least this often, so that a provider's exposure is bounded"""
REPEAT_SECONDS = 60
"""a wish that took no effect is wished again after this long, after twice as long the next time, and so on"""


class Settlement:
    """Co-signs with `key`, and turns receipts into wishes; everything is idempotent."""

    def __init__(self, books: Books, domain: Domain, key: Signer, policy: Policy) -> None:
        self._books = books
        self._domain = domain
        self._key = key
        self._policy = policy

    def report(self, fact: UsageReported) -> SignedReceipt | None:
        """Take an agent's usage report; the co-signed receipt, or None while another signer must sign.

        A report that a receipt already covers, or that comes after a last one, is answered with it.
        """
        with self._books.transaction() as unit:
            row = _known(unit, fact.lease)
            known = row.receipt
            if known is not None and _covers(known.receipt, fact):
                return known
            _check_open(row)
            if row.agent_lost_at is not None:
                raise LostRace("lease-ended", "The lease was ended as its agent was silent.", "Stop the job.")
            _check_bound(row, fact.milliseconds, fact.at)
            unit.record(fact)
            return self._cosign(unit, row, fact, fact.at) if self._signs(row) else None

    def accept(self, signed: SignedReceipt, at: int) -> None:
        """Take a receipt that the bid's signer signed elsewhere."""
        with self._books.transaction() as unit:
            row = _known(unit, signed.receipt.lease)
            if recover(receipt_digest(self._domain, signed.receipt), signed.signature) != row.terms.signer:
                raise Rejected(
                    "bad-signature",
                    f"The receipt is not signed by the lease's signer {text(row.terms.signer)}.",
                    "Sign it with the key that the bid names as signer.",
                )
            if row.receipt == signed:
                return
            _check_open(row)
            _check_bound(row, signed.receipt.milliseconds, at)
            self._keep(unit, row, signed, at)

    def give_up(self, lease: LeaseId, at: int) -> None:
        """The agent of an open lease is lost: end the lease at what was reported, where we may sign."""
        with self._books.transaction() as unit:
            row = _known(unit, lease)
            ended = row.receipt is not None and row.receipt.receipt.last
            if row.state is not LeaseState.ACTIVE or row.agent_lost_at is not None or ended:
                return
            unit.record(AgentLost(lease=row.id, provider=row.terms.provider, at=at))
            if self._signs(row):
                self._cosign(unit, row, _final_report(row, at), at)

    def sweep(self, at: int) -> None:
        """Wish for what is due on every open lease: an unsettled receipt, or the close after its end."""
        for row in self._books.queries.leases(states=(LeaseState.ACTIVE,)):
            due = self._due(row, at)
            if due is not None:
                self._wish(*due, at)

    def _due(self, row: LeaseRow, at: int) -> tuple[str, Instruction] | None:
        lease = _as_lease(row)
        over = at >= lease.closable_at(self._policy.grace) + CLOSE_MARGIN_SECONDS
        best = self._settleable(row, lease)
        if best is not None and (over or best.receipt.last or _interim_due(row, best.receipt)):
            return _settle_key(best.receipt), SettleReceipt(terms=row.terms, signed=best)
        if over:
            return f"close:{row.id.hex()}", CloseLease(lease=row.id, terms=row.terms)
        return None

    def _settleable(self, row: LeaseRow, lease: Lease) -> SignedReceipt | None:
        """The best receipt that the contract still takes, None where nothing is left to settle.

        A termination may cut off time that was agreed to a moment before: the contract would skip that
        receipt for ever, so the node, where it signs, agrees to the time up to the end instead.
        """
        best, end = row.receipt, lease.seconds() * MILLISECONDS
        if best is None:
            return None
        if best.receipt.milliseconds > end:
            if not self._signs(row):
                return None
            best = self._signed(replace(best.receipt, milliseconds=end, last=True))
        due = lease.due(best.receipt.milliseconds)
        news = due >= row.paid if best.receipt.last else due > row.paid
        return best if news else None

    def _wish(self, name: str, instruction: Instruction, at: int) -> None:
        """Wish once, and again only where the last wish is done with and long took no effect."""
        tries, key = 1, name
        while (known := self._books.queries.intent(key)) is not None:
            waits = known.state in (IntentState.PENDING, IntentState.SENT)
            if waits or 0 <= at - known.created_at < REPEAT_SECONDS * tries:
                return
            tries, key = tries + 1, f"{name}:{tries + 1}"
        with self._books.transaction() as unit:
            unit.wish(key, instruction, at)

    def _signs(self, row: LeaseRow) -> bool:
        return row.terms.signer == self._key.address

    def _cosign(self, unit: Unit, row: LeaseRow, fact: UsageReported, at: int) -> SignedReceipt:
        before = row.receipt.receipt.milliseconds if row.receipt is not None else 0
        receipt = UsageReceipt(
            lease=row.id,
            milliseconds=max(before, fact.milliseconds),
            evidence=fact.evidence,
            last=fact.last,
        )
        signed = self._signed(receipt)
        self._keep(unit, row, signed, at)
        return signed

    def _signed(self, receipt: UsageReceipt) -> SignedReceipt:
        signature = self._key.sign(receipt_digest(self._domain, receipt))
        return SignedReceipt(receipt=receipt, signature=signature)

    def _keep(self, unit: Unit, row: LeaseRow, signed: SignedReceipt, at: int) -> None:
        unit.record(ReceiptCosigned(signed=signed, at=at))
        if signed.receipt.last:
            unit.wish(_settle_key(signed.receipt), SettleReceipt(terms=row.terms, signed=signed), at)


def _settle_key(receipt: UsageReceipt) -> str:
    return f"settle:{receipt.lease.hex()}:{receipt.milliseconds}:{receipt.last}"


def _covers(receipt: UsageReceipt, fact: UsageReported) -> bool:
    return receipt.last or (receipt.milliseconds >= fact.milliseconds and not fact.last)


def _final_report(row: LeaseRow, at: int) -> UsageReported:
    """What was reported last, as the last report; within the end that a buyer's termination set."""
    usage, end = row.usage, _as_lease(row).seconds() * MILLISECONDS
    return UsageReported(
        lease=row.id,
        milliseconds=min(usage.milliseconds, end) if usage else 0,
        cpu_ns=usage.cpu_ns if usage else 0,
        peak_bytes=usage.peak_bytes if usage else 0,
        evidence=usage.evidence if usage else NO_DIGEST,
        last=True,
        at=at,
    )


def _interim_due(row: LeaseRow, best: UsageReceipt) -> bool:
    settled = row.paid * RATE_DIVISOR // max(1, row.terms.rate)
    return best.milliseconds - settled >= INTERIM_SECONDS * MILLISECONDS


def _known(unit: Unit, lease: LeaseId) -> LeaseRow:
    row = unit.queries.lease(lease)
    if row is None:
        raise Rejected("unknown-lease", f"There is no lease {text(lease)}.", "Read the chain again.")
    return row


def _check_open(row: LeaseRow) -> None:
    if row.state is LeaseState.CLOSED:
        raise LostRace("lease-ended", f"The lease {text(row.id)} is closed.", "Stop its job.")
    if row.state is not LeaseState.ACTIVE:
        raise LostRace(
            "lease-not-active",
            f"The lease {text(row.id)} is {row.state.value} as far as this node has followed the chain.",
            "Wait until it is open.",
        )


def _check_bound(row: LeaseRow, milliseconds: int, at: int) -> None:
    allowed = _as_lease(row).billable(milliseconds, at)
    if allowed < milliseconds:
        raise Rejected(
            "usage-beyond-bound",
            f"{milliseconds} ms are reported, {allowed} ms are possible at the node's time {at}.",
            "Report at most the time that the lease stood open; if this repeats, set your clock.",
            allowed=allowed,
        )


def _as_lease(row: LeaseRow) -> Lease:
    assert row.start is not None
    return Lease(
        terms=row.terms, start=row.start, escrow=row.escrow, paid=row.paid, ended_after=row.ended_after
    )
