"""Why everybody sees the same market: its views, and its token's and jury's, turned into kernel values.

Every method may raise `Unavailable` "rpc-unreachable", and `Rejected` "no-market" where the address holds
no market of this release.
"""

from copy import copy
from dataclasses import dataclass, fields
from enum import IntEnum
from itertools import count as count_from
from typing import Any, Final, Self

from eth_utils.address import to_checksum_address

from ledger.chain.abi import JURY, MARKET, TOKEN, functions
from ledger.chain.calls import fill_words, settlement_words
from ledger.chain.rpc import TIMEOUT_SECONDS, Rpc
from ledger.chain.structs import offer_words
from ledger.chain.typed_data import Domain, TokenDomain
from ledger.market.bid import SignedBid
from ledger.market.delegation import Delegation, Role
from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, Address, BidId, Digest, LeaseId, OfferId, from_text, text
from ledger.market.lease import Lease, LeaseTerms, UsageClaim
from ledger.market.offer import Offer
from ledger.market.policy import Policy
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt
from ledger.market.resource import Quantities

_UNDECIDED: Final = 128
"""the bit of a lease's stored state that marks a replica without a judgement"""
_PAGE_BITS: Final = 5
"""a page of nonces holds 32; the newest page is stored with the account, for the least gas"""
_ALL_FIELDS: Final = b"\x0f"
"""EIP-5267: name, version, chain id and contract, and no more"""


