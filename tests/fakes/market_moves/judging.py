"""Moves around claims and before the jury."""

import boa
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ledger.market.identity import Digest
from ledger.market.lease import LeaseTerms
from tests.fakes.in_process_market import words_of
from tests.fakes.market_moves.board import MarketBoard
from tests.fakes.market_moves.drawn import SALT, anybody, mostly, pick, results, seldom
from tests.fakes.market_twin import Claim

claimed_spans = st.sampled_from((1, 5_000, 10_000, 15_000, 20_000, 40_000))


class JudgingMoves(MarketBoard):
    """Moves around claims and before the jury."""

    def _claimed(self, index: int) -> LeaseTerms:
        """Rather a lease with a claim than another."""
        leases = self.twin.model.state.leases.values()
        claimed = [lease.terms for lease in leases if lease.claim] or self.watch.terms
        return claimed[index % len(claimed)]

    @rule(index=pick, more=claimed_spans, operator=seldom, plausible=mostly)
    def claim(self, index: int, more: int, operator: bool, plausible: bool) -> None:
        """Some milliseconds beyond what is paid."""
        terms = self._terms(index)
        paid = self.watch.paid[self.twin.chain.lease_id(terms)]
        milliseconds = paid * 3_600_000_000 // terms.rate + more
        if plausible:
            milliseconds = self._plausible(Claim(terms=terms, milliseconds=milliseconds))
        caller = "laptop" if operator else self._name_of(terms.provider)
        self._do(caller, lambda: self.twin.claim(terms, milliseconds, caller))

    @rule(index=pick, more=claimed_spans, share=st.sampled_from((0, 400, 1_000)), silent=st.booleans())
    def dispute(self, index: int, more: int, share: int, silent: bool) -> None:
        """A claim, contested at once; the arbiter decides, or time does."""
        self.claim(index, more, False, True)
        self.contest(index, True)
        if silent:
            self.twin.chain.advance(self.twin.model.policy.arbitration_window)
            self.finalize(index, "stranger")
        else:
            self.decide(index, share, index, True)

    @rule(index=pick, honest=mostly)
    def contest(self, index: int, honest: bool) -> None:
        terms = self._claimed(index)
        caller = self._name_of(terms.buyer) if honest else "stranger"
        self._do(caller, lambda: self.twin.contest(terms, caller))

    @rule(index=pick, share=st.sampled_from((0, 1, 500, 1_000, 1_001)), slash=pick, honest=mostly)
    def decide(self, index: int, share: int, slash: int, honest: bool) -> None:
        terms = self._claimed(index)
        lease = self.twin.model.state.leases.get(self.twin.chain.lease_id(terms))
        paid = lease.paid if lease else 0
        claimed = lease.claim.claimed if lease and lease.claim else 0
        caller = "arbiter" if honest else "stranger"
        total = paid + max(0, claimed - paid) * share // 1_000
        self._do(caller, lambda: self.twin.decide(terms, total, slash, caller))

    @rule(index=pick, sender=anybody)
    def finalize(self, index: int, sender: str) -> None:
        terms = self._claimed(index)
        self._do(sender, lambda: self.twin.finalize(terms, sender))

    # The jury.

    def _replicas(self, index: int) -> list[LeaseTerms]:
        """All leases of one bid, rather one that is to be judged."""
        leases = self.twin.model.state.leases.values()
        bids = [lease.terms.bid for lease in leases if lease.undecided]
        bids = bids or [terms.bid for terms in self.watch.terms]
        bid = bids[index % len(bids)]
        return [terms for terms in self.watch.terms if terms.bid == bid]

    @rule(index=pick, member=pick, result=results, honest=mostly)
    def commit(self, index: int, member: int, result: Digest, honest: bool) -> None:
        members = self._replicas(index)
        terms = members[member % len(members)]
        caller = self._name_of(terms.provider) if honest else "laptop"
        self._do(caller, lambda: self.twin.commit(terms, result, SALT, caller))

    @rule(index=pick, member=pick, result=results, honest=mostly)
    def reveal(self, index: int, member: int, result: Digest, honest: bool) -> None:
        members = self._replicas(index)
        terms = members[member % len(members)]
        caller = self._name_of(terms.provider) if honest else "laptop"
        bid = self.watch.bids[terms.bid]
        self._do(caller, lambda: self.twin.reveal(bid, terms, result, SALT, caller))

    @rule(
        index=pick, told=st.lists(results, min_size=3, max_size=3), seconds=st.sampled_from((0, 0, 30, 700))
    )
    def trial(self, index: int, told: list[Digest], seconds: int) -> None:
        """Every provider commits and reveals, as far as it may, and somebody asks for the judgement."""
        members = list(zip(self._replicas(index), told, strict=False))
        for terms, result in members:
            self._commit(terms, result)
        self.twin.chain.advance(seconds)
        for terms, result in members:
            self._reveal(terms, result)
        self.decide_replicas(index, "stranger", True)

    def _commit(self, terms: LeaseTerms, result: Digest) -> None:
        caller = self._name_of(terms.provider)
        self._do(caller, lambda: self.twin.commit(terms, result, SALT, caller))

    def _reveal(self, terms: LeaseTerms, result: Digest) -> None:
        caller, bid = self._name_of(terms.provider), self.watch.bids[terms.bid]
        self._do(caller, lambda: self.twin.reveal(bid, terms, result, SALT, caller))

    @rule(index=pick, sender=anybody, whole=mostly)
    def decide_replicas(self, index: int, sender: str, whole: bool) -> None:
        members = self._replicas(index)
        bid = self.watch.bids[members[0].bid]
        members = members if whole else members[::-1]
        self._do(sender, lambda: self.twin.decide_replicas(bid, members[:15], sender))

    @rule(index=pick, sender=anybody, guilty=st.booleans())
    def judge_without_being_the_jury(self, index: int, sender: str, guilty: bool) -> None:
        terms = self._terms(index)
        with pytest.raises(boa.BoaError):
            self.twin.chain.call("judge", words_of(terms), guilty, sender=sender)
