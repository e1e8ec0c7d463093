"""Whatever dies, vanishes, is taken or moves, in whatever order: a wish is done and took effect once, or it
failed and took none; and with as many confirmations as a reorganisation is deep, it is carried once."""

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ledger.chain.outbox import OutboxPolicy
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState
from tests.fakes.chain_wishes import KINDS, a_close, a_gang, a_registration, a_settlement, an_opening
from tests.fakes.outbox_chain import GWEI, POINTS, Scene, unsigned_of

FINALITY = 6
BATCHED = (an_opening, a_settlement, a_close, a_registration)
REFUSED = (lambda serial: an_opening(serial, limit=1), lambda serial: a_gang(serial, limit=1))
"""wishes that the contract skips whenever they come"""


class OutboxMachine(RuleBasedStateMachine):
    """`confirmations` 1 trusts a head that may be reorganised to just above finality."""

    @initialize(confirmations=st.sampled_from([1, 2, 4]))
    def begin(self, confirmations: int) -> None:
        policy = OutboxPolicy(confirmations=confirmations)
        self.scene = Scene(policy=policy, finality=FINALITY)
        self.chain, self.store = self.scene.chain, self.scene.store
        self.wished = 0

    @rule(kinds=st.lists(st.sampled_from([*KINDS, *REFUSED]), min_size=1, max_size=4))
    def wish(self, kinds: Sequence[object]) -> None:
        for kind in kinds:
            self.wished += 1
            assert callable(kind)
            instruction: Instruction = kind(self.wished)
            self.store.wish(instruction)

    @rule(kind=st.sampled_from(BATCHED), many=st.sampled_from([2, 34]))
    def wish_many(self, kind: object, many: int) -> None:
        self.wish([kind] * many)

    @rule(times=st.integers(1, 2))
    def step(self, times: int) -> None:
        for _ in range(times):
            self.scene.step()

    @rule(point=st.sampled_from(POINTS))
    def die(self, point: str) -> None:
        self.scene.step_and_die(point)

    @rule()
    def restart(self) -> None:
        self.scene.restart()

    @rule(blocks=st.integers(1, FINALITY + 1))
    def mine(self, blocks: int) -> None:
        for _ in range(blocks):
            self.chain.mine()

    @rule(seconds=st.sampled_from([1, 10, 100]))
    def wait(self, seconds: int) -> None:
        self.scene.at += seconds

    @rule()
    def forget_what_waits(self) -> None:
        self.chain.pool.clear()

    @rule(depth=st.integers(1, FINALITY), lost=st.booleans())
    def reorganise(self, depth: int, lost: bool) -> None:
        self.chain.reorg(depth)
        if lost:
            self.chain.pool.clear()

    @rule()
    def a_stranger_takes_the_nonce(self) -> None:
        self.wished += 1
        self.chain.steal_nonce(self.wished)

    @rule(times=st.sampled_from([1, 3, 10]))
    def the_base_fee_is(self, times: int) -> None:
        self.chain.base_fee = times * GWEI

    @rule(blocks=st.integers(0, 2))
    def the_endpoint_lags(self, blocks: int) -> None:
        self.chain.lags = blocks

    @invariant()
    def every_raise_is_an_eighth_and_below_the_cap(self) -> None:
        if not hasattr(self, "scene"):
            return
        fees: dict[tuple[int, tuple[int, ...]], tuple[int, int]] = {}
        for attempt in self.store.recorded:
            fields = unsigned_of(attempt.raw)
            before = fees.get((attempt.nonce, attempt.intents))
            if before is not None:
                assert fields.max_fee * 8 >= before[0] * 9
                assert fields.tip * 8 >= before[1] * 9
            assert fields.tip <= fields.max_fee <= self.scene.policy.highest_fee
            fees[attempt.nonce, attempt.intents] = (fields.max_fee, fields.tip)

    def teardown(self) -> None:
        if not hasattr(self, "scene"):
            return
        self.chain.lags, self.chain.base_fee = 0, GWEI
        for _ in range(80 + len(self.store.all)):
            self.scene.round()
            if self.scene.rests():
                break
        else:
            raise AssertionError(f"never came to rest: {self.store.states()}")
        effects = self.chain.effects()
        for number, intent in self.store.all.items():
            taken, done = effects[self.chain.name(number)], intent.state is IntentState.DONE
            assert taken == done, f"{intent} took {taken} effects: {self.store.detail.get(number)}"


OutboxMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
TestOutbox = OutboxMachine.TestCase
