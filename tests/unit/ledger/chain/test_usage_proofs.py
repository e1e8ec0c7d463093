"""A stranger believes the chain's own payment, and nothing that a proof says of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from ledger.chain.client import MinedReceipt
from ledger.chain.typed_data import keccak
from ledger.chain.usage_proofs import settlement_of
from ledger.market.errors import Rejected
from ledger.market.events import BlockRef, FeePaid, MarketEvent, UsageSettled
from ledger.market.identity import Digest, LeaseId
from ledger.market.usage_plain import SettledLine
from ledger.market.usage_tree import UsageLine, prove
from tests.factories import NOW, a_digest, an_address

LEASE, OTHER = LeaseId(a_digest("lease")), LeaseId(a_digest("other lease"))
LINES = [
    UsageLine(lease=LEASE, sequence=number, milliseconds=number, cpu_ns=1, peak_bytes=2, last=False)
    for number in range(5)
]
PROOF = prove(LINES, 1, keccak)
SETTLED = SettledLine(
    chain_id=7, market=an_address("market"), proof=PROOF, transaction=bytes(a_digest("transaction"))
)
BLOCK = BlockRef(number=9, hash=b"\1" * 32, parent=b"\2" * 32, at=NOW)
PAID = UsageSettled(
    lease=LEASE,
    buyer=an_address("buyer"),
    provider=an_address("provider"),
    milliseconds=4,
    amount=3,
    fee=0,
    paid=3,
    evidence=PROOF.root(keccak),
)
FEE = FeePaid(matcher=an_address("node"), amount=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A chain with at most one transaction."""

    events: tuple[MarketEvent, ...] | None

    def check_chain(self, expected: int) -> None:
        if expected != 7:
            raise Rejected("wrong-chain", "It is another chain.", "Name the right one.")

    def receipt(self, transaction: bytes) -> MinedReceipt | None:
        if self.events is None or transaction != SETTLED.transaction:
            return None
        return MinedReceipt(
            transaction=transaction,
            block=BLOCK,
            succeeded=True,
            gas_used=1,
            gas_price=1,
            events=self.events,
        )


def test_a_line_under_a_settled_root_is_proven() -> None:
    found = settlement_of(Market(events=(FEE, PAID)), SETTLED)
    assert (found.event, found.block) == (PAID, BLOCK)


def changed(change: Callable[[UsageLine], UsageLine]) -> SettledLine:
    return replace(SETTLED, proof=replace(PROOF, line=change(PROOF.line)))


@pytest.mark.parametrize(
    ("events", "settled", "code"),
    [
        (None, SETTLED, "unknown-transaction"),
        ((), SETTLED, "usage-not-proven"),
        ((FEE,), SETTLED, "usage-not-proven"),
        ((replace(PAID, lease=OTHER),), SETTLED, "usage-not-proven"),
        ((replace(PAID, evidence=Digest(bytes(32))),), SETTLED, "usage-not-proven"),
        ((PAID,), changed(lambda line: replace(line, cpu_ns=2)), "usage-not-proven"),
        ((PAID,), changed(lambda line: replace(line, lease=OTHER)), "usage-not-proven"),
        ((PAID,), replace(SETTLED, transaction=bytes(32)), "unknown-transaction"),
        ((PAID,), replace(SETTLED, chain_id=8), "wrong-chain"),
        ((PAID,), replace(SETTLED, proof=replace(PROOF, path=())), "usage-proof-malformed"),
    ],
)
def test_what_the_chain_does_not_show_is_not_proven(
    events: tuple[MarketEvent, ...] | None, settled: SettledLine, code: str
) -> None:
    with pytest.raises(Rejected) as caught:
        settlement_of(Market(events=events), settled)
    assert caught.value.code == code
