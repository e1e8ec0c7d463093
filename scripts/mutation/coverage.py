"""Which lines of the contracts each scene of the suite runs: only those that run a mutant's can notice it."""

from collections.abc import Sequence
from typing import Any

from scripts.mutation.compiling import Line, Sourced
from scripts.mutation.replay import Ran


class Coverage:
    """Of the real contracts, deployed as they were compiled."""

    def __init__(self, contracts: Sequence[Sourced]) -> None:
        self._contracts = contracts

    def into(self, ran: set[Line]) -> Ran:
        """What adds a computation's lines, and those of the calls it makes, to `ran`."""

        def note(computation: Any) -> None:  # noqa: ANN401 - py-evm's computation, traced by boa
            code = bytes(computation.msg.code)
            for contract in self._contracts:
                if code.startswith(contract.code):
                    places = contract.lines.keys() & computation.code._trace
                    ran.update(line for place in places for line in contract.lines[place])
            for inner in computation.children:
                note(inner)

        return note
