"""Prague rules with the one change an embedded chain needs: blocks of the same second may follow.

Ethereum wants timestamps to rise strictly; a chain that seals on arrival would run ahead of the clock by
one second a block, and every time-out of the market would come early. Layer-2 chains (Arbitrum) share
timestamps for the same reason. Proof-of-stake headers: no difficulty, no seal, no reward.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import rlp
from eth._utils.address import generate_contract_address
from eth.abc import BlockAPI, BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI, VirtualMachineAPI
from eth.chains.base import MiningChain
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.exceptions import PyEVMError
from eth.vm.forks.prague import PragueVM
from eth_typing import Address
from eth_utils.exceptions import ValidationError

from ledger.chain.embedded.rows import BlockRow, LogRow, ReceiptRow, TransactionRow
from ledger.chain.embedded.transactions import PooledTransaction


class SharedSecondVM(PragueVM):
    """Prague, but a block may carry its parent's timestamp."""

    @classmethod
    def validate_header(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        """As Prague does, with the parent taken one second earlier so that "later" means "not earlier"."""
        earlier = parent_header.copy(timestamp=max(parent_header.timestamp - 1, 0))
        super().validate_header(header, earlier)


class GridChain(MiningChain):
    """py-evm's chain under Prague rules; `configure(chain_id=…)` makes the class of one grid."""

    vm_configuration = ((0, SharedSecondVM),)  # type: ignore[assignment]  # py-evm annotates no ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A block before it is persisted: what went in, and what was found invalid or did not fit."""

    block: BlockAPI
    included: Sequence[PooledTransaction]
    receipts: Sequence[ReceiptAPI]
    invalid: Sequence[PooledTransaction]


def build_block(
    chain: GridChain, base: BlockHeaderAPI, transactions: Iterable[PooledTransaction]
) -> Candidate:
    """Execute `transactions` in order on top of `base`'s parent.

    One that is invalid by now is left out and its sender's later ones wait; one that no longer fits the
    gas limit waits too. All run in one state and are folded into the block once (py-evm's
    `apply_transaction` rebuilds both tries for each transaction and is quadratic).
    """
    vm = chain.get_vm(base)
    header, included, receipts = base, [], []
    invalid: list[PooledTransaction] = []
    held: set[bytes] = set()
    for pooled in transactions:
        if pooled.sender in held or header.gas_used + pooled.gas > header.gas_limit:
            held.add(pooled.sender)
            continue
        try:
            receipt, _ = vm.apply_transaction(header, pooled.signed)
        except (ValidationError, PyEVMError):
            invalid.append(pooled)
            held.add(pooled.sender)
            continue
        header = vm.add_receipt_to_header(header, receipt)
        included.append(pooled)
        receipts.append(receipt)
    block = _fold(vm, header, [pooled.signed for pooled in included], receipts)
    return Candidate(block=block, included=included, receipts=receipts, invalid=invalid)


def base_fee(header: BlockHeaderAPI) -> int:
    """Wei a unit of gas that the block burns (EIP-1559)."""
    assert header.base_fee_per_gas is not None, "a Prague header has a base fee"
    return header.base_fee_per_gas


def block_row(block: BlockAPI) -> BlockRow:
    """The block as the store keeps it."""
    header = block.header
    return BlockRow(
        bytes(header.hash),
        header.block_number,
        bytes(header.parent_hash),
        header.timestamp,
        rlp.encode(header),
        len(rlp.encode(block)),
    )


def transaction_rows(candidate: Candidate) -> list[TransactionRow]:
    """The included transactions as the store keeps them."""
    block = bytes(candidate.block.hash)
    return [
        TransactionRow(block, position, pooled.hash, pooled.sender, pooled.raw)
        for position, pooled in enumerate(candidate.included)
    ]


def receipt_rows(candidate: Candidate) -> list[ReceiptRow]:
    """Decoded receipts, with what JSON-RPC adds: own gas, price paid, address created."""
    rows: list[ReceiptRow] = []
    before = 0
    header = candidate.block.header
    pairs = zip(candidate.included, candidate.receipts, strict=True)
    for position, (pooled, receipt) in enumerate(pairs):
        rows.append(
            ReceiptRow(
                bytes(header.hash),
                position,
                pooled.signed.type_id or 0,
                int(receipt.state_root == b"\x01"),
                receipt.gas_used - before,
                receipt.gas_used,
                str(min(pooled.max_fee, base_fee(header) + pooled.tip)),
                _created(pooled),
                receipt.bloom.to_bytes(256, "big"),
            )
        )
        before = receipt.gas_used
    return rows


def log_rows(candidate: Candidate) -> list[LogRow]:
    """Every event of the block, numbered through it."""
    rows: list[LogRow] = []
    block, number = bytes(candidate.block.hash), candidate.block.number
    pairs = zip(candidate.included, candidate.receipts, strict=True)
    for place, (pooled, receipt) in enumerate(pairs):
        for log in receipt.logs:
            topics = [topic.to_bytes(32, "big") for topic in log.topics]
            first, second, third, fourth = (*topics, None, None, None, None)[:4]
            rows.append(
                LogRow(
                    block,
                    len(rows),
                    number,
                    place,
                    pooled.hash,
                    bytes(log.address),
                    first,
                    second,
                    third,
                    fourth,
                    bytes(log.data),
                )
            )
    return rows


def _fold(
    vm: VirtualMachineAPI,
    header: BlockHeaderAPI,
    transactions: Sequence[SignedTransactionAPI],
    receipts: Sequence[ReceiptAPI],
) -> BlockAPI:
    filled = vm.set_block_transactions_and_withdrawals(vm.get_block(), header, transactions, receipts)
    return vm.mine_block(filled).block


def _created(pooled: PooledTransaction) -> bytes | None:
    if pooled.signed.to != CREATE_CONTRACT_ADDRESS:
        return None
    return bytes(generate_contract_address(Address(pooled.sender), pooled.nonce))
