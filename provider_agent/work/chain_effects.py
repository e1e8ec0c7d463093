"""What a lease's end needs of the chain: payment, release, claim and the jury, as wishes of the outbox.

Nothing is decided here. A wish is written down before it is sent, so that a crash repeats it; what the jury
has is read from the provider's own endpoint.
"""

import asyncio
from collections.abc import Callable

from ledger.chain.client import MarketClient
from ledger.chain.typed_data import Domain, commitment, lease_id
from ledger.market.errors import LostRace
from ledger.market.identity import LeaseId, text
from ledger.market.instructions import (
    CommitResult,
    DecideReplicas,
    FinalizeClaim,
    OpenClaim,
    ReleaseLease,
    RevealResult,
    SettleReceipt,
)
from ledger.market.instructions import Instruction as Wish
from provider_agent.lifecycle.instructions import Claim, Commit, Decide, Finalize, Release, Reveal, Settle
from provider_agent.lifecycle.lease_state import LeaseState, Replica, ReplicaResult
from provider_agent.lifecycle.stimuli import JuryRead
from provider_agent.state_store import StateStore
from provider_agent.work.wishing import Wishes

ToWish = Settle | Release | Claim | Finalize | Commit | Reveal | Decide


class ChainEffects:
    """Turns instructions into wishes; `state` gives the newest state of a lease."""

    def __init__(
        self,
        domain: Domain,
        chain: MarketClient,
        store: StateStore,
        wishes: Wishes,
        state: Callable[[LeaseId], LeaseState],
    ) -> None:
        self._domain = domain
        self._chain = chain
        self._store = store
        self._wishes = wishes
        self._state = state

    async def wish(self, lease: LeaseId, instruction: ToWish) -> None:
        """Write the wish down; `LostRace` where what it needs is not here yet."""
        key, wish = await self._wish_for(self._state(lease), instruction)
        self._wishes.wish(key, wish)

    async def ask_jury(self, lease: LeaseId, at: int) -> JuryRead:
        """What the jury has of the lease's replicas now."""
        state = self._state(lease)
        members = [lease_id(self._domain, terms) for terms in _case(state).members]
        return await asyncio.to_thread(self._read_jury, state, members, at)

    def _read_jury(self, state: LeaseState, members: list[LeaseId], at: int) -> JuryRead:
        found = {one: self._chain.result_of(one) for one in members}
        return JuryRead(
            at=at,
            committed=self._chain.commitment_of(state.id) is not None,
            revealed=found.get(state.id) is not None,
            commits=self._chain.commits_of(state.terms.bid),
            results=tuple(one for one in found.values() if one is not None),
        )

    async def _wish_for(self, state: LeaseState, instruction: ToWish) -> tuple[str, Wish]:
        lease, terms, name = state.id, state.terms, text(state.id)
        match instruction:
            case Settle(signed=signed):
                receipt = signed.receipt
                key = f"settle:{name}:{receipt.milliseconds}:{int(receipt.last)}"
                return key, SettleReceipt(terms=terms, signed=signed)
            case Release():
                return f"release:{name}", ReleaseLease(lease=lease, terms=terms)
            case Claim():
                milliseconds = await self._affordable(state, instruction)
                return f"claim:{name}", OpenClaim(lease=lease, terms=terms, milliseconds=milliseconds)
            case Finalize():
                return f"finalize:{name}", FinalizeClaim(lease=lease, terms=terms)
            case Commit():
                return f"commit:{name}", self._commit(state)
            case Reveal():
                return f"reveal:{name}", self._reveal(state)
            case Decide():
                return f"decide:{text(terms.bid)}", self._decide(state)

    async def _affordable(self, state: LeaseState, claim: Claim) -> int:
        """A claim that needs a bond is made where the balance can pay it."""
        if claim.bond == 0:
            return claim.milliseconds
        balance = await asyncio.to_thread(self._chain.balance_of, state.terms.provider)
        return claim.milliseconds if balance >= claim.bond else claim.free

    def _commit(self, state: LeaseState) -> CommitResult:
        result = _result(_case(state))
        word = commitment(state.id, state.terms.provider, result.hash, result.salt)
        return CommitResult(lease=state.id, terms=state.terms, commitment=word)

    def _reveal(self, state: LeaseState) -> RevealResult:
        result = _result(_case(state))
        bid = self._store.bid(state.id)
        if bid is None:
            raise _missing("bid")
        return RevealResult(lease=state.id, bid=bid, terms=state.terms, result=result.hash, salt=result.salt)

    def _decide(self, state: LeaseState) -> DecideReplicas:
        bid = self._store.bid(state.id)
        if bid is None:
            raise _missing("bid")
        return DecideReplicas(bid_id=state.terms.bid, bid=bid, members=_case(state).members)


def _case(state: LeaseState) -> Replica:
    if state.replica is None:
        raise _missing("case before the jury")
    return state.replica


def _result(case: Replica) -> ReplicaResult:
    if case.result is None:
        raise _missing("result")
    return case.result


def _missing(what: str) -> LostRace:
    return LostRace("not-here", f"The lease's {what} is not here.", "Wait until it is.")
