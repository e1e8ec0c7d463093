"""An `OutboxStore` in memory: what a database would keep, without one."""

from collections.abc import Sequence
from dataclasses import replace

from ledger.chain.outcomes import Outcome
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState, TxAttempt, TxIntent


class MemoryStore:
    """Give it to a new `Outbox` to restart after a crash."""

    def __init__(self) -> None:
        self.all: dict[int, TxIntent] = {}
        self.detail: dict[int, str] = {}
        self.recorded: list[TxAttempt] = []
        self.settled: set[int] = set()

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

    def pending(self, limit: int) -> Sequence[TxIntent]:
        return [one for one in self.all.values() if one.state is IntentState.PENDING][:limit]

    def intents(self, ids: Sequence[int]) -> Sequence[TxIntent]:
        return [self.all[number] for number in ids]

    def attempts_in_flight(self) -> Sequence[TxAttempt]:
        flying = [attempt for attempt in self.recorded if attempt.nonce not in self.settled]
        return sorted(flying, key=lambda attempt: attempt.nonce)

    def next_nonce(self) -> int:
        return max((attempt.nonce + 1 for attempt in self.recorded), default=0)

    def record_attempt(self, attempt: TxAttempt) -> None:
        self.recorded.append(attempt)
        for number in attempt.intents:
            self.all[number] = replace(self.all[number], state=IntentState.SENT)

    def settle_attempt(self, nonce: int, outcomes: Sequence[Outcome]) -> None:
        self.settled.add(nonce)
        for outcome in outcomes:
            self.settle_intent(outcome)

    def settle_intent(self, outcome: Outcome) -> None:
        self.all[outcome.intent] = replace(self.all[outcome.intent], state=outcome.state)
        self.detail[outcome.intent] = outcome.detail
