"""Hypothesis drives contract and model together; after each call the two agree and PROTOCOL's invariants
hold (numbered in `tests.fakes.twin.invariants`, `tests.fakes.twin.comparison` and here).

The short profile runs by default; `BINGWANG_FUZZ_STEPS` asks for about that many calls in all, and
`BINGWANG_FUZZ_RECORD` names a folder that gets each run's calls as JSON lines, to be replayed elsewhere.
State is read from the contracts' storage words while a run goes on, and asked of their views at its end.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

import boa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from ledger.market.errors import Rejected
from ledger.market.model import PAUSE_SECONDS
from ledger.market.resource import Quantities
from ledger.market.state import MarketState
from tests.fakes.in_process_market import NAMES, PROVIDERS, account, party, words_of
from tests.fakes.market_moves.drawn import NONCES, pick
from tests.fakes.market_moves.hostile import HostileMoves
from tests.fakes.market_moves.judging import JudgingMoves
from tests.fakes.market_moves.matching import MatchingMoves
from tests.fakes.market_moves.money import MoneyMoves
from tests.fakes.market_moves.offers import OfferMoves
from tests.fakes.market_moves.settling import SettlingMoves
from tests.fakes.market_twin import Claim
from tests.fakes.storage_views import ask_contracts

STEPS_PER_EXAMPLE = 40
STEPS = int(os.environ.get("BINGWANG_FUZZ_STEPS", "800"))
RECORD = os.environ.get("BINGWANG_FUZZ_RECORD", "")


class MarketMachine(MoneyMoves, OfferMoves, MatchingMoves, SettlingMoves, JudgingMoves, HostileMoves):
    """Calls by everybody on everything, right and wrong ones."""

    @initialize(cpu=st.integers(1_000, 9_000), leases=st.integers(1, 3))
    def open_the_first_leases(self, cpu: int, leases: int) -> None:
        for number, name in enumerate(PROVIDERS):
            capacity = Quantities(cpu=9_000 if number else cpu, memory=8_192)
            self._register(self._offer(provider=party(name), capacity=capacity), name)
        good = {"cpu": 300, "over": 0, "signed_by": "", "chosen": True, "limit": 10**14, "late": False}
        orders = [
            self._order(self.offers[0], 0, {"name": "buyer", "nonce": n, **good}) for n in range(leases)
        ]
        self._do("matcher", lambda: self.twin.match_many(self.offers[:1], orders))

    # Time, and what holds after every call.

    @rule(seconds=st.sampled_from((1, 5, 10, 10, 20, 60, 100, 400, 5_000)))
    def advance(self, seconds: int) -> None:
        self.twin.chain.advance(seconds)

    @rule(
        spans=st.lists(st.tuples(pick, st.integers(0, 600_000)), max_size=3),
        order=st.randoms(use_true_random=False),
    )
    def permissionless_calls_commute(self, spans: list[tuple[int, int]], order: Any) -> None:
        """9: receipts, closes, final words on claims and finished unstakes end in the same balances."""
        calls = self._permissionless(spans)
        outcomes = []
        for _ in range(2):
            with self.twin.chain.fork():
                for function, argument in calls:
                    with contextlib.suppress(boa.BoaError):
                        self.twin.chain.call(function, argument, sender="stranger")
                market = self.twin.chain.market
                outcomes.append([(market.balanceOf(account(n)), market.stakeOf(account(n))) for n in NAMES])
            order.shuffle(calls)
        assert outcomes[0] == outcomes[1]

    def _permissionless(self, spans: list[tuple[int, int]]) -> list[tuple[str, Any]]:
        """For each lease either honest receipts, the last one highest, or its end that is due."""
        state, chain, at = self.twin.model.state, self.twin.chain, self.twin.at
        calls: list[tuple[str, Any]] = [("finishUnstake", account(name)) for name in PROVIDERS]
        calls += [("finalize", words_of(one.terms)) for one in state.leases.values() if one.claim]
        ripe = [one for one in state.leases.values() if at >= one.closable_at(self.twin.model.policy.grace)]
        calls += [("close", words_of(one.terms)) for one in ripe]
        young = [one for one in state.leases.values() if one not in ripe]
        for index, milliseconds in spans:
            for lease in young[index % len(young) : index % len(young) + 1] if young else []:
                young.remove(lease)
                most = lease.billable(milliseconds, at)
                for share, last in ((most // 2, False), (most, True)):
                    claim = Claim(terms=lease.terms, milliseconds=share, last=last)
                    calls.append(("settle", chain.settlement_words(lease.terms, self.twin.receipt(claim))))
        return calls

    @invariant()
    def contract_and_events_tell_the_same_and_nothing_is_lost(self) -> None:
        self.twin.assert_same_state(self.donated)

    def teardown(self) -> None:
        """10 and 11: whatever happened, and though the market be paused, everybody gets everything out."""
        ask_contracts(self.twin.chain)
        if not self.offers:
            return
        self.twin.chain.advance(PAUSE_SECONDS)
        with contextlib.suppress(Rejected):
            self.twin.pause()
        self._end_all_leases()
        for name in NAMES:
            self._ask_for_all_stake(name)
        self.twin.chain.advance(self.twin.model.policy.unstake_delay)
        for name in NAMES:
            self._take_everything(name)
        self._nothing_is_left()

    def _ask_for_all_stake(self, name: str) -> None:
        free = self.twin.model.state.stakes.get(party(name), 0)
        self._do(name, lambda: self.twin.request_unstake(name, free))

    def _take_everything(self, name: str) -> None:
        self._do("stranger", lambda: self.twin.finish_unstake(name, "stranger"))
        if balance := self.twin.balances()[party(name)]:
            self.twin.withdraw(name, balance)

    def _end_all_leases(self) -> None:
        state = self.twin.model.state
        for bid in {lease.terms.bid for lease in state.leases.values() if lease.undecided}:
            members = [terms for terms in self.watch.terms if terms.bid == bid]
            self.twin.decide_replicas(self.watch.bids[bid], members)
        for lease in [lease for lease in state.leases.values() if lease.claim]:
            self.twin.finalize(lease.terms)
        self.twin.chain.advance(self.twin.model.policy.grace)
        rest = [lease.terms for lease in state.leases.values()]
        for start in range(0, len(rest), 32):
            self.twin.close_many(rest[start : start + 32])

    def _nothing_is_left(self) -> None:
        """1 and 12: only what is burned and what was donated stays, and the events alone tell all of it."""
        state, chain = self.twin.model.state, self.twin.chain
        assert state.leases == {}
        assert state.held() == state.burned
        assert chain.token.balanceOf(chain.market.address) == state.burned + self.donated
        assert all(used == Quantities() for used in state.used.values())
        told = MarketState()
        for fact, at in self.twin.facts:
            told.apply(fact, at)
        assert told == state
        self.twin.assert_same_state(self.donated)
        self.twin.assert_same_past(NONCES)
        if RECORD and chain.recording:
            number = len(list(Path(RECORD).glob("*.jsonl")))
            chain.recording.write(Path(RECORD) / f"{number:06}.jsonl")


TestMarketMachine = pytest.mark.timeout(0 if STEPS > 1_000 else 300)(MarketMachine.TestCase)
TestMarketMachine.settings = settings(
    max_examples=max(1, STEPS // STEPS_PER_EXAMPLE),
    stateful_step_count=STEPS_PER_EXAMPLE,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
