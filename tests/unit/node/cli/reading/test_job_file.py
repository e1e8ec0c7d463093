"""The job file is read strictly: what it says is what is signed, and every mistake has its place."""

import pytest

from ledger.market.errors import Rejected
from ledger.market.job import Accelerators, Gang, Image, InputFile
from node.buying.draft import ArchiveImage, EngineImage, LocalInput
from node.cli.reading.job_file import parse_job_file

DECIMALS = 6
CONFIG = "sha256:" + "ab" * 32
WHOLE = f"""
name: digits
image: {{reference: "digits:1", config: "{CONFIG}", archive: "{"cd" * 32}", archive_bytes: 12}}
command: [python3, in/train.py, --rounds, 5]
envs:
  NONCE: yes
  RATE: 0.10
resources:
  cpus: 1.5
  memory: 512MiB
  disk: 1GiB
  accelerators: {{vendor: nvidia, model: H100, count: 2, share: 0.5, memory: 40GiB}}
inputs:
  - data/digits.csv
  - ../train.py
  - {{path: model.bin, from: /tmp/m.bin}}
  - {{path: old.csv, sha256: "{"ef" * 32}", size: 7}}
outputs: [out/predictions.csv, accuracy.json]
domains: {{allow: ["lab/*"], deny: [lab/paris]}}
regions: [eu-west]
grade: C
network: true
retry: 2
max_price: 0.50/h
max_duration: 90m
wait: 10m
signer: buyer
"""
LEAST = f"image: {CONFIG}\ncommand: [/bin/true]\nmax_price: 1/h\nmax_duration: 1m\n"


def test_every_key_of_a_job_file_is_read() -> None:
    draft = parse_job_file(WHOLE, DECIMALS)
    assert draft.name == "digits"
    assert draft.image == Image(reference="digits:1", config=CONFIG, archive="cd" * 32, archive_bytes=12)
    assert draft.command == ("python3", "in/train.py", "--rounds", "5")
    assert (draft.cpu, draft.memory, draft.disk) == (1500, 512, 1024)
    assert draft.accelerators == Accelerators(
        vendor="nvidia", model="H100", count=2, share=500, memory=40_960
    )
    assert draft.local_inputs == (
        LocalInput(path="data/digits.csv", source="data/digits.csv"),
        LocalInput(path="train.py", source="../train.py"),
        LocalInput(path="model.bin", source="/tmp/m.bin"),
    )
    assert draft.stored_inputs == (InputFile(path="old.csv", sha256="ef" * 32, size=7),)
    assert draft.outputs == ("predictions.csv", "accuracy.json")
    assert (draft.allow, draft.deny) == (("lab/*",), ("lab/paris",))
    assert (draft.regions, draft.grade, draft.network, draft.retry) == (("eu-west",), "c", True, 2)
    assert (draft.max_rate, draft.max_seconds) == (500_000_000, 5400)
    assert (draft.wait, draft.signer) == (600, "buyer")


def test_values_stay_the_text_that_was_written() -> None:
    assert parse_job_file(WHOLE, DECIMALS).envs == (("NONCE", "yes"), ("RATE", "0.10"))


def test_the_least_job_file_has_defaults() -> None:
    draft = parse_job_file(LEAST, DECIMALS)
    assert (draft.name, draft.cpu, draft.memory, draft.disk) == ("job", 1000, 1024, 1024)
    assert (draft.wait, draft.retry, draft.signer, draft.runtime) == (0, 0, "node", "runc")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("image.tar", ArchiveImage(path="image.tar")),
        ("debian:12", EngineImage(reference="debian:12")),
        (CONFIG, Image(reference=CONFIG, config=CONFIG)),
    ],
)
def test_an_image_is_a_digest_a_file_or_a_reference(written: str, expected: object) -> None:
    assert parse_job_file(LEAST.replace(CONFIG, written), DECIMALS).image == expected


def test_a_later_env_wins() -> None:
    draft = parse_job_file(WHOLE, DECIMALS).with_envs(("NONCE=a=b", "NEW="))
    assert dict(draft.envs) == {"NONCE": "a=b", "RATE": "0.10", "NEW": ""}
    with pytest.raises(Rejected):
        draft.with_envs(("NONCE",))


