"""A raw transaction is taken or refused for a reason, whatever its bytes."""

from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.embedded.transactions import TRANSACTION_GAS_CAP, decode, pooled
from ledger.market.errors import Rejected

CHAIN_ID = 4_242
KEY = b"\x07" * 32
DYNAMIC: dict[str, Any] = {
    "type": 2,
    "chainId": CHAIN_ID,
    "nonce": 3,
    "to": b"\x11" * 20,
    "value": 5,
    "gas": 21_000,
    "maxFeePerGas": 100,
    "maxPriorityFeePerGas": 7,
}
LEGACY: dict[str, Any] = {
    "chainId": CHAIN_ID,
    "nonce": 3,
    "to": b"\x11" * 20,
    "value": 5,
    "gas": 21_000,
    "gasPrice": 100,
}


def signed(fields: dict[str, Any], **changes: object) -> bytes:
    return bytes(Account.sign_transaction({**fields, **changes}, KEY).raw_transaction)


@pytest.mark.parametrize(
    "raw", [signed(LEGACY), signed(LEGACY, type=1, accessList=[]), signed(DYNAMIC)], ids=["0", "1", "2"]
)
def test_types_0_1_and_2_are_taken_and_their_signer_known(raw: bytes) -> None:
    transaction = pooled(raw, CHAIN_ID)
    assert transaction.sender == bytes.fromhex(Account.from_key(KEY).address[2:])
    assert (transaction.nonce, transaction.max_fee, transaction.cost) == (3, 100, 2_100_005)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "transaction-size"),
        (b"\x02" * 200_000, "transaction-size"),
        (b"\x03\xc0", "transaction-type"),
        (b"\x02\xc0", "transaction-malformed"),
        (b"\xff", "transaction-malformed"),
        (signed(DYNAMIC)[:-1], "transaction-malformed"),
        (signed(DYNAMIC, chainId=1), "transaction-chain-id"),
        ({k: v for k, v in LEGACY.items() if k != "chainId"}, "transaction-unprotected"),
        (signed(DYNAMIC, gas=20_999), "transaction-intrinsic-gas"),
        (signed(DYNAMIC, data=b"\x01" * 100, gas=22_600), "transaction-intrinsic-gas"),
        (signed(DYNAMIC, gas=TRANSACTION_GAS_CAP + 1), "transaction-gas-cap"),
        (signed(DYNAMIC, maxPriorityFeePerGas=101), "transaction-tip"),
    ],
)
def test_a_transaction_that_cannot_run_is_refused_with_its_reason(
    raw: bytes | dict[str, Any], code: str
) -> None:
    with pytest.raises(Rejected) as refusal:
        pooled(signed(raw) if isinstance(raw, dict) else raw, CHAIN_ID)
    assert refusal.value.code == code


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_rejected(raw: bytes) -> None:
    try:
        decode(raw)
    except Rejected:
        return
