"""A chain whose contracts are the kernel's reference model: carries out wishes, and answers what a node
asks of the head. Nothing here decides: the rules are the model's."""

from copy import deepcopy

from ledger.chain.calls import Call, market_call
from ledger.chain.keys import LocalKey
from ledger.chain.signatures import recover
from ledger.chain.typed_data import (
    Domain,
    TokenDomain,
    bid_id,
    commitment,
    permit_digest,
    receipt_digest,
    withdrawal_digest,
)
from ledger.market.bid import SignedBid
from ledger.market.delegation import Delegation, Role
from ledger.market.errors import Rejected
from ledger.market.events import MarketEvent
from ledger.market.identity import NOBODY, Address, Digest, LeaseId, OfferId
from ledger.market.instructions import (
    AnchorEpoch,
    CloseLease,
    ContinueLease,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    Instruction,
    OpenGang,
    OpenLease,
    RelayDeposit,
    RelayWithdrawal,
    SettleReceipt,
)
from ledger.market.lease import Lease, LeaseTerms
from ledger.market.model import Fill, GangFill, MarketModel, Revelation, Settlement
from ledger.market.offer import Offer
from ledger.market.receipt import SignedReceipt
from ledger.market.withdrawal import SignedPermit
from tests.factories import an_address

JURY = an_address("jury")
TOKEN = an_address("token")


