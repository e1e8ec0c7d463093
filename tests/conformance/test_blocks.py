"""Blocks, transactions and receipts, by every name that they have."""

from typing import Any

import pytest

from tests.fakes.conformance import Case, Refused, Value, assert_same
from tests.fakes.two_nodes import FORWARDS, REVERTS, RICH, UNKNOWN, Pair, hash_of, history

BLOCKS = history()
CREATIONS, BUSY, _, TRANSFER = ([hash_of(raw) for raw in block] for block in BLOCKS)
LEGACY, WITH_LIST, FAILED, CLEARED = BUSY[3], BUSY[4], BUSY[5], BUSY[6]
ME = RICH.address.lower()


def without_gas_figures(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "baseFeePerGas"}


BLOCK_READS = [
    Case(
        name="by number",
        method="eth_getBlockByNumber",
        params=("0x2", False),
        expect=Value(has={"hash": "block 2", "parentHash": "block 1", "transactions": BUSY}),
    ),
    Case(
        name="by number, whole",
        method="eth_getBlockByNumber",
        params=("0x2", True),
        expect=Value(check=lambda block: [one["hash"] for one in block["transactions"]] == BUSY),
    ),
    Case(
        name="by hash",
        method="eth_getBlockByHash",
        params=lambda node: (node.hash_of(3), False),
        expect=Value(has={"number": "0x3", "gasUsed": "0x0", "transactions": []}),
    ),
    Case(
        name="by hash, whole",
        method="eth_getBlockByHash",
        params=lambda node: (node.hash_of(1), True),
        expect=Value(has={"number": "0x1", "miner": ME}),
    ),
    *(
        Case(
            name=f"tag {tag}",
            method="eth_getBlockByNumber",
            params=(tag, False),
            expect=Value(has={"hash": name}),
            clean=without_gas_figures,  # of block 0, which anvil tells as that of block 1
        )
        for tag, name in (("latest", "block 4"), ("earliest", "block 0"), ("finalized", "block 2"))
    ),
    Case(
        name="unknown number", method="eth_getBlockByNumber", params=("0x99", False), expect=Value(is_=None)
    ),
    Case(name="unknown hash", method="eth_getBlockByHash", params=(UNKNOWN, False), expect=Value(is_=None)),
    Case(
        name="no number",
        method="eth_getBlockByNumber",
        params=("soon", False),
        expect=Refused(code=-32602, says=""),
    ),
    Case(
        name="no hash",
        method="eth_getBlockByHash",
        params=("0x1", False),
        expect=Refused(code=-32602, says=""),
    ),
    Case(
        name="no flag",
        method="eth_getBlockByNumber",
        params=("0x1", 7),
        expect=Refused(code=-32602, says="bool"),
    ),
    Case(
        name="count by number",
        method="eth_getBlockTransactionCountByNumber",
        params=("0x2",),
        expect=Value(is_=hex(len(BUSY))),
    ),
    Case(
        name="count by hash",
        method="eth_getBlockTransactionCountByHash",
        params=lambda node: (node.hash_of(1),),
        expect=Value(is_=hex(len(CREATIONS))),
    ),
    Case(
        name="count of an unknown hash",
        method="eth_getBlockTransactionCountByHash",
        params=(UNKNOWN,),
        expect=Value(is_=None),
    ),
    Case(
        name="count of an unknown number",
        method="eth_getBlockTransactionCountByNumber",
        params=("0x99",),
        expect=Value(is_=None),
        deviates="count of a missing block",
    ),
    Case(name="uncles", method="eth_getUncleCountByBlockNumber", params=("0x1",), expect=Value(is_="0x0")),
    Case(
        name="uncles by hash",
        method="eth_getUncleCountByBlockHash",
        params=lambda node: (node.hash_of(1),),
        expect=Value(is_="0x0"),
    ),
    Case(
        name="uncles of an unknown block",
        method="eth_getUncleCountByBlockNumber",
        params=("0x99",),
        expect=Value(is_=None),
        deviates="uncles of a missing block",
    ),
    Case(
        name="an uncle",
        method="eth_getUncleByBlockNumberAndIndex",
        params=("0x1", "0x0"),
        expect=Value(is_=None),
    ),
    Case(
        name="header",
        method="eth_getHeaderByNumber",
        params=("0x1",),
        expect=Value(has={"hash": "block 1"}),
        deviates="absent",
    ),
    Case(
        name="receipts by number",
        method="eth_getBlockReceipts",
        params=("0x2",),
        expect=Value(check=lambda receipts: [one["transactionHash"] for one in receipts] == BUSY),
    ),
    Case(
        name="receipts by hash",
        method="eth_getBlockReceipts",
        params=lambda node: (node.hash_of(4),),
        expect=Value(check=lambda receipts: len(receipts) == 1),
    ),
    Case(
        name="receipts of an unknown block",
        method="eth_getBlockReceipts",
        params=("0x99",),
        expect=Value(is_=None),
    ),
]