class ChainState(IntEnum):
    """What an open lease is waiting for; the contract's codes."""

    ACTIVE = 1
    CLAIMED = 2
    DISPUTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLease:
    """An open lease as the contract stores it: `ended_after` seconds, None until it is terminated;
    `undecided` marks a replica whose result was not judged yet."""

    escrow: int
    paid: int
    start: int
    ended_after: int | None
    state: ChainState = ChainState.ACTIVE
    undecided: bool = False

    def of(self, terms: LeaseTerms) -> Lease:
        """The kernel's value, for its bounds; `terms` are those that the lease's id is the hash of."""
        return Lease(
            terms=terms,
            start=self.start,
            escrow=self.escrow,
            paid=self.paid,
            ended_after=self.ended_after,
            undecided=self.undecided,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRoles:
    """Who may do what nobody else may; a guardian who renounced is `NOBODY`."""

    guardian: Address
    arbiter: Address
    jury: Address


class MarketViews:
    """One market on one chain, as it answers; one HTTP session, shared by threads, until `close`."""

    def __init__(self, rpc_url: str, market: Address, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.market = market
        self._rpc = Rpc(rpc_url, timeout=timeout)
        self._eth = self._rpc.eth
        self._domain: Domain | None = None
        self._token: Address | None = None
        self._jury: Address | None = None
        self._pinned: int | None = None

    def close(self) -> None:
        """Give the connections back."""
        self._rpc.close()

    def pinned(self, number: int) -> Self:
        """The same client whose views answer for block `number`; it shares the connections."""
        other = copy(self)
        other._pinned = number
        return other

    def chain_id(self) -> int:
        return self._rpc.ask(lambda: int(self._eth.chain_id))

    def check_chain(self, expected: int) -> None:
        """`Rejected` "wrong-chain" where the endpoint serves another chain than the one meant."""
        found = self.chain_id()
        if found != expected:
            raise Rejected(
                "wrong-chain",
                f"{self._rpc.url} serves chain {found}, not {expected}.",
                "Give the URL of the market's own chain.",
                expected=expected,
                found=found,
            )

    def domain(self) -> Domain:
        """Where this market's signatures count; asked once."""
        if self._domain is None:
            self._domain = Domain(chain_id=self.chain_id(), market=self.market)
        return self._domain

    def balance_of(self, account: Address) -> int:
        """What the account may withdraw or spend on leases, in base units."""
        return int(self._market("balanceOf", account)[0])

    def token_balance(self, account: Address) -> int:
        """Base units of the market's token that the account itself holds."""
        return int(self._on_token("balanceOf", account)[0])

    def allowance(self, owner: Address) -> int:
        """Base units that the market may still take from the owner."""
        return int(self._on_token("allowance", owner, self.market)[0])

    def permit_nonce(self, owner: Address) -> int:
        """How many permits of the owner the token has taken: the nonce of the next one."""
        return int(self._on_token("nonces", owner)[0])

    def token_domain(self) -> TokenDomain:
        """Where permits of the market's token count, as the token itself says (EIP-5267).

        `Rejected` "no-permit" for a token that does not say it, or in a form that we do not sign.
        """
        try:
            shown, name, version, chain_id, token, _, extensions = self._on_token("eip712Domain")
        except Rejected as exc:
            raise self._no_permit() from exc
        if shown != _ALL_FIELDS or extensions or from_text(token, 20) != self.token():
            raise self._no_permit()
        return TokenDomain(name=name, version=version, chain_id=int(chain_id), token=self.token())

    def decimals(self) -> int:
        """Decimal places of the token, for people."""
        return int(self._on_token("decimals")[0])

    def coin_balance(self, account: Address) -> int:
        """Wei that the account holds for gas."""
        return self._rpc.ask(lambda: int(self._eth.get_balance(to_checksum_address(account))))

    def policy(self) -> Policy:
        """The market's immutable rules."""
        numbers = (int(one) for one in self._market("policy")[0])
        return Policy(**dict(zip((one.name for one in fields(Policy)), numbers, strict=True)))

    def roles(self) -> MarketRoles:
        """Who guards, who decides claims, who judges replicas."""
        guardian, arbiter = (
            Address(from_text(self._market(name)[0], 20)) for name in ("guardian", "arbiter")
        )
        return MarketRoles(guardian=guardian, arbiter=arbiter, jury=self.jury())

    def jury(self) -> Address:
        """The contract that judges replicas; immutable, asked once."""
        if self._jury is None:
            self._jury = Address(from_text(self._market("jury")[0], 20))
        return self._jury

    def paused_until(self) -> int:
        """Deposits, registrations and matches are refused before this moment."""
        return int(self._market("pausedUntil")[0])

    def burned(self) -> int:
        """Base units that the market holds and nobody can have any more."""
        return int(self._market("burned")[0])

    def stake_of(self, account: Address) -> int:
        """Base units of the account's free stake: what new leases may lock."""
        return int(self._market("stakeOf", account)[0])

    def unstaking_of(self, account: Address) -> tuple[int, int]:
        """Base units that the account asked back, and the moment from which it may have them."""
        amount, unlock_at = self._market("unstakingOf", account)
        return int(amount), int(unlock_at)

    def delegation_of(self, account: Address, key: Address) -> Delegation:
        """What `key` may do for the account; without roles: nothing."""
        roles, allowance, until = map(int, self._market("delegateOf", account, key))
        return Delegation(key=key, roles=Role(roles), allowance=allowance, until=until)

    def token(self) -> Address:
        """The market's ERC-20; immutable, asked once."""
        if self._token is None:
            self._token = Address(from_text(self._market("token")[0], 20))
        return self._token

    def epoch_of(self, account: Address) -> int:
        """The epoch that the account's offers and bids must carry."""
        return int(self._market("epochOf", account)[0])

    def nonce_used(self, account: Address, nonce: int) -> bool:
        """Whether a bid with this nonce can no longer open."""
        return bool(self._market("nonceUsed", account, nonce)[0])

    def nonce_window(self, account: Address) -> tuple[int, int]:
        """The account's newest page of 32 nonces, and which of them are used, one bit each."""
        page, bits = self._market("nonceWindow", account)
        return int(page), int(bits)

    def next_nonces(self, account: Address, count: int, first: int = 0) -> list[int]:
        """Unused nonces of the account, not below `first`, counted up from its newest page.

        Their bids open for the least gas: a nonce of an older page, or far beyond, costs a slot of its
        own. `first` serves a caller that has signed bids which the chain does not know yet.
        """
        page, bits = self.nonce_window(account)
        found: list[int] = []
        for nonce in count_from(max(first, page << _PAGE_BITS)):
            if len(found) == count:
                break
            here = nonce >> _PAGE_BITS == page
            used = bits >> (nonce & 31) & 1 if here else self.nonce_used(account, nonce)
            if not used:
                found.append(nonce)
        return found

    def lease_of(self, lease: LeaseId) -> ChainLease | None:
        """An open lease; None before it opens and after it closed."""
        escrow, paid, start, end, state = map(int, self._market("leaseOf", lease))
        if state == 0:
            return None
        if state & ~_UNDECIDED not in ChainState.__members__.values():
            raise self._no_market(self.market)
        return ChainLease(
            escrow=escrow,
            paid=paid,
            start=start,
            ended_after=end or None,
            state=ChainState(state & ~_UNDECIDED),
            undecided=bool(state & _UNDECIDED),
        )

    def claim_of(self, lease: LeaseId) -> UsageClaim | None:
        """The claim on an open lease; None where there is none."""
        held = self.lease_of(lease)
        if held is None or held.state is ChainState.ACTIVE:
            return None
        claimed, provider_bond, until = map(int, self._market("claimOf", lease))
        contested = held.state is ChainState.DISPUTED
        return UsageClaim(
            claimed=claimed,
            provider_bond=provider_bond,
            until=until,
            buyer_bond=claimed - held.paid if contested else 0,
        )

    def commitment_of(self, lease: LeaseId) -> Digest | None:
        """What a replica's provider committed to; None while it did not."""
        return self._on_jury("commitmentOf", lease)

    def result_of(self, lease: LeaseId) -> Digest | None:
        """The result that a replica's provider revealed; None while it did not."""
        return self._on_jury("resultOf", lease)

    def commits_of(self, bid: BidId) -> int:
        """How many of the bid's replicas have committed."""
        return int(self._view(JURY, self.jury(), "commitsOf", bid)[0])

    def used_of(self, offer: OfferId) -> Quantities:
        """How much of the offer's capacity is in open leases."""
        return Quantities.unpack(int(self._market("usedOf", offer)[0]))

    def offer_is_open(self, offer: OfferId) -> bool:
        """Whether the offer is registered and was not cancelled."""
        return int(self._market("offerFlags", offer)[0]) == 1

    def check_fill(self, matcher: Address, offer: Offer, signed: SignedBid, rate: int) -> SkipReason:
        """Why the bid would be skipped in the next block, were `matcher` to match it; NONE: it opens."""
        words = (offer_words(offer), fill_words(signed, rate))
        return SkipReason(int(self._market("checkFill", matcher, *words)[0]))

    def check_settlement(self, terms: LeaseTerms, signed: SignedReceipt) -> SkipReason:
        """Why the receipt would be skipped in the next block; NONE: it pays."""
        return SkipReason(int(self._market("checkSettlement", settlement_words(terms, signed))[0]))

    def _market(self, name: str, *arguments: object) -> tuple[Any, ...]:
        return self._view(MARKET, self.market, name, *arguments)

    def _on_jury(self, name: str, lease: LeaseId) -> Digest | None:
        found = Digest(self._view(JURY, self.jury(), name, lease)[0])
        return None if found == NO_DIGEST else found

    def _no_permit(self) -> Rejected:
        return Rejected(
            "no-permit",
            f"The token {text(self.token())} does not say how its permits are signed.",
            "Approve the market with a transaction of your own, then deposit.",
        )

    def _on_token(self, name: str, *arguments: object) -> tuple[Any, ...]:
        return self._view(TOKEN, self.token(), name, *arguments)

    def _view(self, contract: str, to: Address, name: str, *arguments: object) -> tuple[Any, ...]:
        function = functions(contract)[name]
        try:
            return function.results(self._rpc.view(to, function.call(*arguments), block=self._pinned))
        except ValueError as exc:
            raise self._no_market(to) from exc

    def _no_market(self, where: Address) -> Rejected:
        what = "jury of this release" if where == self._jury else "market of this release"
        return Rejected(
            "no-market", f"There is no {what} at {text(where)}.", "Check the address and the chain."
        )
