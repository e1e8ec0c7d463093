"""The goods of a job file: what each key means, and where a mistake stands."""

from datetime import UTC, datetime

import pytest

from ledger.market.domains import Preference
from ledger.market.errors import Rejected
from ledger.market.identity import Address
from ledger.market.job import Accelerators, DataPlace, Gang, Providers, Times
from node.buying.draft import JobDraft
from node.cli.reading.job_file import parse_job_file
from node.cli.reading.job_goods import START_SLACK

NOW = int(datetime(2026, 11, 24, 20, 0, tzinfo=UTC).timestamp())
HOUR = 3_600
CONFIG = "sha256:" + "ab" * 32
LEAST = f"image: {CONFIG}\ncommand: [/bin/true]\nmax_price: 1/h\nmax_duration: 1m\n"
GPU = "resources:\n  accelerators:\n    "


def parsed(lines: str) -> JobDraft:
    return parse_job_file(LEAST + lines + "\n", 6, clock=lambda: NOW + 0.5)


def test_several_kinds_and_what_they_must_do_are_read() -> None:
    draft = parsed(
        GPU
        + "vendors: [nvidia, amd]\n    models: [H100, A100]\n"
        + "    floors: {bf16: 300T, memory-bandwidth: 2TB/s}\n"
        + "    score: {weights: {bf16: 3, memory-bandwidth: 1}, min: 0.8}"
    )
    assert draft.accelerators == Accelerators(
        vendors=("amd", "nvidia"),
        models=("A100", "H100"),
        floors=(("bf16", 300_000), ("memory-bandwidth", 2_000_000)),
        weights=(("bf16", 3), ("memory-bandwidth", 1)),
        min_score=800,
    )


def test_a_profile_is_read_in_whatever_case() -> None:
    wanted = parsed(GPU + "{profile: 1G.10GB, count: 2}").accelerators
    assert wanted == Accelerators(profile="1g.10gb", count=2)


def test_places_parties_and_distances_are_read() -> None:
    one, other = "0x" + "AB" * 20, "0x" + "01" * 20
    draft = parsed(
        f"domains: {{allow: ['lab/*'], prefer: {{lab/berlin: 10%, 'lab/*': 2.5%}}}}\n"
        f'providers: {{allow: ["{one}", "{other}"], deny: ["{other}"]}}\n'
        "data: {region: eu-west, max_latency: 20ms}\ntrust: Measured\nmax_over_ask: 10%"
    )
    assert draft.allow == ("lab/*",)
    assert draft.prefer == (
        Preference(pattern="lab/berlin", bonus=1_000),
        Preference(pattern="lab/*", bonus=250),
    )
    low, high = Address(b"\x01" * 20), Address(b"\xab" * 20)
    assert draft.providers == Providers(allow=(low, high), deny=(low,))
    assert draft.data == DataPlace(region="eu-west", max_latency=20)
    assert (draft.trust, draft.max_over_ask) == ("measured", 1_000)


def test_times_are_moments_or_times_from_now() -> None:
    draft = parsed("deadline: 2026-11-25T10:00Z\nstart_by: in 3h\ninterruptible: {notice: 60s}")
    assert draft.times == Times(deadline=NOW + 14 * HOUR, start_by=NOW + 3 * HOUR)
    assert draft.notice == 60
    assert draft.wait == 3 * HOUR


def test_a_reserved_start_makes_the_bid_rest_until_then() -> None:
    assert parsed("start_at: 2h").wait == 2 * HOUR + START_SLACK
    assert parsed("start_at: 2h\nwait: 5m").wait == 2 * HOUR + 300
    assert parsed("start_at: 2h").times.start_at == NOW + 2 * HOUR
    assert parsed("wait: 5m").wait == 300


def test_a_gang_may_be_together() -> None:
    assert parsed("gang: {count: 2, same: domain}").gang == Gang(members=2, same="domain")


def test_other_forms_may_go_elsewhere() -> None:
    one = "0x" + "01" * 20
    draft = parsed(
        "trust: measured\ndata: {region: eu-west, max_latency: 9ms}\nany_of:\n"
        "  - {data: {region: eu-west, max_latency: 99ms}, trust: claimed}\n"
        f'  - {{providers: {{deny: ["{one}"]}}, domains: {{prefer: {{lab/*: 1%}}}}, max_over_ask: 5%}}'
    )
    near, far = draft.forms
    assert (near.data.max_latency, near.trust, near.max_over_ask) == (99, "claimed", 0)
    assert (far.data.max_latency, far.trust, far.max_over_ask) == (9, "measured", 500)
    assert (len(far.providers.deny), far.prefer) == (1, (Preference(pattern="lab/*", bonus=100),))


MISTAKES = [
    (GPU + "modles: [a, b]", "unknown-key", "models"),
    (GPU + "models: [a]", "kinds-unclear", "2 to"),
    (GPU + "{model: a, models: [b, c]}", "kinds-unclear", "one model"),
    (GPU + "{profile: small}", "malformed-profile", "1g.10gb"),
    (GPU + "{profile: 1g.10gb, share: 0.5}", "profile-and-share", "whole"),
    (GPU + "{floors: {bf61: 1T}}", "unknown-precision", "bf16"),
    (GPU + "{floors: {bf16: 300}}", "malformed-figure", "G or T"),
    (GPU + "{floors: {memory-bandwidth: 2T}}", "malformed-figure", "GB/s"),
    (GPU + "{score: {min: 1}}", "score-incomplete", "weights"),
    (GPU + "{score: {weights: {bf16: 0}, min: 1}}", "weight-out-of-range", "1 to"),
    (GPU + "{score: {weights: {bf16: 1}, least: 1}}", "missing-key", "min"),
    ("domains: {prefer: {lab/*: 10}}", "malformed-percent", "%"),
    ("domains: {prefer: {lab/*: 101%}}", "bonus-out-of-range", "1 to"),
    ("domains: {prefer: {LAB: 1%}}", "malformed-domain-pattern", "domain"),
    ("domains: {prefers: {lab/*: 1%}}", "unknown-key", "prefer"),
    ("providers: {alow: []}", "unknown-key", "allow"),
    ('providers: {deny: ["0x12"]}', "malformed-hex", "0x"),
    ("data: {region: mars, max_latency: 1ms}", "unknown-region", "Use one of"),
    ("data: {region: eu-west}", "missing-key", "max_latency"),
    ("data: {region: eu-west, max_latency: 5}", "malformed-latency", "20ms"),
    ("deadlin: 3h", "unknown-key", "deadline"),
    ("deadline: soon", "malformed-moment", "48h"),
    ("deadline: 2026-11-24T19:59Z", "moment-passed", "later"),
    ("interruptible: {notice: 0}", "notice-out-of-range", "1 to"),
    ("interruptible: {notise: 60s}", "missing-key", "notice"),
    ("gang: {count: 2, same: rack}", "unknown-sameness", "provider or domain"),
    ("gang: {count: 2, same: provider, distinct: yes}", "gang-contradiction", "distinct"),
    ("start_at: in 8d", "wait-too-long", "earlier"),
    ("wait: 8d", "wait-too-long", "shorter"),
    ("max_over_ask: ten", "malformed-percent", "%"),
]


@pytest.mark.parametrize(("lines", "code", "hint"), MISTAKES)
def test_a_mistake_is_refused_and_the_remedy_is_named(lines: str, code: str, hint: str) -> None:
    with pytest.raises(Rejected) as refused:
        parsed(lines)
    assert refused.value.code == code
    assert hint in refused.value.remedy
