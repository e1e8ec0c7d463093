"""A proof goes through a file and comes back as it was; anything else is refused with a cause."""

from hashlib import sha256
from typing import Any

import pytest

from ledger.market.errors import Rejected
from ledger.market.identity import LeaseId
from ledger.market.usage_plain import (
    SettledLine,
    line_from_plain,
    line_to_plain,
    settled_line_from_plain,
    settled_line_to_plain,
)
from ledger.market.usage_tree import UsageLine, prove
from tests.factories import a_digest, an_address

LEASE = LeaseId(a_digest("lease"))
LINES = [
    UsageLine(lease=LEASE, sequence=number, milliseconds=number, cpu_ns=1, peak_bytes=2, last=False)
    for number in range(5)
]
SETTLED = SettledLine(
    chain_id=7,
    market=an_address("market"),
    proof=prove(LINES, 3, lambda data: sha256(data).digest()),
    transaction=bytes(a_digest("transaction")),
)


def test_a_proof_comes_back_as_it_was() -> None:
    assert settled_line_from_plain(settled_line_to_plain(SETTLED)) == SETTLED


def test_a_line_comes_back_as_it_was() -> None:
    assert line_from_plain(LEASE, line_to_plain(LINES[2])) == LINES[2]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format": "other/1"}, "unknown-format"),
        ({"lines": 3}, "usage-proof-malformed"),
        ({"lines": -1}, "field-out-of-range"),
        ({"lines": True}, "wrong-type"),
        ({"path": ["0x00"]}, "malformed-hex"),
        ({"path": [7]}, "wrong-type"),
        ({"path": ["0x" + "00" * 32] * 65}, "usage-proof-malformed"),
        ({"lease": "0x"}, "malformed-hex"),
        ({"line": {}}, "missing-key"),
        ({"line": line_to_plain(LINES[0]) | {"more": 1}}, "unknown-key"),
        ({"chain_id": -1}, "field-out-of-range"),
        ({"market": "0x12"}, "malformed-hex"),
        ({"transaction": None}, "wrong-type"),
        ({"more": 1}, "unknown-key"),
    ],
)
def test_what_is_no_proof_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejected) as caught:
        settled_line_from_plain(settled_line_to_plain(SETTLED) | changes)
    assert caught.value.code == code


@pytest.mark.parametrize("value", [None, [], "text", 7])
def test_another_document_is_refused(value: object) -> None:
    with pytest.raises(Rejected):
        settled_line_from_plain(value)
