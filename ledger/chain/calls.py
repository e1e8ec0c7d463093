"""Why several wishes cost one transaction: a batch of one kind becomes one call, bad items skip alone.

Pure: from instructions to call data and a gas limit. The limits are upper bounds per call form, kept
by tests against the contract, so that no call waits for an estimate; unused gas is not charged. They
stay under the 2^24 gas that one transaction may have (EIP-7825).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain.abi import JURY, MARKET, TOKEN, functions
from ledger.chain.structs import bid_words, offer_words, terms_words
from ledger.market.bid import SignedBid
from ledger.market.delegation import Delegation
from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, NOBODY, Address, Digest, OfferId
from ledger.market.instructions import (
    AnchorEpoch,
    CancelOffer,
    CloseLease,
    CommitResult,
    ContestClaim,
    ContinueLease,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    Instruction,
    OpenClaim,
    OpenGang,
    OpenLease,
    RegisterOffer,
    RelayDeposit,
    RelayWithdrawal,
    ReleaseLease,
    RevealResult,
    SettleReceipt,
    TerminateLease,
)
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.receipt import SignedReceipt

MAX_ITEMS: Final = 32
"""the contract's bound on every array argument"""
BATCHED: Final = (OpenLease, SettleReceipt, CloseLease, RegisterOffer)
"""kinds of which one call may carry several"""
TO_JURY: Final = (CommitResult, RevealResult, DecideReplicas)
"""kinds that call the jury's contract, not the market's"""

_RATE_BITS: Final = 96
_MILLISECOND_BITS: Final = 64

Words = tuple[Any, ...]
_Form = tuple[str, Words, int]
"""a function's name, its arguments, and the most gas that it may use"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call data for one contract and the most gas it may use."""

    to: Address
    data: bytes
    gas: int


def market_call(
    market: Address, batch: Sequence[Instruction], root: Digest = NO_DIGEST, jury: Address = NOBODY
) -> Call:
    """One call for up to `MAX_ITEMS` instructions of one kind, matches also with `AnchorEpoch`s: the last
    one's root is what the call publishes, else `root`. `jury` is where instructions `TO_JURY` go.

    `Rejected` for an empty or mixed batch, for several of a kind that is called one by one, and for an
    instruction to a jury that is not named.
    """
    anchors = [one for one in batch if isinstance(one, AnchorEpoch)]
    if anchors:
        root = anchors[-1].root
        batch = [one for one in batch if not isinstance(one, AnchorEpoch)]
        if all(isinstance(one, OpenLease) for one in batch) and len(batch) <= MAX_ITEMS:
            return _market(market, *_matches(batch, root))
    kinds = {type(one) for one in batch}
    if anchors or len(kinds) != 1 or len(batch) > MAX_ITEMS or (len(batch) > 1 and not kinds < set(BATCHED)):
        raise Rejected(
            "malformed-batch",
            f"{len(batch)} instructions of {len(kinds)} kinds do not fit one call.",
            f"Give at most {MAX_ITEMS} of one kind that can be batched.",
        )
    if isinstance(batch[0], TO_JURY):
        return _jury_call(jury, batch[0])
    name, arguments, gas = _several(batch, root) if len(batch) > 1 else _single(batch[0])
    return _market(market, name, arguments, gas)


def deposit(market: Address, amount: int) -> Call:
    """Move approved tokens into the caller's balance, in base units."""
    return _market(market, "deposit", (amount,), 200_000)


def withdraw(market: Address, amount: int) -> Call:
    """Pay base units of the caller's balance out to the caller."""
    return _market(market, "withdraw", (amount,), 200_000)


def stake(market: Address, amount: int) -> Call:
    """Move base units of the caller's balance to its free stake."""
    return _market(market, "stake", (amount,), 120_000)


def request_unstake(market: Address, amount: int) -> Call:
    """Take base units out of the caller's free stake; the delay before all that is queued comes back
    begins anew (`FinishUnstake` then)."""
    return _market(market, "requestUnstake", (amount,), 120_000)


