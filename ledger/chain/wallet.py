"""Why a person's own transactions need no outbox: one call, sent and waited for while they look on.

Approve, deposit, withdraw and terminate from the command line; whoever is interrupted looks at the
chain and calls again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.chain.calls import Call
from ledger.chain.client import MarketClient, MinedReceipt
from ledger.chain.keys import Signer, UnsignedTransaction
from ledger.market.errors import LostRace, Rejected, Unavailable
from ledger.market.identity import text

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
    fees = client.fees()
    signed = key.sign_transaction(
        UnsignedTransaction(
            chain_id=client.domain().chain_id,
            nonce=client.transaction_count(key.address, "pending"),
            to=call.to,
            data=call.data,
            gas=call.gas,
            max_fee=fees.max_fee,
            tip=fees.tip,
        )
    )
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
