"""Whether a lease that the chain opened may run here: the agent trusts neither node nor matcher with it.

First what was signed must be what was opened, then the job's own document must permit this place, then the
owner's rules must permit the job. The answer is None, or the first thing that stands against it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.market.bid import Bid
from ledger.market.demand import check_bid_says
from ledger.market.domains import permits
from ledger.market.errors import Rejected
from ledger.market.identity import NOBODY, Address, BidId, Digest, LeaseId
from ledger.market.job import Job, same_but_resized
from ledger.market.keeping import Place, unkept
from ledger.market.lease import LeaseTerms
from ledger.market.offer_document import OfferDocument
from ledger.market.resource import Quantities
from provider_agent.lifecycle.lease_state import Ending

WHOLE_DEVICE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnersRules:
    """Whom the owner serves; an empty allow list allows all, and a deny list wins.

    `images` are config digests, the one name of an image that a buyer cannot choose. A buyer's domain is
    what the owner's own address book (`members`) says; a buyer who is not in it has none.
    """

    allow_buyers: frozenset[Address] = frozenset()
    deny_buyers: frozenset[Address] = frozenset()
    allow_images: frozenset[str] = frozenset()
    deny_images: frozenset[str] = frozenset()
    allow_domains: tuple[str, ...] = ()
    deny_domains: tuple[str, ...] = ()
    members: tuple[tuple[str, frozenset[Address]], ...] = ()

    def domains_of(self, buyer: Address) -> tuple[str, ...]:
        """The domains that the buyer belongs to, as the owner has written down."""
        return tuple(domain for domain, members in self.members if buyer in members)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """This agent, what it says of itself, and what it has free: `free` capacity and whole `devices`."""

    provider: Address
    document: OfferDocument
    free: Quantities
    devices: int
    image_budget: int
    """bytes kept for images"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A lease with what the node says stands behind it; `computed_*` are hashed by the agent itself."""

    id: LeaseId
    terms: LeaseTerms
    bid: Bid
    job: Job
    computed_lease: LeaseId
    computed_bid: BidId
    computed_job: Digest
    model_tag: int
    start: int
    """second at which the chain opened the lease"""
    before: Job | None = None
    """what the container runs that this lease takes over"""


def judge(candidate: Candidate, house: House, rules: OwnersRules) -> Ending | None:
    """What is against running it, None where nothing is."""
    for check in (_signed, _agreed, _same, _said, _placed, _possible, _welcome):
        why = next(check(candidate, house, rules), None)
        if why is not None:
            return why
    return None


Check = Callable[[Candidate, House, OwnersRules], Iterator[Ending]]


def _signed(candidate: Candidate, house: House, _rules: OwnersRules) -> Iterator[Ending]:
    terms, bid = candidate.terms, candidate.bid
    checks = (
        ("other-lease", "the lease's terms", candidate.computed_lease == candidate.id),
        ("other-bid", "the lease's bid", candidate.computed_bid == terms.bid),
        ("other-document", "the bid's job document", candidate.computed_job == bid.job),
    )
    for code, what, holds in checks:
        if not holds:
            yield Ending(code=code, cause=f"The node's answer does not hash to {what}.")
    if terms.provider != house.provider:
        yield Ending(code="other-provider", cause="The lease is not on an offer of this agent.")


def _agreed(candidate: Candidate, _house: House, _rules: OwnersRules) -> Iterator[Ending]:
    terms, bid = candidate.terms, candidate.bid
    checks = (
        ("buyer", terms.buyer == bid.buyer),
        ("signer", terms.signer == bid.signer),
        ("want", terms.want == bid.want),
        ("duration", terms.duration == bid.duration),
        ("member", terms.member < bid.members),
        ("rate", terms.rate <= bid.limit_rate),
        ("provider", bid.provider in (NOBODY, terms.provider)),
    )
    for name, holds in checks:
        if not holds:
            yield Ending(code="terms-differ", cause=f"The lease's {name} is not what the bid allows.")


def _same(candidate: Candidate, _house: House, _rules: OwnersRules) -> Iterator[Ending]:
    """A running container goes on with other limits, never with another job."""
    if candidate.before is not None and not same_but_resized(candidate.before, candidate.job):
        yield Ending(
            code="other-job", cause="The lease's document is not the running job's with other sizes."
        )


def _said(candidate: Candidate, _house: House, _rules: OwnersRules) -> Iterator[Ending]:
    try:
        check_bid_says(candidate.job, candidate.bid, candidate.model_tag)
    except Rejected as exc:
        yield Ending(code=exc.code, cause=exc.cause)


def _placed(candidate: Candidate, house: House, _rules: OwnersRules) -> Iterator[Ending]:
    place = Place(
        provider=house.provider,
        document=house.document,
        start=candidate.start,
        end=candidate.start + candidate.terms.duration,
    )
    for code, cause in unkept(candidate.job, place):
        yield Ending(code=code, cause=cause)


def _possible(candidate: Candidate, house: House, _rules: OwnersRules) -> Iterator[Ending]:
    job, wanted = candidate.job, candidate.job.accelerators
    if job.runtime not in house.document.runtimes:
        yield Ending(code="no-such-runtime", cause=f"The runtime {job.runtime} is not available here.")
    if job.network:
        yield Ending(code="no-network", cause="This agent lends no network.")
    if lacking := candidate.terms.want.lacking(house.free):
        lanes = ", ".join(f"{amount} of {lane}" for lane, amount in lacking.items())
        yield Ending(code="no-capacity", cause=f"The agent lacks {lanes}.")
    if wanted is not None and wanted.share != WHOLE_DEVICE:
        yield Ending(code="no-slices", cause="This agent lends whole devices only.")
    if wanted is not None and wanted.count > house.devices:
        yield Ending(code="no-device", cause=f"The agent has {house.devices} devices free.")
    if job.image.archive_bytes > house.image_budget:
        yield Ending(code="image-too-large", cause="The image is larger than the space for images.")


def _welcome(candidate: Candidate, _house: House, rules: OwnersRules) -> Iterator[Ending]:
    buyer, image = candidate.bid.buyer, candidate.job.image.config
    if buyer in rules.deny_buyers or (rules.allow_buyers and buyer not in rules.allow_buyers):
        yield Ending(code="buyer-not-served", cause="The owner does not serve this buyer.")
    if image in rules.deny_images or (rules.allow_images and image not in rules.allow_images):
        yield Ending(code="image-not-allowed", cause="The owner does not run this image.")
    domains = rules.domains_of(buyer) or ("",)
    denied = any(not permits(domain, (), rules.deny_domains) for domain in domains)
    allowed = any(permits(domain, rules.allow_domains, ()) for domain in domains)
    if denied or not allowed:
        yield Ending(code="domain-not-served", cause="The owner does not serve the buyer's domain.")
