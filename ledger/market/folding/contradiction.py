"""How a fold stops: an event that cannot follow from those before it names its cause and nothing else."""

from typing import Never

from ledger.market.errors import Broken


def contradiction(code: str, cause: str) -> Never:
    """Raise `Broken`: a log was lost, or the contract is not the one we know."""
    raise Broken(code, cause, "Read the events again from the market's first block.")
