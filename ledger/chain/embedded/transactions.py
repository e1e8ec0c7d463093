"""Raw transactions in, checked values out: what can be refused is refused before it is pooled.

Only types 0 (EIP-155), 1 (EIP-2930) and 2 (EIP-1559) are taken; a blob or a delegation has no use on an
embedded grid. A gas limit above 2^24 is refused as EIP-7825 does on public networks, so that a call
that works here works there. Messages are those of go-ethereum, which client libraries match on.
"""

from dataclasses import dataclass

import rlp
from eth.abc import SignedTransactionAPI
from eth.exceptions import UnrecognizedTransactionType
from eth.vm.forks.prague import PragueVM
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from ledger.chain.embedded.genesis import GAS_LIMIT
from ledger.market.errors import Rejected

TRANSACTION_GAS_CAP = 16_777_216  # EIP-7825
_FLOOR_PER_TOKEN = 10  # EIP-7623
_TOKENS_PER_NONZERO_BYTE = 4  # EIP-7623
_BASE_GAS = 21_000
_MAX_BYTES = 128 * 1024
_MAX_INITCODE = 49_152  # EIP-3860
_MALFORMED = (
    rlp.exceptions.RLPException,
    UnrecognizedTransactionType,
    ValidationError,
    BadSignature,
    ValueError,
    TypeError,
    IndexError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledTransaction:
    """A signed transaction with what the mempool orders by; fees are wei a unit of gas."""

    hash: bytes
    sender: bytes
    nonce: int
    gas: int
    max_fee: int
    tip: int
    cost: int
    raw: bytes
    signed: SignedTransactionAPI


def decode(raw: bytes) -> SignedTransactionAPI:
    """The transaction in an EIP-2718 envelope. `Rejected` when it is none that we take."""
    if not raw or len(raw) > _MAX_BYTES:
        raise _refused("transaction-size", f"transaction of {len(raw)} bytes", "Send 1 to 131,072 bytes")
    if raw[0] in (3, 4):
        raise _refused("transaction-type", "transaction type not supported", "Send type 0, 1 or 2")
    try:
        return PragueVM.get_transaction_builder().decode(raw)
    except _MALFORMED as exc:
        raise _refused(
            "transaction-malformed", "rlp: transaction cannot be decoded", "Send an EIP-2718 envelope"
        ) from exc


def pooled(raw: bytes, chain_id: int) -> PooledTransaction:
    """Decode `raw`, recover its signer and check all that needs no state. `Rejected` otherwise."""
    signed = decode(raw)
    _check_chain(signed, chain_id)
    try:
        sender = bytes(signed.sender)
    except _MALFORMED as exc:
        raise _refused("transaction-signature", "invalid sender", "Sign the transaction again") from exc
    _check_gas(signed)
    if signed.max_priority_fee_per_gas > signed.max_fee_per_gas:
        raise _refused(
            "transaction-tip",
            "max priority fee per gas higher than max fee per gas",
            "Lower the tip or raise the maximum fee",
        )
    return PooledTransaction(
        hash=bytes(signed.hash),
        sender=sender,
        nonce=signed.nonce,
        gas=signed.gas,
        max_fee=signed.max_fee_per_gas,
        tip=signed.max_priority_fee_per_gas,
        cost=signed.gas * signed.max_fee_per_gas + signed.value,
        raw=raw,
        signed=signed,
    )


def least_gas(data: bytes, intrinsic: int) -> int:
    """The smallest gas limit a transaction may carry: intrinsic gas or EIP-7623's floor for its data."""
    zeros = data.count(0)
    tokens = zeros + (len(data) - zeros) * _TOKENS_PER_NONZERO_BYTE
    return max(intrinsic, _BASE_GAS + _FLOOR_PER_TOKEN * tokens)


def _check_chain(signed: SignedTransactionAPI, chain_id: int) -> None:
    if signed.chain_id is None:
        raise _refused(
            "transaction-unprotected",
            "only replay-protected (EIP-155) transactions allowed over RPC",
            "Sign with the chain id",
        )
    if signed.chain_id != chain_id:
        raise _refused(
            "transaction-chain-id",
            f"invalid chain id for signer: have {signed.chain_id} want {chain_id}",
            "Sign for this chain",
        )


def _check_gas(signed: SignedTransactionAPI) -> None:
    if signed.gas > GAS_LIMIT:
        raise _refused("transaction-block-gas", "exceeds block gas limit", "Split the call")
    if signed.gas > TRANSACTION_GAS_CAP:
        raise _refused(
            "transaction-gas-cap",
            f"transaction gas limit too high (cap: {TRANSACTION_GAS_CAP}, tx: {signed.gas})",
            "Split the call (EIP-7825)",
        )
    if not signed.to and len(signed.data) > _MAX_INITCODE:
        raise _refused(
            "transaction-initcode",
            f"max initcode size exceeded: code size {len(signed.data)}, limit {_MAX_INITCODE}",
            "Create the contract in parts (EIP-3860)",
        )
    needed = least_gas(signed.data, signed.intrinsic_gas)
    if signed.gas < needed:
        short = "intrinsic gas too low"
        if signed.gas >= signed.intrinsic_gas:
            short = "insufficient gas for floor data gas cost"
        raise _refused(
            "transaction-intrinsic-gas",
            f"{short}: gas {signed.gas}, minimum needed {needed}",
            "Raise the gas limit",
        )


def _refused(code: str, cause: str, remedy: str) -> Rejected:
    return Rejected(code, f"{cause}.", f"{remedy}.")
