import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.documents import canonical, document_hash
from ledger.chain.typed_data import keccak
from ledger.market.errors import Rejected
from ledger.market.job import Job
from tests.strategies import jobs

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


@given(plain)
def test_the_canonical_form_reads_back_and_is_its_own_form(value: Any) -> None:
    form = canonical(value)
    assert json.loads(form) == value
    assert canonical(json.loads(form)) == form


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(0, 9)))
def test_the_order_of_keys_does_not_change_the_hash(value: dict[str, int]) -> None:
    assert document_hash(dict(reversed(value.items()))) == document_hash(value)


@given(jobs)
def test_every_job_has_a_document(job: Job) -> None:
    assert document_hash(job.to_plain()) == keccak(canonical(job.to_plain()))


def deep() -> object:
    value: object = 0
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize("value", [float("nan"), 2**53, b"bytes", {1: "key"}, "\ud800", object()])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(Rejected) as refusal:
        canonical([value])
    assert refusal.value.code == "not-canonical"


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(Rejected) as refusal:
        canonical(deep())
    assert refusal.value.code == "not-canonical"
