# pragma version 0.4.3
"""
@title A provider's claim for usage that nobody signed: open, contest, decide, finalise
@notice A claim reaches two receipt intervals beyond what is paid and is bond-free up to one, so that no lie
    about usage is worth more. Silence ends every state: of the buyer it upholds the claim, of the
    arbiter it splits it.
"""

from . import accounts
from . import delegates
from . import errors
from . import events
from . import leases
from . import rules
from . import signatures
from . import staking
from . import types

uses: accounts
uses: delegates
uses: errors
uses: leases
uses: rules
uses: signatures
uses: staking

BOND_PLACE: constant(uint256) = 88
UNTIL_PLACE: constant(uint256) = 176
# word << ABOVE_x >> AMOUNT_SHIFT is the field.
ABOVE_CLAIMED: constant(uint256) = 168
ABOVE_BOND: constant(uint256) = 80
AMOUNT_SHIFT: constant(uint256) = 168

# claimed88 | providerBond88 | until40; zero without a claim. `claimed` is the lease's total if upheld.
_words: HashMap[bytes32, uint256]


@internal
def _open(terms: types.LeaseTerms, milliseconds: uint256):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = leases._active(lease)
    delegates._check_caller(terms.provider, delegates.OPERATE, errors.NOT_THE_PROVIDER)
    start: uint256 = word << leases.ABOVE_START >> leases.START_SHIFT
    latest: uint256 = unsafe_add(unsafe_sub(block.timestamp, start), leases.CLOCK_SLACK)
    errors._require(milliseconds <= unsafe_mul(latest, 1000), errors.BEYOND_ELAPSED)
    whole: uint256 = unsafe_mul(terms.duration, 1000)
    errors._require(milliseconds <= whole, errors.BEYOND_DURATION)
    end_offset: uint256 = word << leases.ABOVE_END >> leases.END_SHIFT
    in_time: bool = end_offset == 0 or milliseconds <= unsafe_mul(end_offset, 1000)
    errors._require(in_time, errors.BEYOND_TERMINATION)
    claimed: uint256 = word << leases.ABOVE_ESCROW >> AMOUNT_SHIFT
    if milliseconds != whole:
        claimed = unsafe_div(unsafe_mul(terms.rate, milliseconds), leases.RATE_DIVISOR)
    paid: uint256 = word << leases.ABOVE_PAID >> AMOUNT_SHIFT
    errors._require(claimed > paid, errors.NOTHING_CLAIMED)
    more: uint256 = unsafe_sub(claimed, paid)
    most: uint256 = leases._escrow(terms.rate, unsafe_mul(2, rules.receiptInterval))
    errors._require(more <= most, errors.CLAIM_TOO_LARGE)
    free: uint256 = leases._escrow(terms.rate, rules.receiptInterval)
    bond: uint256 = unsafe_sub(max(more, free), free)
    accounts._debit(terms.provider, bond)
    until: uint256 = unsafe_add(block.timestamp, rules.challengeWindow)
    self._words[lease] = claimed | (bond << BOND_PLACE) | (until << UNTIL_PLACE)
    self._next_state(lease, word)
    log events.ClaimOpened(
        lease=lease,
        buyer=convert(terms.buyer, address),
        provider=convert(terms.provider, address),
        claimed=claimed,
        bond=bond,
        until=until,
    )


@internal
def _next_state(lease: bytes32, word: uint256):
    # From active to claimed, from claimed to contested.
    leases._words[lease] = unsafe_add(word, 1 << leases.STATE_PLACE)


@internal
def _contest(terms: types.LeaseTerms):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = leases._known(lease)
    claim: uint256 = self._words[lease]
    errors._require(convert(msg.sender, bytes32) == terms.buyer, errors.NOT_THE_BUYER)
    errors._require(word >> leases.STATE_PLACE == leases.CLAIMED, errors.NOT_CLAIMED)
    errors._require(block.timestamp < claim >> UNTIL_PLACE, errors.TOO_LATE)
    claimed: uint256 = claim << ABOVE_CLAIMED >> AMOUNT_SHIFT
    bond: uint256 = unsafe_sub(claimed, word << leases.ABOVE_PAID >> AMOUNT_SHIFT)
    accounts._debit(terms.buyer, bond)
    until: uint256 = unsafe_add(block.timestamp, rules.arbitrationWindow)
    self._words[lease] = (claim << 80 >> 80) | (until << UNTIL_PLACE)
    self._next_state(lease, word)
    log events.ClaimContested(
        lease=lease,
        buyer=convert(terms.buyer, address),
        provider=convert(terms.provider, address),
        bond=bond,
        until=until,
    )