def set_delegate(market: Address, delegation: Delegation) -> Call:
    """Say what a second key may do for the caller; a delegation without roles revokes the key."""
    one = delegation
    return _market(market, "setDelegate", (one.key, int(one.roles), one.allowance, one.until), 120_000)


def bump_epoch(market: Address) -> Call:
    """Void every offer and bid that the caller signed so far."""
    return _market(market, "bumpEpoch", (), 100_000)


def cancel_nonces(market: Address, word: int, mask: int) -> Call:
    """Void the caller's bids and withdrawals with the nonces `word * 256 + i`, for each bit i of `mask`."""
    return _market(market, "cancelNonces", (word, mask), 120_000)


def decide_claim(market: Address, terms: LeaseTerms, paid: int, slash: int) -> Call:
    """The arbiter's word on a contested claim: the lease's total, and what its lock loses; base units."""
    return _market(market, "decide", (terms_words(terms), paid, slash), 400_000)


def pause(market: Address) -> Call:
    """The guardian stops deposits, registrations and matches for a week."""
    return _market(market, "pause", (), 100_000)


def unpause(market: Address) -> Call:
    """The guardian ends its pause early."""
    return _market(market, "unpause", (), 100_000)


def renounce_guardian(market: Address) -> Call:
    """The guardian gives its office up for good."""
    return _market(market, "renounceGuardian", (), 100_000)


def approve(token: Address, spender: Address, amount: int) -> Call:
    """ERC-20: let `spender` take up to `amount` base units."""
    return Call(to=token, data=functions(TOKEN)["approve"].call(spender, amount), gas=120_000)


def transfer(token: Address, receiver: Address, amount: int) -> Call:
    """ERC-20: give base units away."""
    return Call(to=token, data=functions(TOKEN)["transfer"].call(receiver, amount), gas=120_000)


def fill_words(signed: SignedBid, rate: int, offer_index: int = 0) -> Words:
    """The contract's `Fill` struct: which offer, at which rate (both in one word), for which signed bid."""
    return (offer_index << _RATE_BITS | rate, bid_words(signed.bid), *_halves(signed.signature))


def settlement_words(terms: LeaseTerms, signed: SignedReceipt) -> Words:
    """The contract's `Settlement` struct: whether it is the last stands above the milliseconds."""
    receipt = signed.receipt
    usage = int(receipt.last) << _MILLISECOND_BITS | receipt.milliseconds
    return (terms_words(terms), usage, receipt.evidence, *_halves(signed.signature))


def _halves(signature: bytes) -> tuple[bytes, bytes]:
    return signature[:32], signature[32:]


def _market(market: Address, name: str, arguments: Words, gas: int) -> Call:
    return Call(to=market, data=functions(MARKET)[name].call(*arguments), gas=gas)


def _jury_call(jury: Address, wish: Instruction) -> Call:
    if jury == NOBODY:
        raise Rejected("no-jury", "The call goes to a jury that is not named.", "Ask the market for it.")
    name, arguments, gas = _to_jury(wish)
    return Call(to=jury, data=functions(JURY)[name].call(*arguments), gas=gas)


def _to_jury(wish: Instruction) -> _Form:
    match wish:
        case CommitResult(terms=terms, commitment=commitment):
            return "commit", (terms_words(terms), commitment), 250_000
        case RevealResult(bid=bid, terms=terms, result=result, salt=salt):
            return "reveal", (bid_words(bid), terms_words(terms), result, salt), 250_000
        case DecideReplicas(bid=bid, members=members):
            gas = 300_000 + 250_000 * len(members)
            return "decide", (bid_words(bid), [terms_words(terms) for terms in members]), gas
        case _:
            raise AssertionError(f"{type(wish).__name__} is no call of the jury")


