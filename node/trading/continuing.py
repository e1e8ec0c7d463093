"""Continuing: a running lease becomes the next one, and its container never stops.

One call closes the old lease with its last receipt and opens the next. That receipt exists inside the
wish alone. It is never recorded as co-signed, so nothing else can deliver it, and a wish that fails leaves
a lease which is reported, co-signed and settled as if nothing had been tried. While the wish is under
way, nothing more is co-signed on the old lease: a receipt beyond the last one would make the call fail.
(Who watches a public mempool can take the receipt out of the call and end the old lease with it, at what
is due; the buyer then orders anew.)
"""

from ledger.books.queries import Queries
from ledger.books.rows import LeaseRow, OfferRow
from ledger.books.unit_of_work import Unit
from ledger.chain.keyring import Keyring
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, bid_id, lease_id, receipt_digest, receipt_message
from ledger.market.bid import Bid, SignedBid
from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import NO_DIGEST, text
from ledger.market.instructions import ContinueLease
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.receipt import SignedReceipt, UsageReceipt
from node.trading.open_lease import (
    as_lease,
    check_bound,
    check_not_continued,
    check_open,
    check_unclaimed,
    metered_until,
)
from node.trading.usage_lines import check_evidence


class Continuing:
    """Makes continuations; the one of `keys` that a lease names signs its last receipt."""

    def __init__(self, domain: Domain, keys: Keyring) -> None:
        self._domain = domain
        self._keys = keys

    def plan(
        self,
        unit: Unit,
        previous: LeaseRow,
        signed: SignedBid,
        at: int,
        receipt: SignedReceipt | None = None,
    ) -> ContinueLease:
        """The wish that continues `previous` with `signed`, at the offer's ask; the caller records the
        plan and wishes it in the same unit.

        `receipt` is the old lease's last one, where the node is not its signer. `LostRace` where the old
        lease has ended, is claimed or is being continued; `Rejected` where the bid does not fit it.
        """
        offer = _offer_of(unit, previous)
        self._check(unit, previous, signed.bid, offer)
        _check_running(previous, at)
        rate = rate_of(offer.offer.ask, signed.bid.want)
        return ContinueLease(
            lease=lease_id(self._domain, self.terms(previous, signed, rate)),
            previous=previous.terms,
            receipt=self._last_receipt(unit.queries, previous, receipt, at),
            offer_id=offer.id,
            offer=offer.offer,
            signed=signed,
            rate=rate,
        )

    def terms(self, previous: LeaseRow, signed: SignedBid, rate: int) -> LeaseTerms:
        """The terms of the lease that follows; `rate` is milli-base-units per hour."""
        bid = signed.bid
        return LeaseTerms(
            offer=previous.terms.offer,
            bid=bid_id(self._domain, bid),
            member=0,
            provider=previous.terms.provider,
            buyer=bid.buyer,
            signer=bid.signer,
            matcher=bid.matcher,
            want=bid.want,
            rate=rate,
            duration=bid.duration,
        )

    def _check(self, unit: Unit, previous: LeaseRow, bid: Bid, offer: OfferRow) -> None:
        _check_names(previous, bid)
        check_open(previous)
        check_unclaimed(previous)
        check_not_continued(unit.queries, previous)
        _check_fits(previous, bid, offer)

    def _last_receipt(
        self, queries: Queries, previous: LeaseRow, brought: SignedReceipt | None, at: int
    ) -> SignedReceipt:
        """For the time up to now, over the lines up to the newest: no line tells of the time since that."""
        key = self._keys.holding(previous.terms.signer)
        if key is None:
            return self._checked(queries, previous, brought, at)
        before = previous.receipt.receipt.milliseconds if previous.receipt else 0
        receipt = UsageReceipt(
            lease=previous.id,
            milliseconds=max(before, metered_until(previous, at)),
            evidence=previous.usage.evidence if previous.usage else NO_DIGEST,
            last=True,
        )
        return SignedReceipt(
            receipt=receipt, signature=key.sign_typed(receipt_message(self._domain, receipt))
        )

    def _checked(
        self, queries: Queries, previous: LeaseRow, brought: SignedReceipt | None, at: int
    ) -> SignedReceipt:
        if brought is None or brought.receipt.lease != previous.id or not brought.receipt.last:
            raise Rejected(
                "last-receipt-missing",
                f"{text(previous.terms.signer)} signs for the lease {text(previous.id)}, not this node.",
                "Send the lease's last receipt, signed by its signer, with the bid.",
            )
        if recover(receipt_digest(self._domain, brought.receipt), brought.signature) != previous.terms.signer:
            raise Rejected(
                "bad-signature",
                f"The last receipt is not signed by the lease's signer {text(previous.terms.signer)}.",
                "Sign it with the key that the old bid names as signer.",
            )
        check_bound(previous, brought.receipt.milliseconds, at)
        check_evidence(queries, brought.receipt)
        known = previous.receipt.receipt.milliseconds if previous.receipt else 0
        if brought.receipt.milliseconds < known:
            raise Rejected(
                "receipt-too-small",
                f"The last receipt says {brought.receipt.milliseconds} ms, {known} ms are agreed already.",
                "Sign the time that the job has run up to now.",
            )
        return brought


def _offer_of(unit: Unit, previous: LeaseRow) -> OfferRow:
    offer = unit.queries.offer(previous.terms.offer)
    if offer is None or offer.cancelled or offer.void:
        raise LostRace(
            "offer-gone", "The offer of the lease takes no more leases.", "Submit the job to another offer."
        )
    return offer


def _check_names(previous: LeaseRow, bid: Bid) -> None:
    if bytes(bid.continues) != previous.id or bid.buyer != previous.terms.buyer:
        raise Rejected(
            "not-its-next",
            f"The bid does not continue the lease {text(previous.id)} of its buyer.",
            "Sign the bid with the lease's id and the lease's buyer.",
        )


def _check_running(previous: LeaseRow, at: int) -> None:
    """A job that is over, or whose agent is silent, has nothing to go on with."""
    final = previous.phase is not None and previous.phase.final
    ended = previous.receipt is not None and previous.receipt.receipt.last
    cut = previous.ended_after is not None or previous.agent_lost_at is not None
    over = at >= as_lease(previous).closable_at(grace=0) or (
        previous.usage is not None and previous.usage.last
    )
    if final or ended or cut or over:
        raise LostRace(
            "lease-ended", f"The job of the lease {text(previous.id)} has ended.", "Submit a new one."
        )


def _check_fits(previous: LeaseRow, bid: Bid, offer: OfferRow) -> None:
    rate = rate_of(offer.offer.ask, bid.want)
    if rate > bid.limit_rate:
        raise Rejected(
            "above-limit",
            f"The offer asks {rate} milli-base-units an hour, the bid pays at most {bid.limit_rate}.",
            "Raise the bid's limit.",
            ask=str(rate),
        )
    if not offer.used.less(previous.terms.want).plus(bid.want).within(offer.offer.capacity):
        raise LostRace(
            "capacity-taken",
            "The offer has not so much capacity left beside its other leases.",
            "Ask for less, or submit a new job elsewhere.",
        )
