"""Prague rules with the one change an embedded chain needs: blocks of the same second may follow.

Ethereum wants timestamps to rise strictly; a chain that seals on arrival would run ahead of the clock by
one second a block, and every time-out of the market would come early. Layer-2 chains (Arbitrum) share
timestamps for the same reason. Proof-of-stake headers: no difficulty, no seal, no reward.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import rlp
from eth._utils.address import generate_contract_address
from eth._utils.db import apply_state_dict
from eth.abc import AtomicDatabaseAPI, BlockAPI, BlockHeaderAPI, ReceiptAPI, VirtualMachineAPI
from eth.consensus.context import ConsensusContext
from eth.constants import BLANK_ROOT_HASH, CREATE_CONTRACT_ADDRESS
from eth.db.chain import ChainDB
from eth.exceptions import HeaderNotFound, PyEVMError
from eth.rlp.headers import BlockHeader
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlock
from eth_typing import Address, Hash32
from eth_utils.exceptions import ValidationError
from trie.hexary import HexaryTrie

from ledger.chain.embedded import genesis
from ledger.chain.embedded.genesis import Genesis
from ledger.chain.embedded.rows import BlockRow, LogRow, ReceiptRow, TransactionRow
from ledger.chain.embedded.state import RecordingState
from ledger.chain.embedded.transactions import PooledTransaction


class SharedSecondVM(PragueVM):
    """Prague, but a block may carry its parent's timestamp."""

    _state_class = RecordingState

    @classmethod
    def validate_header(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        """As Prague does, with the parent taken one second earlier so that "later" means "not earlier"."""
        earlier = parent_header.copy(timestamp=max(parent_header.timestamp - 1, 0))
        super().validate_header(header, earlier)


class Ancestry(ChainDB):
    """py-evm's view of the chain: state from `db`, headers by hash from wherever they are kept."""

    def __init__(self, db: AtomicDatabaseAPI, header_of: Callable[[bytes], BlockHeaderAPI | None]) -> None:
        super().__init__(db)
        self._header_of = header_of

    def get_block_header_by_hash(self, block_hash: Hash32) -> BlockHeaderAPI:
        """The header; `HeaderNotFound` where there is none (py-evm's contract)."""
        header = self._header_of(block_hash)
        if header is None:
            raise HeaderNotFound(f"no header 0x{block_hash.hex()}")
        return header


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A block before it is persisted: what went in, and what was found invalid or did not fit."""

    block: BlockAPI
    included: Sequence[PooledTransaction]
    receipts: Sequence[ReceiptAPI]
    invalid: Sequence[PooledTransaction]


def build_block(
    ancestry: Ancestry, chain_id: int, base: BlockHeaderAPI, transactions: Iterable[PooledTransaction]
) -> Candidate:
    """Execute `transactions` in order on top of `base`'s parent.

    One that is invalid by now is left out and its sender's later ones wait; one that no longer fits the
    gas limit waits too. All run in one state and are folded into the block once (py-evm's
    `apply_transaction` rebuilds both tries for each transaction and is quadratic).
    """
    vm = SharedSecondVM(
        header=base,
        chaindb=ancestry,
        chain_context=ChainContext(chain_id),
        consensus_context=ConsensusContext(ancestry.db),
    )
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
    block = _fold(vm, header, included, receipts)
    return Candidate(block=block, included=included, receipts=receipts, invalid=invalid)


def genesis_block(database: AtomicDatabaseAPI, identity: Genesis) -> BlockAPI:
    """Block 0 of `identity`; its state is written to `database`."""
    before = BlockHeader(difficulty=0, block_number=-1, gas_limit=0)
    state = SharedSecondVM.build_state(database, before, ChainContext(identity.chain_id))
    apply_state_dict(state, genesis.state(identity))
    state.persist()
    fields = genesis.header_fields(identity)
    return PragueBlock(SharedSecondVM.create_genesis_header(**fields, state_root=state.state_root))


def list_root(items: Sequence[bytes]) -> bytes:
    """The root of the trie in which each item lies under its place: how headers commit to lists."""
    if not items:
        return bytes(BLANK_ROOT_HASH)
    trie = HexaryTrie({})
    with trie.squash_changes() as writable:
        for place, item in enumerate(items):
            writable[rlp.encode(place)] = item
    return bytes(trie.root_hash)


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
    included: Sequence[PooledTransaction],
    receipts: Sequence[ReceiptAPI],
) -> BlockAPI:
    # The tries' nodes are not kept: the tables answer for transactions and receipts.
    vm.state.persist()
    whole = header.copy(
        transaction_root=list_root([pooled.raw for pooled in included]),
        receipt_root=list_root([receipt.encode() for receipt in receipts]),
        state_root=vm.state.state_root,
    )
    vm.validate_header(whole, vm.chaindb.get_block_header_by_hash(whole.parent_hash))
    return PragueBlock(whole, [pooled.signed for pooled in included])


def _created(pooled: PooledTransaction) -> bytes | None:
    if pooled.signed.to != CREATE_CONTRACT_ADDRESS:
        return None
    return bytes(generate_contract_address(Address(pooled.sender), pooled.nonce))
