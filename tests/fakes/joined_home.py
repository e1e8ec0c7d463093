"""A command line's home that joined a grid, without the grid."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ledger.market.identity import Address
from ledger.market.policy import EMBEDDED
from node.buying.profile import Profile, write_profile

NOWHERE = "http://127.0.0.1:9"
"""where nobody answers"""


def a_profile(**changes: Any) -> Profile:
    """Node and chain are down, unless they are named."""
    profile = Profile(
        node_url=NOWHERE,
        rpc_url=NOWHERE,
        chain_id=7,
        market=Address(b"\1" * 20),
        token=Address(b"\2" * 20),
        decimals=6,
        node=Address(b"\3" * 20),
        policy=EMBEDDED,
        first_block=0,
        embedded=True,
    )
    return replace(profile, **changes)


def join(home: Path, **changes: Any) -> Path:
    """The home itself, with `a_profile` in it."""
    write_profile(home / "profiles" / "default.json", a_profile(**changes))
    return home