@pytest.mark.parametrize(
    ("source", "code", "place"),
    [
        ("command: [a\nimage: x: y", "malformed-yaml", (2, 6)),
        ("a: b\n\tc: d", "malformed-yaml", (2, 1)),
        ("", "malformed-yaml", (1, 1)),
        ("name: \x00", "malformed-yaml", (1, 1)),
        ("- a\n- b\n", "wrong-type", (1, 1)),
        (LEAST + "comand: [x]\n", "unknown-key", (5, 1)),
        (LEAST + "name: a\nname: b\n", "duplicate-key", (6, 1)),
        (LEAST + "resources: {cpu: 1}\n", "unknown-key", (5, 13)),
        (LEAST + "resources: {memory: 8}\n", "malformed-size", (5, 21)),
        (LEAST + "resources: 8GiB\n", "wrong-type", (5, 12)),
        (LEAST + "resources: {accelerators: {kind: x}}\n", "unknown-key", (5, 28)),
        (LEAST + "envs: [a]\n", "wrong-type", (5, 7)),
        (LEAST + "envs: {A: [b]}\n", "wrong-type", (5, 11)),
        (LEAST + "inputs: {a: b}\n", "wrong-type", (5, 9)),
        (LEAST + "inputs: [{path: a}]\n", "missing-key", (5, 10)),
        (LEAST + "inputs: [{path: ../a, from: b}]\n", "unsafe-path", (5, 17)),
        (LEAST + "retry: 8\n", "too-many-retries", (5, 8)),
        (LEAST + "network: perhaps\n", "malformed-choice", (5, 10)),
        (LEAST + "signer: me\n", "malformed-hex", (5, 9)),
        (LEAST + "wait: soon\n", "malformed-time", (5, 7)),
        (LEAST.replace("1/h", "1"), "malformed-price", (3, 12)),
        (LEAST.replace("1/h", "0.0000000001/h"), "too-precise", (3, 12)),
        (LEAST.replace("1m", "1"), "malformed-time", (4, 15)),
        (LEAST.replace("command: [/bin/true]", "command: /bin/true"), "wrong-type", (2, 10)),
        (LEAST.replace("command: [/bin/true]\n", ""), "missing-key", (1, 1)),
        (LEAST.replace("max_price: 1/h\n", ""), "missing-key", (1, 1)),
        ("&a {image: *a, command: [x], max_price: 1/h, max_duration: 1m}", "missing-key", (1, 1)),
    ],
)
def test_a_mistake_is_refused_at_its_place(source: str, code: str, place: tuple[int, int]) -> None:
    with pytest.raises(Rejected) as refused:
        parse_job_file(source, DECIMALS)
    error = refused.value
    assert error.code == code
    assert (error.facts["line"], error.facts["column"]) == place
    assert error.remedy


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    with pytest.raises(Rejected, match="max_price"):
        parse_job_file(LEAST + "maxprice: 1/h\n", DECIMALS)


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ("domains: {allow: [UPPER]}\n", "malformed-domain-pattern"),
        ("outputs: [/etc/passwd]\n", "unsafe-path"),
        ("outputs: [out/../x]\n", "unsafe-path"),
        ('inputs: ["a b"]\n', "unsafe-path"),
    ],
)
def test_a_path_or_pattern_that_leads_away_is_refused(extra: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_job_file(LEAST + extra, DECIMALS)
    assert refused.value.code == code


def test_a_huge_file_is_refused_unread() -> None:
    with pytest.raises(Rejected) as refused:
        parse_job_file("#" * 300_000, DECIMALS)
    assert refused.value.code == "oversized-job-file"


def test_a_gang_and_replicas_are_read() -> None:
    gang = parse_job_file(LEAST + "gang: {count: 4, distinct: yes}\n", DECIMALS).gang
    assert gang == Gang(members=4, distinct=True)
    replicas = parse_job_file(LEAST + "outputs: [a]\nreplicas: {count: 3, agree: 2}\n", DECIMALS).gang
    assert replicas == Gang(members=3, distinct=True, agree=2)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("gang: {count: 1}", "gang-size"),
        ("gang: {count: 33}", "gang-size"),
        ("replicas: {count: 4, agree: 2}", "quorum-size"),
        ("replicas: {count: 3, agree: 4}", "quorum-size"),
        ("replicas: {count: 16, agree: 9}", "gang-size"),
        ("replicas: {count: 3}", "missing-key"),
        ("gang: {count: 2}\nreplicas: {count: 3, agree: 2}", "gang-and-replicas"),
        ("gang: {count: 2, sort: x}", "unknown-key"),
        ("any_of: [twice]", "malformed-forms"),
        ("any_of: [{image: x}]", "unknown-key"),
        ("min_reputation: much", "malformed-count"),
    ],
)
def test_a_gang_that_cannot_be_is_refused(lines: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_job_file(LEAST + lines + "\n", DECIMALS)
    assert refused.value.code == code


def test_a_file_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(Rejected):
        parse_job_file("a: " + "[" * 20_000 + "]" * 20_000 + "\n", DECIMALS)


def test_other_forms_take_the_rest_from_the_top() -> None:
    draft = parse_job_file(
        LEAST
        + "min_reputation: 0.25\nany_of:\n"
        + "  - {resources: {cpus: 8}, max_price: 2/h}\n"
        + "  - {domains: {allow: [lab/*]}, max_duration: 5m, min_reputation: 0.9, regions: [eu-west]}\n",
        DECIMALS,
    )
    fast, near = draft.forms
    assert (fast.cpu, fast.max_rate, fast.max_seconds) == (8000, 2 * draft.max_rate, draft.max_seconds)
    assert (near.cpu, near.allow, near.max_seconds) == (draft.cpu, ("lab/*",), 300)
    assert (fast.min_reputation, near.min_reputation, near.regions) == (250, 900, ("eu-west",))
    assert {form.command for form in draft.forms} == {draft.command}


def test_without_other_forms_the_draft_itself_is_bought() -> None:
    draft = parse_job_file(LEAST, DECIMALS)
    assert draft.forms == (draft,)
