"""An `OutboxStore` in memory: what a database would keep, without one."""

from collections.abc import Sequence
from dataclasses import replace

from ledger.chain.outcomes import Outcome
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState, SettledNonce, Sighting, TxAttempt, TxIntent


class MemoryStore:
    """Give it to a new `Outbox` to restart after a crash."""

    def __init__(self) -> None:
        self.all: dict[int, TxIntent] = {}
        self.detail: dict[int, str] = {}
        self.recorded: list[TxAttempt] = []
        self.seen: dict[int, Sighting] = {}
        """of each nonce that is not in flight"""
        self.decided: dict[int, list[int]] = {}
        self.final = -1
        self.claims = 0

    def wish(self, *instructions: Instruction) -> list[int]:
        """New PENDING intents; their ids."""
        ids = range(len(self.all) + 1, len(self.all) + 1 + len(instructions))
        for number, instruction in zip(ids, instructions, strict=True):
            self.all[number] = TxIntent(
                id=number,
                key=str(number),
                instruction=instruction,
                state=IntentState.PENDING,
                created_at=0,
            )
        return list(ids)

    def states(self) -> list[IntentState]:
        return [intent.state for intent in self.all.values()]

    def details(self) -> list[str]:
        return [self.detail.get(number, "") for number in self.all]

    def claim(self) -> None:
        self.claims += 1

    def pending(self, limit: int) -> Sequence[TxIntent]:
        return [one for one in self.all.values() if one.state is IntentState.PENDING][:limit]

    def intents(self, ids: Sequence[int]) -> Sequence[TxIntent]:
        return [self.all[number] for number in ids]

    def attempts_in_flight(self) -> Sequence[TxAttempt]:
        flying = [attempt for attempt in self.recorded if attempt.nonce not in self.seen]
        return sorted(flying, key=lambda attempt: attempt.nonce)

    def next_nonce(self) -> int:
        return max((attempt.nonce + 1 for attempt in self.recorded), default=0)

    def record_attempt(self, attempt: TxAttempt) -> None:
        self.recorded.append(attempt)
        for number in attempt.intents:
            self._become(number, IntentState.SENT)

    def settle_attempt(self, nonce: int, outcomes: Sequence[Outcome], seen: Sighting) -> None:
        self.seen[nonce] = seen
        self.decided[nonce] = [outcome.intent for outcome in outcomes]
        for outcome in outcomes:
            self.settle_intent(outcome)

    def settle_intent(self, outcome: Outcome) -> None:
        self._become(outcome.intent, outcome.state)
        self.detail[outcome.intent] = outcome.detail

    def settled(self) -> Sequence[SettledNonce]:
        return [
            SettledNonce(nonce=nonce, number=seen.block.number, hash=seen.block.hash)
            for nonce, seen in sorted(self.seen.items())
            if seen.block.number > self.final
        ]

    def make_final(self, number: int) -> None:
        self.final = max(self.final, number)

    def reopen(self, nonces: Sequence[int]) -> None:
        for nonce in nonces:
            del self.seen[nonce]
            for number in self.decided.pop(nonce):
                self._become(number, IntentState.SENT)

    def spent(self, day: int) -> int:
        sent_at = {attempt.hash: attempt.sent_at for attempt in self.recorded}
        ours = [seen for seen in self.seen.values() if seen.transaction is not None]
        return sum(seen.cost for seen in ours if sent_at[seen.transaction or b""] // 86_400 == day)

    def _become(self, number: int, state: IntentState) -> None:
        self.all[number] = replace(self.all[number], state=state)
