"""The buyer's own pen: agrees to usage that it can check itself, so that the node cannot bill for it.

A report is signed only for a lease whose id is the hash of its terms, whose terms name this key as
signer, whose offer keeps what the job's document asks for, and only up to the time that passed since the
chain opened it. Cumulative: a smaller report than one already signed is never signed, nor one whose root is
not that of the lease's lines, or whose lines do not begin with those signed for (`node.buying.usage_lines`).
A replica's is signed once the jury has judged it and its provider has shown a result.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ledger.chain.client import ChainLease
from ledger.chain.documents import document_hash
from ledger.chain.keys import Signer
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, bid_id, lease_id, offer_id, receipt_digest, receipt_message
from ledger.market.identity import Address, Digest, LeaseId, OfferId, from_text, text
from ledger.market.job import Job
from ledger.market.keeping import Place, particular, unkept
from ledger.market.lease import Lease, LeaseTerms
from ledger.market.money import MILLISECONDS
from ledger.market.offer_document import OfferDocument, offer_document_from_plain
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.wire import (
    bid_from_plain,
    offer_from_plain,
    signed_receipt_from_plain,
    signed_receipt_to_plain,
    terms_from_plain,
)
from node.buying.client import NodeClient, Plain
from node.buying.shown import shown_job
from node.buying.usage_lines import AgreedLines, read_lines, report_refused


class LeaseSource(Protocol):
    """What the chain itself says of a lease."""

    def lease_of(self, lease: LeaseId) -> ChainLease | None: ...

    def result_of(self, lease: LeaseId) -> Digest | None:
        """What a replica's provider revealed to the jury; None for none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """A lease whose terms, bid and place were found to be what they should."""

    terms: LeaseTerms
    replicated: bool


@dataclass(kw_only=True)
class Cosigner:
    """Signs with one key for one market; remembers what it checked and signed."""

    domain: Domain
    key: Signer
    node: NodeClient
    chain: LeaseSource
    clock: Callable[[], float]
    _checked: dict[LeaseId, _Checked] = field(default_factory=dict)
    _signed: dict[LeaseId, int] = field(default_factory=dict)
    _lines: dict[LeaseId, AgreedLines] = field(default_factory=dict)

    def step(self, job: Plain) -> list[SignedReceipt]:
        """Sign and deliver the reports that wait for this job's open leases.

        `Rejected` where the node shows something that does not hold: then nothing was signed for that lease.
        """
        names = [str(lease["lease"]) for lease in job["leases"] if lease["state"] == "active"]
        steps = [self._step(LeaseId(from_text(name, 32))) for name in names]
        return [signed for signed in steps if signed is not None]

    def _step(self, lease: LeaseId) -> SignedReceipt | None:
        found = self.chain.lease_of(lease)
        if found is None or found.undecided:
            return None
        checked = self._check(lease, found.start)
        if checked.terms.signer != self.key.address:
            return None
        if checked.replicated and self.chain.result_of(lease) is None:
            return None
        report = self.node.usage(text(lease))["usage"]
        if not report or (report["milliseconds"] <= self._signed.get(lease, -1) and not report["last"]):
            return None
        return self._sign(lease, checked.terms, found, report)

    def _sign(self, lease: LeaseId, terms: LeaseTerms, found: ChainLease, report: Plain) -> SignedReceipt:
        on_chain, last = found.of(terms), bool(report["last"])
        # A line that was reported before a termination may say more than can be paid since.
        milliseconds = min(int(report["milliseconds"]), on_chain.seconds() * MILLISECONDS)
        check_report(on_chain, milliseconds, self._signed.get(lease, 0), int(self.clock()))
        lines = read_lines(self.node, lease, report, self._lines.get(lease, AgreedLines()))
        receipt = UsageReceipt(lease=lease, milliseconds=milliseconds, evidence=lines.root, last=last)
        signature = self.key.sign_typed(receipt_message(self.domain, receipt))
        signed = SignedReceipt(receipt=receipt, signature=signature)
        # Signed is signed, also where the answer is lost: no later root may leave these lines out.
        self._lines[lease] = AgreedLines(tree=lines.tree, signed=lines.root)
        self.node.deliver_receipt(text(lease), signed_receipt_to_plain(signed))
        self._signed[lease] = milliseconds
        return signed

    def _check(self, lease: LeaseId, start: int) -> _Checked:
        if lease not in self._checked:
            shown = self.node.lease(text(lease))
            terms, bid = terms_from_plain(shown["terms"]), bid_from_plain(shown["bid"])
            if lease_id(self.domain, terms) != lease or bid_id(self.domain, bid) != terms.bid:
                raise report_refused("The lease's terms are not those that its id stands for.")
            self._check_place(terms, self._job(bid.job), start)
            self._recall(lease, shown.get("receipt"))
            self._checked[lease] = _Checked(terms=terms, replicated=bid.replicated)
        return self._checked[lease]

    def _recall(self, lease: LeaseId, shown: object) -> None:
        """What this key signed before it forgot: the node shows the best receipt that it has."""
        if shown is None:
            return
        signed = signed_receipt_from_plain(lease, shown)
        if recover(receipt_digest(self.domain, signed.receipt), signed.signature) == self.key.address:
            self._signed[lease] = signed.receipt.milliseconds
            self._lines[lease] = AgreedLines(signed=signed.receipt.evidence)

    def _job(self, wanted: Digest) -> Job:
        job = shown_job(self.node, wanted)
        if job is None:
            raise report_refused("The job document is not the one that the bid names.")
        return job

    def _check_place(self, terms: LeaseTerms, job: Job, start: int) -> None:
        if not particular(job):
            return
        place = Place(
            provider=terms.provider,
            document=self._document_of(terms.offer, terms.provider),
            start=start,
            end=start + terms.duration,
        )
        broken = next(unkept(job, place), None)
        if broken is not None:
            raise report_refused(f"The lease breaks the job's document: {broken[1]}")

    def _document_of(self, wanted: OfferId, provider: Address) -> OfferDocument:
        for shown in self.node.offers():
            if shown["id"] != text(wanted):
                continue
            offer = offer_from_plain(shown["offer"])
            genuine = offer_id(self.domain, offer) == wanted and offer.provider == provider
            if not genuine or document_hash(shown["document"]) != offer.document:
                raise report_refused("The offer that the node shows is not the one of the lease.")
            return offer_document_from_plain(shown["document"])
        raise report_refused("The node does not show the lease's offer.")


def check_report(lease: Lease, milliseconds: int, signed: int, at: int) -> None:
    """Whether a report at `at` may be agreed to: not above the time that passed, not below the last."""
    if milliseconds < signed:
        raise report_refused(f"{milliseconds} ms are reported after {signed} ms were signed.")
    if milliseconds > lease.billable(milliseconds, at):
        raise report_refused(f"{milliseconds} ms are reported, more than the lease has been open.")