@internal
def _conclude(
    lease: bytes32,
    terms: types.LeaseTerms,
    word: uint256,
    paid: uint256,
    to_provider: uint256,
    to_buyer: uint256,
    burned: uint256,
    by: uint256,
    slash: uint256,
):
    # `to_provider`, `to_buyer` and `burned` are of the bonds.
    old: uint256 = word << leases.ABOVE_PAID >> AMOUNT_SHIFT
    amount: uint256 = unsafe_sub(paid, old)
    fee: uint256 = rules._fee(old, paid)
    self._words[lease] = 0
    accounts._add(terms.provider, unsafe_add(unsafe_sub(amount, fee), to_provider))
    accounts._add(terms.buyer, to_buyer)
    staking._burn(burned)
    log events.ClaimDecided(
        lease=lease,
        buyer=convert(terms.buyer, address),
        provider=convert(terms.provider, address),
        amount=amount,
        fee=fee,
        paid=paid,
        toProvider=to_provider,
        toBuyer=to_buyer,
        burned=burned,
        by=by,
    )
    leases._pay_fee(terms.matcher, fee)
    leases._close(lease, terms, word, paid, types.BY_CLAIM, slash)


@internal
def _decide(terms: types.LeaseTerms, paid: uint256, slash: uint256):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = leases._known(lease)
    claim: uint256 = self._words[lease]
    errors._require(word >> leases.STATE_PLACE == leases.DISPUTED, errors.NOT_CONTESTED)
    errors._require(block.timestamp < claim >> UNTIL_PLACE, errors.TOO_LATE)
    old: uint256 = word << leases.ABOVE_PAID >> AMOUNT_SHIFT
    claimed: uint256 = claim << ABOVE_CLAIMED >> AMOUNT_SHIFT
    errors._require(old <= paid and paid <= claimed, errors.OUTSIDE_THE_CLAIM)
    lock: uint256 = rules._lock(word << leases.ABOVE_ESCROW >> AMOUNT_SHIFT)
    errors._require(slash <= lock, errors.SLASH_ABOVE_THE_LOCK)
    to_provider: uint256 = claim << ABOVE_BOND >> AMOUNT_SHIFT
    to_buyer: uint256 = unsafe_sub(claimed, old)
    burned: uint256 = 0
    if paid == old:
        burned = to_provider
        to_provider = 0
    elif paid == claimed:
        burned = to_buyer
        to_buyer = 0
    self._conclude(
        lease, terms, word, paid, to_provider, to_buyer, burned, types.BY_ARBITER, slash
    )


@internal
def _finalize(terms: types.LeaseTerms):
    lease: bytes32 = signatures._lease_id(terms)
    word: uint256 = leases._known(lease)
    claim: uint256 = self._words[lease]
    errors._require(claim != 0, errors.NOT_CLAIMED)
    errors._require(block.timestamp >= claim >> UNTIL_PLACE, errors.NOT_YET)
    paid: uint256 = claim << ABOVE_CLAIMED >> AMOUNT_SHIFT
    to_provider: uint256 = claim << ABOVE_BOND >> AMOUNT_SHIFT
    to_buyer: uint256 = 0
    by: uint256 = types.UNCONTESTED
    if word >> leases.STATE_PLACE == leases.DISPUTED:
        # The arbiter kept silent: half the claim is paid, and half of its value comes from the buyer's
        # bond, which was as large as the claim.
        more: uint256 = unsafe_sub(paid, word << leases.ABOVE_PAID >> AMOUNT_SHIFT)
        half: uint256 = more >> 1
        to_buyer = unsafe_sub(more, half)
        paid = unsafe_sub(paid, to_buyer)
        to_provider = unsafe_add(to_provider, half)
        by = types.BY_SILENCE
    self._conclude(lease, terms, word, paid, to_provider, to_buyer, 0, by, 0)
