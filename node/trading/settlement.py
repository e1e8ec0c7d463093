"""Settlement: which usage the node co-signs, and which receipts and closes it wishes for on the chain.

The node signs only where the bid named it as signer, never beyond the time that the lease stood open,
never less than before, and nothing after a last receipt. A lease whose agent fell silent ends with a last
receipt at what was reported, so that the rest is refunded without waiting for the grace period. A replica's
usage is kept but not signed before the jury's verdict; then one last receipt pays who showed a result
and was not convicted. Every decision is made inside the unit of work that keeps it, so that two reports
at once cannot cross.
"""

from collections.abc import Sequence

from ledger.books.books import Books
from ledger.books.rows import JobRow, LeaseRow
from ledger.books.unit_of_work import Unit
from ledger.chain.keyring import Keyring
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, receipt_digest, receipt_message
from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import AgentLost, BidWithdrawn, ReceiptCosigned, UsageReported
from ledger.market.identity import NO_DIGEST, LeaseId, text
from ledger.market.instructions import CloseLease, Instruction, SettleReceipt
from ledger.market.lease import Lease
from ledger.market.lifecycle import CANCELLED_BY_BUYER, LeaseState
from ledger.market.money import MILLISECONDS, RATE_DIVISOR
from ledger.market.policy import Policy
from ledger.market.receipt import SignedReceipt, UsageReceipt
from node.trading.open_lease import (
    as_lease,
    check_bound,
    check_not_continued,
    check_open,
    check_unclaimed,
    is_being_continued,
    known_lease,
    payable,
)
from node.trading.usage_lines import UsageLines, check_evidence
from node.trading.wishing import MARGIN_SECONDS, wish_again

INTERIM_SECONDS = 600
"""an open lease's best receipt is settled at least this often, so that a provider's exposure is bounded"""


class Settlement:
    """Co-signs with the one of `keys` that a lease names, and turns receipts into wishes; each step may be
    repeated."""

    def __init__(self, books: Books, domain: Domain, keys: Keyring, policy: Policy) -> None:
        self._books = books
        self._domain = domain
        self._keys = keys
        self._policy = policy
        self._lines = UsageLines()

    def report(self, fact: UsageReported) -> SignedReceipt | None:
        """Take an agent's next usage line; the co-signed receipt, or None while nobody here may sign: another
        signer must, or a verdict or the decision of a claim is awaited.

        A line that a receipt already covers, or that comes after a last receipt, is answered with it; so is
        one on a lease that is being continued, which tells the agent that its signer is there. `LostRace`
        "usage-lines-differ" where it is not the next line after those that are held here.
        """
        with self._books.transaction() as unit:
            row = known_lease(unit.queries, fact.lease)
            known = row.receipt
            if known is not None and known.receipt.last:
                return known
            held = self._lines.holds(unit.queries, fact)
            if held and _is_answered(row, fact):
                return known
            check_open(row)
            if row.agent_lost_at is not None:
                raise LostRace("lease-ended", "The lease was ended as its agent was silent.", "Stop the job.")
            if not held:
                check_bound(row, fact.milliseconds, fact.at)
                self._lines.check_next(unit.queries, row, fact)
                unit.record(fact)
            if self._may_sign(unit, row):
                return self._cosign(unit, row, fact, fact.at)
            return known if is_being_continued(unit.queries, row) else None

    def accept(self, signed: SignedReceipt, at: int) -> None:
        """Take a receipt that the bid's signer signed elsewhere."""
        with self._books.transaction() as unit:
            row = known_lease(unit.queries, signed.receipt.lease)
            if recover(receipt_digest(self._domain, signed.receipt), signed.signature) != row.terms.signer:
                raise Rejected(
                    "bad-signature",
                    f"The receipt is not signed by the lease's signer {text(row.terms.signer)}.",
                    "Sign it with the key that the bid names as signer.",
                )
            if row.receipt == signed:
                return
            check_open(row)
            check_unclaimed(row)
            check_not_continued(unit.queries, row)
            check_bound(row, signed.receipt.milliseconds, at)
            check_evidence(unit.queries, signed.receipt)
            self._keep(unit, row, signed, at)

    def give_up(self, lease: LeaseId, at: int) -> None:
        """The agent of an open lease is lost: end the lease at what was reported, where we may sign.

        Not so a replica's, which the node cannot end: its agent may come back, and show its result in time.
        """
        with self._books.transaction() as unit:
            row = known_lease(unit.queries, lease)
            over = row.state is not LeaseState.ACTIVE or row.agent_lost_at is not None or _ended(row)
            if over or row.undecided or is_being_continued(unit.queries, row):
                return
            unit.record(AgentLost(lease=row.id, provider=row.terms.provider, at=at))
            if self._may_sign(unit, row):
                self._cosign(unit, row, _final_report(row, at), at)

    def end(self, job: JobRow, rows: Sequence[LeaseRow], at: int) -> None:
        """End the open leases `rows` of a job for its buyer: each with a last receipt at what was reported,
        and no further attempt. `LostRace` or `Rejected`, and nothing is ended, where one cannot be."""
        with self._books.transaction() as unit:
            for row in (known_lease(unit.queries, row.id) for row in rows):
                if not _ended(row):
                    self._check_endable(unit, row)
                    self._cosign(unit, row, _final_report(row, at), at)
            cause = "The buyer ended the job."
            unit.record(BidWithdrawn(job=job.job, code=CANCELLED_BY_BUYER, cause=cause, at=at))

    def sweep(self, at: int) -> None:
        """Wish for what is due on every open lease: an unsettled receipt, or the close after its end."""
        queries = self._books.queries
        continued = {row.continues for row in queries.leases(states=(LeaseState.PLANNED,))}
        for row in queries.leases(states=(LeaseState.ACTIVE,)):
            if row.undecided or row.claim is not None or row.id in continued:
                continue
            if _lacks_its_last(row) and self._signs(row):
                self._sign_the_last(row.id, at)
            elif (due := self._due(row, at)) is not None:
                wish_again(self._books, *due, at)

    def _sign_the_last(self, lease: LeaseId, at: int) -> None:
        with self._books.transaction() as unit:
            row = known_lease(unit.queries, lease)
            if _lacks_its_last(row) and self._may_sign(unit, row):
                self._cosign(unit, row, _final_report(row, at), at)

    def _check_endable(self, unit: Unit, row: LeaseRow) -> None:
        if not self._signs(row):
            raise Rejected(
                "not-the-signer",
                f"{text(row.terms.signer)} signs for the lease {text(row.id)}, not this node.",
                "End it with the buyer's terminate transaction, or sign its last receipt yourself.",
            )
        check_open(row)
        check_unclaimed(row)
        check_not_continued(unit.queries, row)

    def _due(self, row: LeaseRow, at: int) -> tuple[str, Instruction] | None:
        lease = as_lease(row)
        over = at >= lease.closable_at(self._policy.grace) + MARGIN_SECONDS
        best = self._settleable(row, lease)
        if best is not None and (over or best.receipt.last or _interim_due(row, best.receipt)):
            return _settle_key(best.receipt), SettleReceipt(terms=row.terms, signed=best)
        if over:
            return f"close:{row.id.hex()}", CloseLease(lease=row.id, terms=row.terms)
        return None

    def _settleable(self, row: LeaseRow, lease: Lease) -> SignedReceipt | None:
        """The best receipt where the contract still takes it, None where nothing is left to settle."""
        best = row.receipt
        if best is None or _is_cut_off(row):
            return None
        due = lease.due(best.receipt.milliseconds)
        news = due >= row.paid if best.receipt.last else due > row.paid
        return best if news else None

    def _signs(self, row: LeaseRow) -> bool:
        return self._keys.holding(row.terms.signer) is not None

    def _may_sign(self, unit: Unit, row: LeaseRow) -> bool:
        return self._signs(row) and payable(row) and not is_being_continued(unit.queries, row)

    def _cosign(self, unit: Unit, row: LeaseRow, fact: UsageReported, at: int) -> SignedReceipt:
        before = row.receipt.receipt.milliseconds if row.receipt is not None else 0
        # A line that was held before a termination may say more than can be paid since.
        allowed = as_lease(row).billable(fact.milliseconds, at)
        receipt = UsageReceipt(
            lease=row.id,
            milliseconds=min(max(before, allowed), _end_of(row)),
            evidence=fact.evidence,
            last=fact.last,
        )
        signed = self._signed(row, receipt)
        self._keep(unit, row, signed, at)
        return signed

    def _signed(self, row: LeaseRow, receipt: UsageReceipt) -> SignedReceipt:
        key = self._keys.holding(row.terms.signer)
        assert key is not None
        signature = key.sign_typed(receipt_message(self._domain, receipt))
        return SignedReceipt(receipt=receipt, signature=signature)

    def _keep(self, unit: Unit, row: LeaseRow, signed: SignedReceipt, at: int) -> None:
        unit.record(ReceiptCosigned(signed=signed, at=at))
        if signed.receipt.last:
            unit.wish(_settle_key(signed.receipt), SettleReceipt(terms=row.terms, signed=signed), at)


