"""Transactions that wait, and the block they would make."""

from typing import Any

from tests.fakes.conformance import Case, Expectation, Refused, Value, assert_same
from tests.fakes.two_nodes import FIRST_FREE_NONCE, NOBODY, RICH, STORES, Pair, hash_of, signed, word

NEXT = FIRST_FREE_NONCE
ME = RICH.address.lower()
TRANSFER: dict[str, Any] = {"to": NOBODY, "value": 5, "gas": 21_000}
FIRST = signed(NEXT, **TRANSFER)
BETTER = signed(NEXT, **{**TRANSFER, "value": 6}, maxFeePerGas=5 * 10**9, maxPriorityFeePerGas=2 * 10**6)
WRITE = signed(NEXT + 1, to=STORES, data=word(44))
LATER = signed(NEXT + 5, **TRANSFER)


def sent(name: str, raw: str, expect: Expectation, deviates: str | None = None) -> Case:
    return Case(name=name, method="eth_sendRawTransaction", params=(raw,), expect=expect, deviates=deviates)


def without_price(transaction: dict[str, Any]) -> dict[str, Any]:
    """Until it is sealed the price is the highest it may be, as in go-ethereum; anvil guesses the next."""
    return {key: value for key, value in transaction.items() if key != "gasPrice"}


def refused(name: str, raw: str, says: str, deviates: str) -> Case:
    return sent(name, raw, Refused(code=-32000, says=says), deviates)


POOLING = [
    sent("taken", FIRST, Value(is_=hash_of(FIRST))),
    refused("again", FIRST, "already known", "rejected: known"),
    refused(
        "same nonce, same fee",
        signed(NEXT, **{**TRANSFER, "value": 7}),
        "replacement transaction underpriced",
        "rejected: underpriced",
    ),
    Case(
        name="found while it waits",
        method="eth_getTransactionByHash",
        params=(hash_of(FIRST),),
        expect=Value(has={"blockHash": None, "blockNumber": None, "transactionIndex": None, "from": ME}),
        clean=without_price,
    ),
    Case(
        name="raw while it waits",
        method="eth_getRawTransactionByHash",
        params=(hash_of(FIRST),),
        expect=Value(is_=FIRST),
    ),
    Case(
        name="no receipt while it waits",
        method="eth_getTransactionReceipt",
        params=(hash_of(FIRST),),
        expect=Value(is_=None),
    ),
    sent("replaced at a higher fee", BETTER, Value(is_=hash_of(BETTER))),
    Case(
        name="the replaced is gone",
        method="eth_getTransactionByHash",
        params=(hash_of(FIRST),),
        expect=Value(is_=None),
    ),
    sent("the next", WRITE, Value(is_=hash_of(WRITE))),
    sent("out of turn", LATER, Value(is_=hash_of(LATER))),
]


def lowered(pool: dict[str, Any]) -> dict[str, Any]:
    """Addresses as keys without their checksum's capitals."""
    return {kind: {sender.lower(): txs for sender, txs in of.items()} for kind, of in pool.items()}


def lowered_lines(pool: dict[str, Any]) -> dict[str, Any]:
    return {
        kind: {sender: {nonce: line.lower() for nonce, line in txs.items()} for sender, txs in of.items()}
        for kind, of in lowered(pool).items()
    }


def unsealed(block: dict[str, Any]) -> dict[str, Any]:
    """Without what only sealing fixes: null here and in go-ethereum, a guess on anvil."""
    return {key: value for key, value in block.items() if key not in ("hash", "nonce", "miner")}


def unplaced(transaction: dict[str, Any]) -> dict[str, Any]:
    """Without the hash of a block that nobody sealed."""
    return {key: value for key, value in transaction.items() if key != "blockHash"}


WAITING = [
    Case(name="counts", method="txpool_status", expect=Value(is_={"pending": "0x2", "queued": "0x1"})),
    Case(
        name="whole",
        method="txpool_content",
        expect=Value(check=lambda pool: pool["pending"][ME]["15"]["hash"] == hash_of(BETTER)),
        clean=lowered,
    ),
    Case(
        name="lines",
        method="txpool_inspect",
        expect=Value(
            is_={
                "pending": {
                    ME: {
                        "15": f"{NOBODY}: 6 wei + 21000 gas × 5000000000 wei",
                        "16": f"{STORES.lower()}: 0 wei + 200000 gas × 4000000000 wei",
                    }
                },
                "queued": {ME: {"20": f"{NOBODY}: 5 wei + 21000 gas × 4000000000 wei"}},
            }
        ),
        clean=lowered_lines,
    ),
    Case(
        name="of one sender",
        method="txpool_contentFrom",
        params=(ME,),
        expect=Value(check=lambda pool: list(pool["queued"]) == ["20"]),
        deviates="absent",
    ),
    Case(
        name="next nonce",
        method="eth_getTransactionCount",
        params=(ME, "pending"),
        expect=Value(is_=hex(NEXT + 2)),
    ),
    Case(
        name="nonce at the head",
        method="eth_getTransactionCount",
        params=(ME, "latest"),
        expect=Value(is_=hex(NEXT)),
    ),
    Case(
        name="balance to come",
        method="eth_getBalance",
        params=(NOBODY, "pending"),
        expect=Value(is_=hex(10**18 + 9 + 6)),
    ),
    Case(
        name="balance at the head",
        method="eth_getBalance",
        params=(NOBODY, "latest"),
        expect=Value(is_=hex(10**18 + 9)),
    ),
    Case(
        name="pending block",
        method="eth_getBlockByNumber",
        params=("pending", False),
        expect=Value(
            has={"number": "0x5", "parentHash": "block 4", "transactions": [hash_of(BETTER), hash_of(WRITE)]}
        ),
        clean=unsealed,
    ),
    Case(
        name="pending block, whole",
        method="eth_getBlockByNumber",
        params=("pending", True),
        expect=Value(check=lambda block: [one["nonce"] for one in block["transactions"]] == ["0xf", "0x10"]),
        clean=lambda block: unsealed({**block, "transactions": list(map(unplaced, block["transactions"]))}),
    ),
    Case(
        name="pending receipts",
        method="eth_getBlockReceipts",
        params=("pending",),
        expect=Value(is_=None),
    ),
    Case(
        name="pending place",
        method="eth_getTransactionByBlockNumberAndIndex",
        params=("pending", "0x0"),
        expect=Value(is_=None),
    ),
    Case(
        name="pending count",
        method="eth_getBlockTransactionCountByNumber",
        params=("pending",),
        expect=Value(is_="0x2"),
    ),
    *(
        Case(name=tag, method="eth_call", params=({"to": STORES}, tag), expect=Value(is_=word(value)))
        for tag, value in (("pending", 44), ("latest", 6))
    ),
]


def test_both_pool_alike_and_tell_what_waits_and_seal_it(pair: Pair) -> None:
    for case in (*POOLING, *WAITING):
        assert_same(pair, case)
    for node in pair:
        node.get("evm_mine")
        sealed = node.get("eth_getBlockByNumber", "latest", False)
        assert sealed["transactions"] == [hash_of(BETTER), hash_of(WRITE)]
        assert node.get("txpool_status") == {"pending": "0x0", "queued": "0x1"}
