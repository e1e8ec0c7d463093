"""Brings usage to the node line by line, in order, until each is acknowledged.

What was not acknowledged is sent again before anything new is said, word for word. A node that lost lines
gets them again; an agent that lost its own takes over what the node has of them; a line that the node
refused is no line, and the next report is made of the time that the job has run by then.
"""

from dataclasses import dataclass
from typing import Protocol

from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import Address, Digest, LeaseId
from ledger.market.receipt import SignedReceipt
from ledger.market.usage_tree import UsageLine
from provider_agent.connections.node_client import UsageAnswer
from provider_agent.usage_lines import KeptLine, UsageLines


class UsageNode(Protocol):
    """Where lines are brought; `provider_agent.connections.node_client.NodeClient` is one."""

    async def report_usage(self, line: UsageLine, evidence: Digest, signer: Address) -> UsageAnswer: ...

    async def usage_lines(self, lease: LeaseId, first: int) -> list[UsageLine]:
        """Lines that the node holds from number `first` on, a page of them; none at the end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What is to be said of a lease now: cumulative milliseconds, CPU nanoseconds and peak bytes."""

    milliseconds: int
    cpu_ns: int
    peak_bytes: int
    last: bool


class UsageReports:
    """The reports of all leases; those of one lease come one after the other."""

    def __init__(self, lines: UsageLines, node: UsageNode) -> None:
        self._lines = lines
        self._node = node

    async def report(self, lease: LeaseId, signer: Address, metered: Metered) -> SignedReceipt | None:
        """Bring what waits, then a line for `metered` where it is news; the newest receipt that came back."""
        for kept in self._lines.unacknowledged(lease):
            signed = await self._bring(kept, signer)
            if kept.line.last or (signed is not None and signed.receipt.last):
                return signed
        newest = self._lines.newest(lease)
        if newest is None or not newest.line.last:
            self._lines.keep(_next(lease, newest, metered))
            newest = self._lines.newest(lease)
        assert newest is not None
        return await self._bring(newest, signer)

    async def _bring(self, kept: KeptLine, signer: Address) -> SignedReceipt | None:
        lease = kept.line.lease
        try:
            answer = await self._node.report_usage(kept.line, kept.evidence, signer)
        except LostRace as exc:
            held = exc.facts.get("held")
            if exc.code == "usage-lines-differ" and type(held) is int:
                await self._agree(lease, held)
            raise
        except Rejected:
            self._lines.drop_refused(lease)
            raise
        self._lines.acknowledge(lease, answer.held)
        return answer.signed

    async def _agree(self, lease: LeaseId, held: int) -> None:
        """Take over the lines that the node has beyond those that it acknowledged, or send it again what it
        lost."""
        first = self._lines.acknowledged(lease)
        if held <= first:
            self._lines.acknowledge(lease, held)
            return
        theirs: list[UsageLine] = []
        while len(theirs) < held - first and (
            page := await self._node.usage_lines(lease, first + len(theirs))
        ):
            theirs += page
        self._lines.drop_refused(lease)
        newest = self._lines.newest(lease)
        ours = 0 if newest is None else newest.line.sequence + 1
        for line in theirs:
            if line.sequence >= ours:
                self._lines.keep(line, acknowledged=True)


def _next(lease: LeaseId, newest: KeptLine | None, metered: Metered) -> UsageLine:
    """A clock that stepped back takes no time back; the last line says what a termination left."""
    before = 0 if newest is None else newest.line.milliseconds
    return UsageLine(
        lease=lease,
        sequence=0 if newest is None else newest.line.sequence + 1,
        milliseconds=metered.milliseconds if metered.last else max(before, metered.milliseconds),
        cpu_ns=metered.cpu_ns,
        peak_bytes=metered.peak_bytes,
        last=metered.last,
    )
