"""What a job asks for beyond sizes, as people write it in a job file: kinds of devices and what they must do,
whom the job may go to and rather would, how near its data, when it must run, and whether it yields.

Keys: resources.accelerators{vendor vendors model models count share memory profile floors{bf16 ...}
score{weights{bf16 ...} min}}, domains.prefer{pattern: 10%}, providers{allow deny}, data{region max_latency},
trust, start_at, start_by, deadline (`2027-01-31T18:00Z`, or `in 3h`), interruptible{notice}.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from difflib import get_close_matches
from functools import partial

from ledger.market.capability import REFERENCE, Vector, vector
from ledger.market.domains import Preference
from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text
from ledger.market.job import Accelerators, DataPlace, Providers, Times
from ledger.market.job_terms import ANY_PLACE, ANY_PROVIDER, MOST_WAIT, check_notice
from node.cli.reading.moments import parse_moment
from node.cli.reading.quantities import parse_count, parse_milli, parse_size, parse_time
from node.cli.reading.yaml_section import Section

START_SLACK = 60
"""seconds for which a bid with a reserved start rests beyond it"""
_FIGURE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(GB/s|TB/s|G|T)")
_FLOPS = {"G": 1, "T": 1_000}
_BANDWIDTH = {"GB/s": 1_000, "TB/s": 1_000_000}
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?)\s*%")
_MILLISECONDS = re.compile(r"([0-9]{1,5})\s*ms")


def accelerators_of(read: Section | None) -> Accelerators | None:
    """`resources.accelerators`, None where the job wants none."""
    if read is None:
        return None
    floors, score = read.section("floors"), read.section("score")
    weights, least = _score(score)
    wanted = Accelerators(
        vendor=read.text("vendor", ""),
        model=read.text("model", ""),
        count=read.convert("count", parse_count, "1"),
        share=read.convert("share", parse_milli, "1"),
        memory=read.convert("memory", parse_size, "0MiB"),
        vendors=tuple(sorted(read.texts("vendors"))),
        models=tuple(sorted(read.texts("models"))),
        profile=read.text("profile", "").lower(),
        floors=_vector("floors", floors, _figure),
        weights=weights,
        min_score=least,
    )
    read.done()
    return wanted


def _score(read: Section | None) -> tuple[Vector, int]:
    if read is None:
        return (), 0
    weights = _vector("weights", read.section("weights"), lambda _, text: parse_count(text))
    least = read.convert("min", parse_milli)
    read.done()
    return weights, least


def _vector(name: str, read: Section | None, parse: Callable[[str, str], int]) -> Vector:
    if read is None:
        return ()

    def known(precision: str, text: str) -> int:
        if precision not in REFERENCE:
            near = get_close_matches(precision, REFERENCE, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Use one of: {', '.join(REFERENCE)}."
            raise Rejected("unknown-precision", f"{precision!r} is no precision.", hint)
        return parse(precision, text)

    return vector(name, {key: read.convert(key, partial(known, key)) for key, _ in read.pairs()})


def parse_floor(text: str) -> tuple[str, int]:
    """`bf16=300T`: a precision and the least figure of it."""
    precision, equals, figure = text.partition("=")
    if not equals:
        raise Rejected(
            "malformed-floor", f"{text[:60]!r} is no floor.", "Write a precision and a figure: bf16=300T."
        )
    ((name, least),) = vector("floors", {precision.strip(): _figure(precision.strip(), figure)})
    return name, least


def format_figure(precision: str, figure: int) -> str:
    """`bf16 300T`: a figure as it is written in a job file."""
    units = _BANDWIDTH if precision == "memory-bandwidth" else _FLOPS
    unit, size = next((one for one in reversed(units.items()) if figure >= one[1]), next(iter(units.items())))
    return f"{precision} {Decimal(figure) / size:f}{unit}"


def _figure(precision: str, text: str) -> int:
    """`300T` or `800G` operations a second as G; of memory, `2TB/s` or `900GB/s` as MB/s."""
    units = _BANDWIDTH if precision == "memory-bandwidth" else _FLOPS
    found = _FIGURE.fullmatch(text.strip())
    if found is None or found[2] not in units:
        raise Rejected(
            "malformed-figure",
            f"{text[:60]!r} is not a figure of {precision}.",
            f"Write a number with {' or '.join(units)}.",
        )
    return int((Decimal(found[1]) * units[found[2]]).to_integral_value(rounding="ROUND_CEILING"))


def preferences_of(read: Section | None) -> tuple[Preference, ...]:
    """`domains.prefer`: by pattern, the share of the limit that a place there is worth more."""
    if read is None:
        return ()
    return tuple(
        Preference(pattern=pattern, bonus=read.convert(pattern, basis_points)) for pattern, _ in read.pairs()
    )


def basis_points(text: str) -> int:
    """Hundredths of the per cent of `10%`."""
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise Rejected("malformed-percent", f"{text[:60]!r} is no percentage.", "Write a number with %.")
    return int(Decimal(found[1]) * 100)


def providers_of(read: Section | None) -> Providers:
    """`providers`: the accounts that may have the job, and those that may not."""
    if read is None:
        return ANY_PROVIDER
    providers = Providers(allow=_accounts(read.texts("allow")), deny=_accounts(read.texts("deny")))
    read.done()
    return providers


def _accounts(texts: tuple[str, ...]) -> tuple[Address, ...]:
    return tuple(sorted({Address(from_text(one, 20)) for one in texts}))


def data_of(read: Section | None) -> DataPlace:
    """`data`: where it lies, and how far that may be."""
    if read is None:
        return ANY_PLACE
    place = DataPlace(region=read.text("region"), max_latency=read.convert("max_latency", _milliseconds))
    read.done()
    return place


def _milliseconds(text: str) -> int:
    found = _MILLISECONDS.fullmatch(text.strip())
    if found is None:
        raise Rejected("malformed-latency", f"{text[:60]!r} is no latency.", "Write milliseconds, as 20ms.")
    return int(found[1])


def notice_of(read: Section | None) -> int:
    """`interruptible`: the seconds of notice after which the job yields to a higher bid, 0 for never."""
    if read is None:
        return 0
    notice = read.convert("notice", lambda text: check_notice(parse_time(text), least=1))
    read.done()
    return notice


def times_of(read: Section, now: int) -> Times:
    """`start_at`, `start_by` and `deadline`, each a moment or a time from now."""
    return Times(**{name: _moment(read, name, now) for name in ("start_at", "start_by", "deadline")})


def _moment(read: Section, name: str, now: int) -> int:
    return read.convert(
        name, lambda text: parse_moment(text.strip().removeprefix("in "), now) if text else 0, ""
    )


def waiting(wait: int, times: Times, now: int) -> int:
    """How long the bid rests: as the file says, and until the moments that it names."""
    if times.start_at:
        wait = times.start_at - now + max(wait, START_SLACK)
    wait = max(wait, times.start_by - now)
    if wait > MOST_WAIT:
        raise Rejected(
            "wait-too-long",
            f"The bid would rest for {wait} s, and a node keeps it for {MOST_WAIT} s.",
            "Give an earlier start, or a shorter wait.",
        )
    return wait
