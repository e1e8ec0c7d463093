"""Why a wish committed is carried out once, whatever dies in between: sign, store, then send.

An intent becomes part of a signed transaction whose nonce and bytes are stored before they are sent; the
same bytes may be sent any number of times. Only a mined transaction, deep enough, decides what became of
its intents; and until its block is final it is looked at again, so that one which a reorganisation took
back is in flight anew. One outbox per sending account, stepped by one thread: the newest to start takes the
account over, and an older one is refused. A nonce taken by somebody else who has the key only delays.
"""

import logging
from collections.abc import Iterable, Sequence
from itertools import groupby

from ledger.chain.batching import Gathering, is_batch_of_skips, is_early, is_timed, next_batch
from ledger.chain.calls import MAX_ITEMS, TO_JURY, Call, market_call
from ledger.chain.client import MinedReceipt
from ledger.chain.dispatch import Dispatch
from ledger.chain.finality import final_number
from ledger.chain.gas import TRANSFER_GAS
from ledger.chain.keys import Signer
from ledger.chain.outbox_ports import OutboxChain as OutboxChain
from ledger.chain.outbox_ports import OutboxPolicy as OutboxPolicy
from ledger.chain.outbox_ports import OutboxStore as OutboxStore
from ledger.chain.outcomes import Outcome, outcome_of
from ledger.market.errors import LostRace, Rejected
from ledger.market.events import BlockRef
from ledger.market.identity import NOBODY, text
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState, SettledNonce, Sighting, TxAttempt, TxIntent

_log = logging.getLogger(__name__)
DEFAULTS = OutboxPolicy()