def _settle_key(receipt: UsageReceipt) -> str:
    return f"settle:{receipt.lease.hex()}:{receipt.milliseconds}:{receipt.last}"


def _is_answered(row: LeaseRow, fact: UsageReported) -> bool:
    """Whether nothing is left to sign for a held line: a receipt is for it, or later lines are held too."""
    covered = row.receipt is not None and row.receipt.receipt.evidence == fact.evidence
    return covered or (row.usage is not None and row.usage.sequence != fact.sequence)


def _end_of(row: LeaseRow) -> int:
    """Milliseconds from its start to the end of an open lease: its duration's, or its buyer's termination."""
    return as_lease(row).seconds() * MILLISECONDS


def _is_cut_off(row: LeaseRow) -> bool:
    """Whether more was agreed to than the lease lasted: it was terminated since."""
    return row.receipt is not None and row.receipt.receipt.milliseconds > _end_of(row)


def _lacks_its_last(row: LeaseRow) -> bool:
    """Whether only a last receipt is missing, at what was reported: the jury decided for a replica, or a
    termination cut off time that was agreed to, and the contract would skip that receipt for ever."""
    return (_is_judged(row) and not _ended(row)) or _is_cut_off(row)


def _final_report(row: LeaseRow, at: int) -> UsageReported:
    """What was reported last, as the last report; within the end that a buyer's termination set.

    It is the node's own word and no line: the receipt's `evidence` is the root over the agent's lines.
    """
    usage, end = row.usage, _end_of(row)
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


def _ended(row: LeaseRow) -> bool:
    """Whether a last receipt was signed."""
    return row.receipt is not None and row.receipt.receipt.last


def _is_judged(row: LeaseRow) -> bool:
    """Whether this open lease is a replica that showed its result and that the jury did not convict."""
    return row.agree > 0 and payable(row)
