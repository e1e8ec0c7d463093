"""Why a person's own transactions need no outbox: one call, sent and waited for while they look on.

Money, stake, delegates and a lease's end from the command line; whoever is interrupted looks at the
chain and calls again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ledger.chain.calls import Call
from ledger.chain.client import MarketClient, MinedReceipt
from ledger.chain.gas import TRANSFER_GAS, unsigned
from ledger.chain.keys import Signer, UnsignedTransaction
from ledger.chain.outcomes import reason_against
from ledger.chain.typed_data import permit_message, withdrawal_message
from ledger.market.errors import LostRace, Rejected, Unavailable
from ledger.market.identity import Address, text
from ledger.market.instructions import Instruction, RelayDeposit
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal, Withdrawal

_RESEND_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait and by which clock; `clock` in seconds, `sleep` takes seconds."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    seconds: float = 60.0
    pause: float = 0.1


def send_and_wait(client: MarketClient, key: Signer, call: Call, patience: Patience) -> MinedReceipt:
    """Send one call of the key's account and return what it did.

    `Rejected` "reverted" (found out before it costs gas where possible) or "no-coin-for-gas";
    `Unavailable` "not-mined" where no block took it in time, with the transaction's hash.
    """
    client.simulate(call, key.address)
    return _sent(client, key, _unsigned(client, key, call), patience)


def send_coin(client: MarketClient, key: Signer, to: Address, patience: Patience) -> MinedReceipt | None:
    """Give the account's whole coin away, less the gas for it; None where it has no more than that."""
    fields = _unsigned(client, key, Call(to=to, data=b"", gas=TRANSFER_GAS))
    value = client.coin_balance(key.address) - TRANSFER_GAS * fields.max_fee
    return _sent(client, key, replace(fields, value=value), patience) if value > 0 else None


def _unsigned(client: MarketClient, key: Signer, call: Call) -> UnsignedTransaction:
    nonce = client.transaction_count(key.address, "pending")
    return unsigned(call, client.fees(), chain_id=client.domain().chain_id, nonce=nonce)


def _sent(client: MarketClient, key: Signer, fields: UnsignedTransaction, patience: Patience) -> MinedReceipt:
    signed = key.sign_transaction(fields)
    client.send_raw(signed.raw)
    mined = _wait(client, signed.raw, signed.hash, patience)
    if not mined.succeeded:
        raise Rejected(
            "reverted",
            f"Transaction {text(signed.hash)} was mined and reverted.",
            "Look at the state again; something changed in between.",
            transaction=text(signed.hash),
        )
    return mined


def carry_out(client: MarketClient, key: Signer, wish: Instruction, patience: Patience) -> MinedReceipt:
    """Send one wish of the key's account, to the market or its jury; as `send_and_wait`.

    `Rejected` "skipped" where the contract took the call and passed the wish over, with its reason.
    """
    mined = send_and_wait(client, key, client.call_of(wish), patience)
    reason = reason_against(wish, mined.events, client.domain())
    if reason is not None:
        raise Rejected(
            "skipped",
            f"The contract passed it over: {reason}.",
            "Look at the state that the reason names.",
            reason=reason,
        )
    return mined


def deposit_with_permit(
    client: MarketClient, key: Signer, amount: int, deadline: int, patience: Patience
) -> MinedReceipt:
    """Deposit in one transaction, without an approval before it; `Rejected` "no-permit" where the token
    takes none."""
    return carry_out(client, key, RelayDeposit(signed=sign_permit(client, key, amount, deadline)), patience)


def sign_permit(client: MarketClient, key: Signer, amount: int, deadline: int) -> SignedPermit:
    """The key's permit for the market to take base units of its token, which anybody may deliver."""
    nonce = client.permit_nonce(key.address)
    message = permit_message(client.token_domain(), key.address, client.market, amount, nonce, deadline)
    signature = key.sign_typed(message)
    return SignedPermit(owner=key.address, amount=amount, deadline=deadline, signature=signature)


def sign_withdrawal(
    client: MarketClient, key: Signer, *, to: Address, amount: int, nonce: int, deadline: int
) -> SignedWithdrawal:
    """The key's order to pay base units of its balance out, which anybody may deliver."""
    order = Withdrawal(account=key.address, to=to, amount=amount, nonce=nonce, deadline=deadline)
    signature = key.sign_typed(withdrawal_message(client.domain(), order))
    return SignedWithdrawal(withdrawal=order, signature=signature)


def wait_for(client: MarketClient, transaction: bytes, patience: Patience) -> MinedReceipt:
    """The receipt of a transaction that somebody sent; `Unavailable` "not-mined" in time."""
    return _wait(client, None, transaction, patience)


def _wait(client: MarketClient, raw: bytes | None, transaction: bytes, patience: Patience) -> MinedReceipt:
    began = sent_at = patience.clock()
    while (now := patience.clock()) - began < patience.seconds:
        mined = client.receipt(transaction)
        if mined is not None:
            return mined
        if raw is not None and now - sent_at >= _RESEND_SECONDS:
            _send_again(client, raw)
            sent_at = now
        patience.sleep(patience.pause)
    raise Unavailable(
        "not-mined",
        f"Transaction {text(transaction)} is not in a block after {patience.seconds:g} seconds.",
        "It may still be mined; look at it again before sending another.",
        transaction=text(transaction),
    )


def _send_again(client: MarketClient, raw: bytes) -> None:
    """A chain that restarted forgot what waited; a lost race means that the nonce was mined."""
    try:
        client.send_raw(raw)
    except LostRace:
        return