def _single(wish: Instruction) -> _Form:
    match wish:
        case RegisterOffer(offer=offer):
            return "registerOffer", (offer_words(offer),), 150_000
        case CancelOffer(offer=offer):
            return "cancelOffer", (offer_words(offer),), 150_000
        case OpenLease():
            return "matchBid", (offer_words(wish.offer), fill_words(wish.signed, wish.rate)), 300_000
        case OpenGang():
            return "matchGang", _gang_words(wish), 400_000 + 250_000 * len(wish.members)
        case ContinueLease():
            settled = settlement_words(wish.previous, wish.receipt)
            opened = offer_words(wish.offer), fill_words(wish.signed, wish.rate)
            return "continueLease", (settled, *opened), 500_000
        case SettleReceipt():
            return "settle", (settlement_words(wish.terms, wish.signed),), 300_000
        case FinishUnstake(account=account):
            return "finishUnstake", (account,), 150_000
        case RelayDeposit():
            return _relayed_deposit(wish)
        case RelayWithdrawal():
            return _relayed_withdrawal(wish)
        case _:
            return _of_lease(wish)


def _of_lease(wish: Instruction) -> _Form:
    """Calls that say which lease and little more."""
    match wish:
        case ReleaseLease(terms=terms):
            return "release", (terms_words(terms),), 200_000
        case TerminateLease(terms=terms):
            return "terminate", (terms_words(terms),), 150_000
        case CloseLease(terms=terms):
            return "close", (terms_words(terms),), 250_000
        case OpenClaim(terms=terms, milliseconds=milliseconds):
            return "claim", (terms_words(terms), milliseconds), 250_000
        case ContestClaim(terms=terms):
            return "contest", (terms_words(terms),), 200_000
        case FinalizeClaim(terms=terms):
            return "finalize", (terms_words(terms),), 400_000
        case _:
            raise AssertionError(f"{type(wish).__name__} is no call of the market")


def _relayed_deposit(wish: RelayDeposit) -> _Form:
    permit = wish.signed
    arguments = (permit.owner, permit.amount, permit.deadline, *_halves(permit.signature))
    return "depositWithPermit", arguments, 300_000


def _relayed_withdrawal(wish: RelayWithdrawal) -> _Form:
    order = wish.signed.withdrawal
    item = (order.account, order.to, order.amount, order.nonce, order.deadline)
    return "withdrawSigned", (item, *_halves(wish.signed.signature)), 250_000


def _gang_words(wish: OpenGang) -> Words:
    """Each offer once, the members in the order of their number pointing into them, and their bid."""
    offers: dict[OfferId, Offer] = {member.offer_id: member.offer for member in wish.members}
    index = {offer_id: position for position, offer_id in enumerate(offers)}
    members = [(index[member.offer_id], member.rate) for member in wish.members]
    bid = (bid_words(wish.signed.bid), *_halves(wish.signed.signature))
    return ([offer_words(offer) for offer in offers.values()], members, *bid, wish.seed)


def _several(batch: Sequence[Instruction], root: Digest) -> _Form:
    gas = 300_000 + 150_000 * len(batch)
    if isinstance(batch[0], OpenLease):
        return _matches(batch, root)
    receipts = [settlement_words(one.terms, one.signed) for one in batch if isinstance(one, SettleReceipt)]
    if receipts:
        return "settleMany", (receipts,), gas
    offers = [offer_words(wish.offer) for wish in batch if isinstance(wish, RegisterOffer)]
    if offers:
        return "registerOffers", (offers,), gas
    closes = [terms_words(wish.terms) for wish in batch if isinstance(wish, CloseLease)]
    return "closeMany", (closes,), gas


def _matches(batch: Sequence[Instruction], root: Digest) -> _Form:
    opens = [wish for wish in batch if isinstance(wish, OpenLease)]
    gas = 300_000 + 200_000 * len(opens) if opens else 100_000
    return "matchBids", (*_grouped(opens), root), gas


def _grouped(opens: Sequence[OpenLease]) -> tuple[list[Words], list[Words]]:
    """Each offer once, and the fills in their order pointing into them."""
    offers: dict[OfferId, Offer] = {wish.offer_id: wish.offer for wish in opens}
    index = {offer_id: position for position, offer_id in enumerate(offers)}
    fills = [fill_words(wish.signed, wish.rate, index[wish.offer_id]) for wish in opens]
    return [offer_words(offer) for offer in offers.values()], fills
