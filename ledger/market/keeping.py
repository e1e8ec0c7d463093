"""Keeping: what of a job's document an offer does not keep, asked again by those who trust no matcher.

The contract compares words; domains, parties, several models, profiles, figures, distances and times stand
in signed documents alone. The agent asks before it starts and the buyer's pen before it agrees to pay, of
the same two documents, with this one function.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ledger.market.accelerators import Accelerators
from ledger.market.capability import below_floors, reaches
from ledger.market.domains import permits
from ledger.market.identity import Address, text
from ledger.market.job import Job
from ledger.market.job_terms import ANY_PLACE, ANY_PROVIDER, ANY_TIME
from ledger.market.latency import within
from ledger.market.offer_document import OfferDocument, OfferedDevices
from ledger.market.traits import canonical_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and when a lease stands: the provider, its offer's document, and the lease's first and last
    second, since 1970."""

    provider: Address
    document: OfferDocument
    start: int
    end: int


def particular(job: Job) -> bool:
    """Whether the job demands anything of a place that no word of its bid holds."""
    anywhere = replace(job, allow=(), deny=(), providers=ANY_PROVIDER, data=ANY_PLACE, times=ANY_TIME)
    return anywhere != job or job.accelerators is not None


def unkept(job: Job, place: Place) -> Iterator[tuple[str, str]]:
    """A code and a sentence for each demand of the job that this place does not keep; nothing where it
    keeps them all."""
    document = place.document
    if not permits(document.domain, job.allow, job.deny):
        yield "domain-excluded", f"The job may not run in the domain {document.domain}."
    if not job.providers.permit(place.provider):
        yield "provider-excluded", f"The job may not go to the provider {text(place.provider)}."
    if job.data.region and not within(document.latency, job.data.region, job.data.max_latency):
        yield "too-far", f"The data in {job.data.region} is not known to be {job.data.max_latency} ms near."
    if job.accelerators is not None:
        yield from _devices(job.accelerators, document.accelerators)
    yield from _times(job, place)


def _devices(wanted: Accelerators, lent: OfferedDevices | None) -> Iterator[tuple[str, str]]:
    model = lent.model if lent else ""
    if wanted.models and canonical_model(model) not in map(canonical_model, wanted.models):
        yield "model-excluded", f"The job names other models than {model or 'none'}."
    if wanted.profile != (lent.profile if lent else ""):
        yield "other-profile", f"The job wants {wanted.profile or 'no instances of a profile'}."
    capability = lent.capability if lent else ()
    if low := below_floors(capability, wanted.floors):
        yield "below-floor", f"The device does too little in {', '.join(low)}."
    if wanted.weights and not reaches(capability, wanted.weights, wanted.min_score):
        yield "below-score", f"The device's score is below {wanted.min_score} per mille."


def _times(job: Job, place: Place) -> Iterator[tuple[str, str]]:
    times = job.times
    if times.deadline and place.end > times.deadline:
        yield "past-deadline", f"The lease could last until {place.end}, the deadline is {times.deadline}."
    if place.start < times.start_at:
        yield "before-start", f"The lease opened at {place.start}, the job starts at {times.start_at}."
    if times.start_by and place.start > times.start_by:
        yield "after-start-by", f"The lease opened at {place.start}, the job starts by {times.start_by}."
