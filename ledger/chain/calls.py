"""Why several wishes cost one transaction: a batch of one kind becomes one call, bad items skip alone.

Pure: from instructions to call data and a gas limit. The limits are upper bounds per call form, kept
by tests against the contract, so that no call waits for an estimate; unused gas is not charged. They
stay under the 2^24 gas that one transaction may have (EIP-7825).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain.abi import MARKET, TOKEN, functions
from ledger.chain.structs import bid_words, offer_words, terms_words
from ledger.market.bid import SignedBid
from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, Address, Digest, OfferId
from ledger.market.instructions import (
    CancelOffer,
    CloseLease,
    Instruction,
    OpenLease,
    RegisterOffer,
    ReleaseLease,
    SettleReceipt,
    TerminateLease,
)
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.receipt import SignedReceipt

MAX_ITEMS: Final = 32
"""the contract's bound on every array argument"""
BATCHED: Final = (OpenLease, SettleReceipt, CloseLease)
"""kinds of which one call may carry several"""

Words = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call data for one contract and the most gas it may use."""

    to: Address
    data: bytes
    gas: int


def market_call(market: Address, batch: Sequence[Instruction], root: Digest = NO_DIGEST) -> Call:
    """One call for up to `MAX_ITEMS` instructions of one kind; `root` is what a match publishes.

    `Rejected` for an empty or mixed batch, and for several of a kind that is called one by one.
    """
    kinds = {type(one) for one in batch}
    if len(kinds) != 1 or len(batch) > MAX_ITEMS or (len(batch) > 1 and not kinds < set(BATCHED)):
        raise Rejected(
            "malformed-batch",
            f"{len(batch)} instructions of {len(kinds)} kinds do not fit one call.",
            f"Give at most {MAX_ITEMS} of one kind that can be batched.",
        )
    name, arguments, gas = _several(batch, root) if len(batch) > 1 else _single(batch[0])
    return Call(to=market, data=functions(MARKET)[name].call(*arguments), gas=gas)


def deposit(market: Address, amount: int) -> Call:
    """Move approved tokens into the caller's balance, in base units."""
    return Call(to=market, data=functions(MARKET)["deposit"].call(amount), gas=200_000)


def withdraw(market: Address, amount: int) -> Call:
    """Pay base units of the caller's balance out to the caller."""
    return Call(to=market, data=functions(MARKET)["withdraw"].call(amount), gas=200_000)


def approve(token: Address, spender: Address, amount: int) -> Call:
    """ERC-20: let `spender` take up to `amount` base units."""
    return Call(to=token, data=functions(TOKEN)["approve"].call(spender, amount), gas=120_000)


def transfer(token: Address, receiver: Address, amount: int) -> Call:
    """ERC-20: give base units away."""
    return Call(to=token, data=functions(TOKEN)["transfer"].call(receiver, amount), gas=120_000)


def fill_words(signed: SignedBid, rate: int, offer_index: int = 0) -> Words:
    """The contract's `Fill` struct: which offer, at which rate, for which signed bid."""
    return (offer_index, rate, bid_words(signed.bid), signed.signature[:32], signed.signature[32:])


def settlement_words(terms: LeaseTerms, signed: SignedReceipt) -> Words:
    """The contract's `Settlement` struct."""
    receipt, signature = signed.receipt, signed.signature
    return (
        terms_words(terms),
        receipt.milliseconds,
        receipt.evidence,
        int(receipt.last),
        signature[:32],
        signature[32:],
    )


def _single(wish: Instruction) -> tuple[str, Words, int]:
    match wish:
        case RegisterOffer(offer=offer):
            return "registerOffer", (offer_words(offer),), 150_000
        case CancelOffer(offer=offer):
            return "cancelOffer", (offer_words(offer),), 150_000
        case OpenLease():
            return "matchBid", (offer_words(wish.offer), fill_words(wish.signed, wish.rate)), 250_000
        case SettleReceipt():
            return "settle", (settlement_words(wish.terms, wish.signed),), 250_000
        case ReleaseLease(terms=terms):
            return "release", (terms_words(terms),), 200_000
        case TerminateLease(terms=terms):
            return "terminate", (terms_words(terms),), 150_000
        case CloseLease(terms=terms):
            return "close", (terms_words(terms),), 200_000


def _several(batch: Sequence[Instruction], root: Digest) -> tuple[str, Words, int]:
    gas = 300_000 + 150_000 * len(batch)
    opens = [wish for wish in batch if isinstance(wish, OpenLease)]
    if opens:
        return "matchBids", (*_grouped(opens), root), gas
    receipts = [settlement_words(one.terms, one.signed) for one in batch if isinstance(one, SettleReceipt)]
    if receipts:
        return "settleMany", (receipts,), gas
    closes = [terms_words(wish.terms) for wish in batch if isinstance(wish, CloseLease)]
    return "closeMany", (closes,), gas


def _grouped(opens: Sequence[OpenLease]) -> tuple[list[Words], list[Words]]:
    """Each offer once, and the fills in their order pointing into them."""
    offers: dict[OfferId, Offer] = {wish.offer_id: wish.offer for wish in opens}
    index = {offer_id: position for position, offer_id in enumerate(offers)}
    fills = [fill_words(wish.signed, wish.rate, index[wish.offer_id]) for wish in opens]
    return [offer_words(offer) for offer in offers.values()], fills