class Outbox:
    """Carries out the intents of one account."""

    def __init__(
        self,
        store: OutboxStore,
        chain: OutboxChain,
        key: Signer,
        policy: OutboxPolicy = DEFAULTS,
    ) -> None:
        self._store = store
        self._chain = chain
        self._account = key.address
        self._policy = policy
        self._dispatch = Dispatch(store, chain, key, policy)
        self._gathering = Gathering()
        self._alone: set[int] = set()
        self._claimed = False
        self._head = b""

    def step(self, at: int) -> int:
        """Settle what is mined, pursue what is not, send what is new; how many of these it did.

        `Unavailable` where the chain is silent or the day's gas budget is spent, `Rejected` where the chain
        takes nothing (no coin for gas): nothing is lost, the next step goes on from there. `LostRace`
        "outbox-superseded" where another process sends from the account now.
        """
        if not self._claimed:
            self._store.claim()
            self._claimed = True
        done = self._reopen_vanished()
        flying = self._in_flight()
        if not flying:
            return done + self._send_pending(0, at)
        # Read before the receipts: a nonce counted here whose receipt is missing below is a stranger's.
        counted = self._chain.transaction_count(self._account, "latest")
        done += sum(self._look_after(attempts, counted, at) for attempts in flying)
        done += self._fill_gap(counted, flying, at)
        return done + self._send_pending(counted, at)

    # what was settled, and may yet vanish

    def _reopen_vanished(self) -> int:
        """Nonces whose fate was shown by a block that a reorganisation replaced are in flight again: the
        same bytes are sent once more, and nothing new is made of their intents meanwhile."""
        settled = self._store.settled()
        if not settled:
            return 0
        head = self._chain.block("latest")
        if head.hash == self._head:
            return 0
        standing, gone = self._looked_up(settled)
        if gone:
            self._store.reopen(gone)
        final = min(standing, final_number(self._chain, head))
        if any(one.number <= final for one in settled):
            self._store.make_final(final)
        self._head = head.hash
        return len(gone)

    def _looked_up(self, settled: Sequence[SettledNonce]) -> tuple[int, list[int]]:
        """The number of the newest block that stands, -1 for none (all below it stand, too), and the nonces
        that were seen in blocks above it which were replaced."""
        gone: set[tuple[int, bytes]] = set()
        standing = -1
        for number, block in sorted({(one.number, one.hash) for one in settled}, reverse=True):
            found = self._block_at(number)
            if found is not None and found.hash == block:
                standing = number
                break
            # A missing block proves nothing: the endpoint may lag. Another one in its place does.
            if found is not None:
                gone.add((number, block))
        return standing, [one.nonce for one in settled if (one.number, one.hash) in gone]

    def _block_at(self, number: int) -> BlockRef | None:
        try:
            return self._chain.block(number)
        except LostRace:
            return None

    # what is in flight

    def _in_flight(self) -> list[list[TxAttempt]]:
        attempts = self._store.attempts_in_flight()
        return [list(group) for _, group in groupby(attempts, key=lambda attempt: attempt.nonce)]

    def _fill_gap(self, counted: int, flying: Sequence[Sequence[TxAttempt]], at: int) -> int:
        """Where a stranger's transaction vanished (a reorganisation, a lost pool), nothing takes the next
        nonce and ours wait for ever: after a while an empty one to ourselves takes it."""
        waiting = [attempts[-1] for attempts in flying if attempts[-1].nonce >= counted]
        gap = bool(waiting) and waiting[0].nonce > counted
        if not gap or at - waiting[0].sent_at < self._policy.bump_after:
            return 0
        self._dispatch.send(Call(to=self._account, data=b"", gas=TRANSFER_GAS), counted, (), at)
        return 1

    def _look_after(self, attempts: Sequence[TxAttempt], counted: int, at: int) -> int:
        """One nonce: settle it, leave it to get deeper, or see to it that the chain has it."""
        mined = self._mined(attempts)
        if mined is None and counted <= attempts[-1].nonce:
            return self._dispatch.pursue(attempts[-1], at)
        for attempt in attempts:
            self._dispatch.forget(attempt.hash)
        if mined is None:
            return self._recover(attempts)
        if mined.block.number > self._deep_enough():
            return 0
        cost = mined.gas_used * mined.gas_price
        seen = Sighting(block=mined.block, transaction=mined.transaction, cost=cost)
        self._settle(attempts, self._outcomes(attempts, mined), seen)
        return 1

    def _mined(self, attempts: Sequence[TxAttempt]) -> MinedReceipt | None:
        receipts = (self._chain.receipt(attempt.hash) for attempt in reversed(attempts))
        return next((receipt for receipt in receipts if receipt is not None), None)

    def _deep_enough(self) -> int:
        return self._chain.block("latest").number - self._policy.confirmations + 1

    def _recover(self, attempts: Sequence[TxAttempt]) -> int:
        """A foreign transaction took the nonce: once that is deep enough, try the intents anew."""
        nonce = attempts[-1].nonce
        # The block before the count: should a reorganisation come between, it is the block that vanishes.
        block = self._block_at(max(0, self._deep_enough()))
        if block is None or self._chain.transaction_count(self._account, block.number) <= nonce:
            return 0
        _log.warning(
            "Nonce %d of %s was taken by a transaction that is not from here: who else has the key?",
            nonce,
            text(self._account),
        )
        self._settle(attempts, _anew(_carried(attempts), "nonce-taken"), Sighting(block=block))
        return 1

    def _settle(self, attempts: Sequence[TxAttempt], outcomes: Iterable[Outcome], seen: Sighting) -> None:
        """A wish that another nonce carries too (one of them was lost, and came back) is done when any of
        them did it, and failed only when none can do it any more."""
        nonce = attempts[-1].nonce
        others = [one for one in self._store.attempts_in_flight() if one.nonce != nonce]
        undecided = set(_carried(others))
        done = {one.id for one in self._store.intents(_carried(attempts)) if one.state is IntentState.DONE}
        kept = [
            outcome
            for outcome in outcomes
            if outcome.state is IntentState.DONE or outcome.intent not in undecided | done
        ]
        self._store.settle_attempt(nonce, kept, seen)

    def _outcomes(self, attempts: Sequence[TxAttempt], mined: MinedReceipt) -> list[Outcome]:
        carrier = next(one for one in attempts if one.hash == mined.transaction)
        left_out = [one for one in _carried(attempts) if one not in carrier.intents]
        return [*self._outcomes_of(carrier, mined), *_anew(left_out, "nonce-taken")]

    def _outcomes_of(self, attempt: TxAttempt, mined: MinedReceipt) -> list[Outcome]:
        intents = self._store.intents(attempt.intents)
        if mined.succeeded:
            domain = self._chain.domain()
            return [outcome_of(intent, mined.events, domain) for intent in intents]
        if len(intents) > 1:
            self._alone.update(attempt.intents)
            return _anew(attempt.intents, "reverted")
        return [_failed(intent, self._refusal(intents) or "reverted") for intent in intents]

    # what waits to be sent

    def _send_pending(self, counted: int, at: int) -> int:
        sent, flying = 0, self._in_flight()
        room = self._policy.in_flight - len(flying)
        waiting = list(self._store.pending(MAX_ITEMS * max(0, room)))
        if not waiting:
            return 0
        head = self._chain.block("latest").number
        gather = self._gathering.waits(head) and any(one[-1].nonce >= counted for one in flying)
        while waiting and sent < room:
            batch = next_batch(waiting, self._alone)
            if gather and Gathering.has_room(batch, self._alone):
                break
            waiting = [intent for intent in waiting if intent not in batch]
            ready = self._ready(batch, idle=not (flying or sent))
            if ready:
                self._send_batch(ready, at)
                self._gathering.sent(head)
                sent += 1
        return sent

    def _ready(self, batch: Sequence[TxIntent], *, idle: bool) -> list[TxIntent]:
        """Those that it can do any good to send now. What would revert fails without costing gas, but only
        when none of our transactions is on its way that might make it right."""
        if not is_batch_of_skips(batch):
            return [intent for intent in batch if self._is_ready(intent, idle=idle)]
        if idle and self._refusal(batch) is not None:
            self._alone.update(intent.id for intent in batch)
            return [intent for intent in batch if self._is_ready(intent, idle=idle)][:1]
        return list(batch)

    def _is_ready(self, intent: TxIntent, *, idle: bool) -> bool:
        timed = is_timed(intent.instruction)
        if not (idle or timed):
            return True
        reason = self._refusal([intent])
        if reason is None:
            return True
        if idle and not (timed and is_early(reason)):
            self._store.settle_intent(_failed(intent, reason))
        return False

    def _refusal(self, intents: Sequence[TxIntent]) -> str | None:
        """Why the contract would refuse one call with these now; None where it would not."""
        try:
            self._chain.simulate(self._call([one.instruction for one in intents]), self._account)
        except Rejected as exc:
            return str(exc.facts.get("reason", exc.code))
        return None

    def _call(self, wishes: Sequence[Instruction]) -> Call:
        jury = self._chain.jury() if isinstance(wishes[0], TO_JURY) else NOBODY
        return market_call(self._chain.market, wishes, jury=jury)

    def _send_batch(self, batch: Sequence[TxIntent], at: int) -> None:
        # What a person sent from the account and no block has yet is not to be replaced.
        counted = self._chain.transaction_count(self._account, "pending")
        call = self._call([intent.instruction for intent in batch])
        nonce = max(self._store.next_nonce(), counted)
        self._dispatch.send(call, nonce, tuple(intent.id for intent in batch), at)


def _carried(attempts: Iterable[TxAttempt]) -> list[int]:
    return list(dict.fromkeys(intent for attempt in attempts for intent in attempt.intents))


def _anew(intents: Iterable[int], detail: str) -> list[Outcome]:
    return [Outcome(intent=one, state=IntentState.PENDING, detail=detail) for one in intents]


def _failed(intent: TxIntent, detail: str) -> Outcome:
    return Outcome(intent=intent.id, state=IntentState.FAILED, detail=detail)
