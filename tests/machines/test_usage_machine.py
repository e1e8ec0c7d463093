"""Usage lines between an agent and a node that are killed, lose answers, and lose what they knew.

The agent's file is real and is opened again after each kill; the node is the rule that it takes the next line
alone, and only with its root. Whatever happens, the node's list only grows, what was acknowledged is the same
on both sides, and a quiet moment brings everything over.
"""

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger.chain.typed_data import keccak
from ledger.market.errors import MarketError, Rejected, Unavailable
from ledger.market.identity import Address, Digest, LeaseId
from ledger.market.usage_tree import NO_LINES, UsageLine, UsageTree, lines_differ
from provider_agent.connections.node_client import UsageAnswer
from provider_agent.state_store import StateStore
from provider_agent.work.usage_reports import Metered, UsageReports
from tests.factories import a_digest, an_address

LEASE = LeaseId(a_digest("lease"))
SIGNER = an_address("signer")
PAGE = 2


@dataclass(kw_only=True)
class World:
    """What lies between the two: the node's lines, and what happens to the next messages."""

    lines: list[UsageLine]
    lost: int = 0
    unanswered: int = 0
    bound: int = 1 << 40


def tree_of(lines: list[UsageLine]) -> UsageTree:
    tree = NO_LINES
    for line in lines:
        tree = tree.followed_by(line, keccak)
    return tree


class Node:
    """The node's side of a report, as its API answers."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def report_usage(self, line: UsageLine, evidence: Digest, signer: Address) -> UsageAnswer:
        world = self._world
        self._pass(lost=True)
        held = len(world.lines)
        if line.sequence < held:
            if world.lines[line.sequence] != line:
                raise lines_differ(LEASE, held)
        else:
            if line.milliseconds > world.bound:
                raise Rejected("usage-beyond-bound", "It is too much.", "Report less.")
            if tree_of(world.lines).followed_by(line, keccak).root(keccak) != evidence:
                raise lines_differ(LEASE, held)
            world.lines.append(line)
        self._pass(lost=False)
        return UsageAnswer(signed=None, held=len(world.lines))

    async def usage_lines(self, lease: LeaseId, first: int) -> list[UsageLine]:
        self._pass(lost=True)
        return self._world.lines[first : first + PAGE]

    def _pass(self, *, lost: bool) -> None:
        world = self._world
        if lost and world.lost:
            world.lost -= 1
            raise Unavailable("node-unreachable", "It was lost.", "Try again.")
        if not lost and world.unanswered:
            world.unanswered -= 1
            raise Unavailable("node-unreachable", "The answer was lost.", "Try again.")


class Delivery(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(lines=[])
        self.ran = 0
        self.seen: list[UsageLine] = []
        self._open()

    def _open(self) -> None:
        self.store = StateStore(Path(self.folder.name) / "agent.db")
        self.reports = UsageReports(self.store.usage_lines, Node(self.world))

    def _report(self, *, last: bool = False) -> None:
        metered = Metered(milliseconds=self.ran, cpu_ns=self.ran * 7, peak_bytes=3, last=last)
        # Nothing waits here: the node answers at once.
        with suppress(StopIteration):
            self.reports.report(LEASE, SIGNER, metered).send(None)

    @rule(passed=st.integers(0, 9), last=st.sampled_from([False] * 9 + [True]))
    def reports_what_ran(self, passed: int, last: bool) -> None:
        self.ran += passed
        try:
            self._report(last=last)
        except MarketError:
            return

    @rule(lost=st.integers(0, 2), unanswered=st.integers(0, 2))
    def messages_will_be_lost(self, lost: int, unanswered: int) -> None:
        self.world.lost, self.world.unanswered = lost, unanswered

    @rule()
    def is_killed(self) -> None:
        self.store.close()
        self._open()

    @precondition(lambda self: len(self.world.lines) >= len(self.seen))
    @rule()
    def is_started_without_memory(self) -> None:
        self.store.close()
        for file in Path(self.folder.name).iterdir():
            file.unlink()
        self._open()

    @rule(kept=st.integers(0, 3))
    def the_node_loses_its_newest_lines(self, kept: int) -> None:
        # Only what the agent still has can come back.
        newest = self.store.usage_lines.newest(LEASE)
        mine = 0 if newest is None else newest.line.sequence + 1
        if mine >= len(self.world.lines):
            del self.world.lines[kept:]

    @rule()
    def a_termination_cuts_the_time(self) -> None:
        newest = self.world.lines[-1].milliseconds if self.world.lines else 0
        self.world.bound = max(newest, self.ran)

    @invariant()
    def the_nodes_list_only_grows(self) -> None:
        shared = min(len(self.seen), len(self.world.lines))
        assert self.world.lines[:shared] == self.seen[:shared]
        if len(self.world.lines) > len(self.seen):
            self.seen = list(self.world.lines)

    @invariant()
    def what_was_acknowledged_is_the_same_on_both_sides(self) -> None:
        newest = self.store.usage_lines.newest(LEASE)
        if newest is not None and newest.acknowledged and newest.line.sequence < len(self.world.lines):
            assert self.world.lines[newest.line.sequence] == newest.line

    def teardown(self) -> None:
        """Once nothing is lost any more, both sides have the same lines and the same root."""
        self.world.lost = self.world.unanswered = 0
        self.world.bound = 1 << 40
        for _ in range(3):
            try:
                self._report()
                break
            except MarketError:
                continue
        newest = self.store.usage_lines.newest(LEASE)
        assert newest is not None
        assert newest.line == self.world.lines[-1]
        assert newest.evidence == tree_of(self.world.lines).root(keccak)
        self.store.close()
        self.folder.cleanup()


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