class ModelChain:
    """The head of a chain with one market and its token; `now` is set by the test."""

    def __init__(self, model: MarketModel, domain: Domain, sender: Address, now: int) -> None:
        self.model = model
        self.domain = domain
        self.sender = sender
        self.now = now
        self.tokens: dict[Address, int] = {}
        self.allowances: dict[Address, int] = {}
        self.permits: dict[Address, int] = {}
        self.asked = 0
        """how often a delegation was read"""
        self._wishes: dict[bytes, Instruction] = {}

    # what a node asks

    def balance_of(self, account: Address) -> int:
        return self.model.state.balances.get(account, 0)

    def epoch_of(self, account: Address) -> int:
        return self.model.state.epochs.get(account, 0)

    def nonce_used(self, account: Address, nonce: int) -> bool:
        return nonce in self.model.state.nonces.get(account, ())

    def next_nonces(self, account: Address, count: int) -> list[int]:
        used = self.model.state.nonces.get(account, set())
        return [nonce for nonce in range(len(used) + count) if nonce not in used][:count]

    def lease_of(self, lease: LeaseId) -> Lease | None:
        return self.model.state.leases.get(lease)

    def stake_of(self, account: Address) -> int:
        return self.model.state.stakes.get(account, 0)

    def unstaking_of(self, account: Address) -> tuple[int, int]:
        return self.model.state.unstaking.get(account, (0, 0))

    def delegation_of(self, account: Address, key: Address) -> Delegation:
        self.asked += 1
        none = Delegation(key=key, roles=Role(0), allowance=0, until=0)
        return self.model.state.delegations.get((account, key), none)

    def token_balance(self, account: Address) -> int:
        return self.tokens.get(account, 0)

    def allowance(self, owner: Address) -> int:
        return self.allowances.get(owner, 0)

    def permit_nonce(self, owner: Address) -> int:
        return self.permits.get(owner, 0)

    def token_domain(self) -> TokenDomain:
        return TokenDomain(name="Test", version="1", chain_id=self.domain.chain_id, token=TOKEN)

    def call_of(self, *wishes: Instruction) -> Call:
        call = market_call(self.domain.market, wishes, jury=JURY)
        self._wishes[call.data] = wishes[0]
        return call

    def simulate(self, call: Call, sender: Address) -> None:
        """Without effect; `Rejected` "reverted" with the model's reason."""
        before = deepcopy((self.model.state, self.tokens, self.allowances, self.permits))
        try:
            self.carry_out(self._wishes[call.data])
        except Rejected as exc:
            raise Rejected("reverted", exc.cause, exc.remedy, reason=exc.code) from exc
        finally:
            self.model.state, self.tokens, self.allowances, self.permits = before

    # what becomes of wishes

    def carry_out(self, wish: Instruction) -> list[MarketEvent]:
        """The events of a transaction that carries this wish alone; `Rejected` where it reverts."""
        match wish:
            case OpenLease(offer=offer, signed=signed, rate=rate):
                return self.model.match_bid(
                    self.sender, self._fill(wish.offer_id, offer, signed, rate), self.now
                )
            case OpenGang():
                return self.model.match_gang(self.sender, self._gang(wish), self.now)
            case ContinueLease():
                item = self._settlement(wish.previous, wish.receipt)
                fill = self._fill(wish.offer_id, wish.offer, wish.signed, wish.rate)
                return self.model.continue_lease(self.sender, item, fill, self.now)
            case SettleReceipt(terms=terms, signed=receipt):
                return self.model.settle(self._settlement(terms, receipt), self.now)
            case CloseLease(terms=terms):
                return self.model.close_many([terms], self.now)
            case FinalizeClaim(terms=terms):
                return self.model.finalize(terms, self.now)
            case DecideReplicas(bid_id=name, bid=bid, members=members):
                return self.model.decide_replicas(name, bid, members, self.now)
            case AnchorEpoch(root=root):
                return self.model.match_bids(self.sender, [], root, self.now)
            case FinishUnstake(account=account):
                return self.model.finish_unstake(account, self.now)
            case RelayDeposit(signed=permit):
                return self._deposit(permit)
            case RelayWithdrawal(signed=order):
                withdrawal = order.withdrawal
                signer = recover(withdrawal_digest(self.domain, withdrawal), order.signature)
                return self.model.withdraw_signed(withdrawal, signer == withdrawal.account, self.now)
            case other:
                raise AssertionError(other)

    def commit(self, terms: LeaseTerms, result: Digest, salt: Digest) -> list[MarketEvent]:
        """The provider's own transaction: bind itself to a result."""
        bound = commitment(self.model.lease_id(terms), terms.provider, result, salt)
        return self.model.commit_result(terms.provider, terms, bound, self.now)

    def reveal(self, signed: SignedBid, terms: LeaseTerms, result: Digest, salt: Digest) -> list[MarketEvent]:
        """The provider's own transaction: show the result."""
        lease = self.model.lease_id(terms)
        opens = self.model.state.commitments.get(lease) == commitment(lease, terms.provider, result, salt)
        shown = Revelation(bid_id=bid_id(self.domain, signed.bid), bid=signed.bid, result=result, opens=opens)
        return self.model.reveal_result(terms.provider, terms, shown, self.now)

    def sign_permit(self, key: LocalKey, amount: int, deadline: int) -> SignedPermit:
        digest = permit_digest(
            self.token_domain(),
            key.address,
            self.domain.market,
            amount,
            self.permit_nonce(key.address),
            deadline,
        )
        return SignedPermit(owner=key.address, amount=amount, deadline=deadline, signature=key.sign(digest))

    def _deposit(self, permit: SignedPermit) -> list[MarketEvent]:
        digest = permit_digest(
            self.token_domain(),
            permit.owner,
            self.domain.market,
            permit.amount,
            self.permit_nonce(permit.owner),
            permit.deadline,
        )
        allowed = self.allowance(permit.owner) == permit.amount
        signed = recover(digest, permit.signature) == permit.owner and self.now <= permit.deadline
        if self.token_balance(permit.owner) < permit.amount:
            raise Rejected("token-balance", "The owner has not so much.", "Give less.")
        events = self.model.deposit_with_permit(permit.owner, permit.amount, allowed or signed, self.now)
        self.permits[permit.owner] = self.permit_nonce(permit.owner) + (0 if allowed else 1)
        self.allowances[permit.owner] = 0
        self.tokens[permit.owner] -= permit.amount
        return events

    def _fill(self, offer_id: OfferId, offer: Offer, signed: SignedBid, rate: int) -> Fill:
        name = bid_id(self.domain, signed.bid)
        signer = recover(name, signed.signature)
        return Fill(
            offer_id=offer_id,
            offer=offer,
            bid_id=name,
            bid=signed.bid,
            rate=rate,
            authentic=True,
            delegate=NOBODY if signer == signed.bid.buyer else signer,
        )

    def _gang(self, wish: OpenGang) -> GangFill:
        members = tuple(
            self._fill(member.offer_id, member.offer, wish.signed, member.rate) for member in wish.members
        )
        return GangFill(members=members, shape=members[0], seed=wish.seed)

    def _settlement(self, terms: LeaseTerms, signed: SignedReceipt) -> Settlement:
        signer = recover(receipt_digest(self.domain, signed.receipt), signed.signature)
        return Settlement(terms=terms, receipt=signed.receipt, authentic=signer == terms.signer)
