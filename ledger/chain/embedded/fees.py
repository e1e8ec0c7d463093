"""What a transaction should offer. On an embedded grid coin has no price, so the tip is a constant."""

from collections.abc import Sequence
from typing import Any

from eth.vm.forks.london.headers import calculate_expected_base_fee_per_gas

from ledger.chain.embedded.chain import EmbeddedChain, decode_header
from ledger.chain.embedded.evm import base_fee
from ledger.chain.embedded.queries import Queries
from ledger.chain.embedded.rows import BlockRow
from ledger.chain.embedded.rpc_error import SERVER_ERROR, RpcError, invalid

TIP = 1_000_000  # wei a unit of gas
BLOB_BASE_FEE = 1  # wei: the least there is, since no block carries a blob (EIP-4844)
_MAX_BLOCKS = 1_024
_MAX_PERCENTILES = 100


def next_base_fee(row: BlockRow) -> int:
    """The base fee of the block after `row`, in wei (EIP-1559)."""
    return int(calculate_expected_base_fee_per_gas(decode_header(row)))


def gas_price(chain: EmbeddedChain) -> int:
    """A legacy gas price that the next blocks accept: twice the base fee and the tip."""
    return 2 * next_base_fee(chain.head()) + TIP


def percentiles(value: object) -> list[float]:
    """The requested reward percentiles, rising, each 0 to 100."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MAX_PERCENTILES:
        raise invalid("reward percentiles must be a short list")
    wanted = [one for one in value if type(one) in (int, float) and 0 <= one <= 100]  # per cent
    if len(wanted) != len(value) or wanted != sorted(wanted):
        raise invalid("reward percentiles must rise from 0 to 100")
    return wanted


def beyond_head(wanted: int, head: int) -> RpcError:
    """The error for a newest block that is not there yet."""
    return RpcError(SERVER_ERROR, f"request beyond head block: requested {wanted}, head {head}")


def history(query: Queries, last: BlockRow, count: int, wanted: Sequence[float]) -> dict[str, Any]:
    """`eth_feeHistory` of the `count` blocks that end with `last`."""
    count = min(max(count, 1), _MAX_BLOCKS, last.number + 1)
    rows = query.blocks_between(last.number - count + 1, last.number)
    headers = [decode_header(row) for row in rows]
    base_fees = [base_fee(header) for header in headers]
    answer: dict[str, Any] = {
        "oldestBlock": hex(rows[0].number),
        "baseFeePerGas": [hex(fee) for fee in (*base_fees, next_base_fee(rows[-1]))],
        "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        "baseFeePerBlobGas": [hex(BLOB_BASE_FEE)] * (count + 1),
        "blobGasUsedRatio": [0.0] * count,
    }
    if wanted:
        pairs = zip(rows, base_fees, strict=True)
        answer["reward"] = [_rewards(query, row.hash, fee, wanted) for row, fee in pairs]
    return answer


def _rewards(query: Queries, block: bytes, burnt: int, wanted: Sequence[float]) -> list[str]:
    tips = sorted((int(one.price) - burnt, one.gas_used) for one in query.receipts_of(block))
    total = sum(gas for _, gas in tips)
    rewards: list[str] = []
    for percentile in wanted:
        reached, reward = 0, 0
        for tip, gas in tips:
            reward = tip
            reached += gas
            if reached * 100 >= total * percentile:
                break
        rewards.append(hex(max(reward, 0)))
    return rewards
