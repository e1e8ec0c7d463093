"""What must hold before anybody signs usage of a lease: asked in one place by all who sign.

A replica's time counts once the jury has found for it, and only where it showed a result: one that the
jury convicted is closed, and one that stayed silent is not paid. A lease that is claimed takes no receipt
until the claim is decided; one whose continuation is under way must keep the receipt that the
continuation carries as its best.
"""

from ledger.books.queries import Queries
from ledger.books.rows import LeaseRow
from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import LeaseId, text
from ledger.market.lease import Lease
from ledger.market.lifecycle import LeaseState
from ledger.market.money import MILLISECONDS


def known_lease(queries: Queries, lease: LeaseId) -> LeaseRow:
    """The row of the lease; `Rejected` where there is none."""
    row = queries.lease(lease)
    if row is None:
        raise Rejected("unknown-lease", f"There is no lease {text(lease)}.", "Read the chain again.")
    return row


def as_lease(row: LeaseRow) -> Lease:
    """The kernel's value of a lease that is, or was, open."""
    assert row.start is not None
    return Lease(
        terms=row.terms,
        start=row.start,
        escrow=row.escrow,
        paid=row.paid,
        ended_after=row.ended_after,
        undecided=row.undecided,
        claim=row.claim,
    )


def check_open(row: LeaseRow) -> None:
    """`LostRace` where the lease is not open as far as the chain was followed."""
    if row.state is LeaseState.CLOSED:
        raise LostRace("lease-ended", f"The lease {text(row.id)} is closed.", "Stop its job.")
    if row.state is not LeaseState.ACTIVE:
        raise LostRace(
            "lease-not-active",
            f"The lease {text(row.id)} is {row.state.value} as far as this node has followed the chain.",
            "Wait until it is open.",
        )


def check_unclaimed(row: LeaseRow) -> None:
    """`LostRace` where the contract takes no receipt: the lease is claimed, or a replica not yet judged."""
    if row.claim is not None:
        raise LostRace(
            "lease-claimed",
            f"The provider has claimed its pay for the lease {text(row.id)}.",
            "Contest the claim, or wait until it is decided.",
        )
    if row.undecided:
        raise LostRace(
            "lease-undecided",
            f"The lease {text(row.id)} is a replica whose result was not judged yet.",
            "Wait for the jury's verdict.",
        )


def check_bound(row: LeaseRow, milliseconds: int, at: int) -> None:
    """`Rejected` where the contract would find so much usage impossible."""
    allowed = as_lease(row).billable(milliseconds, at)
    if allowed < milliseconds:
        raise Rejected(
            "usage-beyond-bound",
            f"{milliseconds} ms are reported, {allowed} ms are possible at the node's time {at}.",
            "Report at most the time that the lease stood open; if this repeats, set your clock.",
            allowed=allowed,
        )


def payable(row: LeaseRow) -> bool:
    """Whether a receipt of this open lease may be signed now."""
    silent = row.agree > 0 and row.result is None
    return row.claim is None and not row.undecided and not silent


def is_being_continued(queries: Queries, row: LeaseRow) -> bool:
    """Whether the continuation of the lease, which is in the same job, is under way."""
    if row.job is None:
        return False
    planned = queries.leases(job=row.job, states=(LeaseState.PLANNED,))
    return any(one.continues == row.id for one in planned)


def check_not_continued(queries: Queries, row: LeaseRow) -> None:
    """`LostRace` where the continuation of the lease is under way."""
    if is_being_continued(queries, row):
        raise LostRace(
            "lease-continuing",
            f"The lease {text(row.id)} is being continued.",
            "Wait a moment, and look at its job again.",
        )


def metered_until(row: LeaseRow, at: int) -> int:
    """Milliseconds that the container has run at `at`: what was reported last and the time since then,
    never more than the lease stood open or may run. 0 before the first report."""
    usage = row.usage
    if usage is None:
        return 0
    since = 0 if usage.last else max(0, at - usage.at) * MILLISECONDS
    lease = as_lease(row)
    elapsed = max(0, at - lease.start) * MILLISECONDS
    return min(usage.milliseconds + since, max(elapsed, usage.milliseconds), lease.seconds() * MILLISECONDS)