TRANSACTIONS = [
    *(
        Case(
            name=f"type {kind}",
            method="eth_getTransactionByHash",
            params=(key,),
            expect=Value(has={"type": hex(kind), "blockHash": "block 2", "from": ME}),
        )
        for kind, key in enumerate((LEGACY, WITH_LIST, FAILED))
    ),
    Case(
        name="a creation",
        method="eth_getTransactionByHash",
        params=(CREATIONS[0],),
        expect=Value(has={"to": None, "nonce": "0x0", "blockNumber": "0x1"}),
    ),
    Case(name="unknown", method="eth_getTransactionByHash", params=(UNKNOWN,), expect=Value(is_=None)),
    Case(
        name="no hash",
        method="eth_getTransactionByHash",
        params=("0x1",),
        expect=Refused(code=-32602, says=""),
    ),
    Case(
        name="by place",
        method="eth_getTransactionByBlockNumberAndIndex",
        params=("0x2", "0x3"),
        expect=Value(has={"hash": LEGACY}),
    ),
    Case(
        name="by place of a hash",
        method="eth_getTransactionByBlockHashAndIndex",
        params=lambda node: (node.hash_of(2), "0x4"),
        expect=Value(has={"hash": WITH_LIST}),
    ),
    Case(
        name="place beyond the block",
        method="eth_getTransactionByBlockNumberAndIndex",
        params=("0x2", "0x99"),
        expect=Value(is_=None),
    ),
    Case(
        name="raw",
        method="eth_getRawTransactionByHash",
        params=(LEGACY,),
        expect=Value(is_=BLOCKS[1][3]),
    ),
    Case(
        name="raw by place",
        method="eth_getRawTransactionByBlockNumberAndIndex",
        params=("0x2", "0x4"),
        expect=Value(is_=BLOCKS[1][4]),
    ),
    Case(
        name="raw of unknown", method="eth_getRawTransactionByHash", params=(UNKNOWN,), expect=Value(is_=None)
    ),
    Case(
        name="receipt of a creation",
        method="eth_getTransactionReceipt",
        params=(CREATIONS[5],),
        expect=Value(has={"contractAddress": FORWARDS.lower(), "status": "0x1", "logs": []}),
    ),
    Case(
        name="receipt with a log",
        method="eth_getTransactionReceipt",
        params=(BUSY[1],),
        expect=Value(check=lambda receipt: [log["logIndex"] for log in receipt["logs"]] == ["0x1"]),
    ),
    Case(
        name="receipt of a revert",
        method="eth_getTransactionReceipt",
        params=(FAILED,),
        expect=Value(has={"status": "0x0", "to": REVERTS.lower(), "logs": []}),
    ),
    Case(
        name="receipt with a refund",
        method="eth_getTransactionReceipt",
        params=(CLEARED,),
        expect=Value(has={"status": "0x1", "gasUsed": hex(21_351)}),
    ),
    Case(
        name="receipt of a legacy transfer",
        method="eth_getTransactionReceipt",
        params=(LEGACY,),
        expect=Value(has={"type": "0x0", "gasUsed": "0x5208", "effectiveGasPrice": hex(2 * 10**9)}),
    ),
    Case(
        name="receipt of unknown",
        method="eth_getTransactionReceipt",
        params=(UNKNOWN,),
        expect=Value(is_=None),
    ),
]


@pytest.mark.parametrize(
    "case", [*BLOCK_READS, *TRANSACTIONS], ids=lambda case: f"{case.method}: {case.name}"
)
def test_both_tell_the_same(pair: Pair, case: Case) -> None:
    assert_same(pair, case)
