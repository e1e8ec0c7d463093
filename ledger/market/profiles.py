"""Profiles: the name of a MIG instance's size, as NVIDIA writes it: compute slices and gigabytes.

An instance is a device of its own: its slices and memory are its alone, and the driver has placed it
before it is lent, so a bid that names a profile takes whole instances of exactly that one.
"""

import re

from ledger.market.errors import Rejected

_PROFILE = re.compile(r"[1-8]g\.[1-9][0-9]{0,2}gb(\+(me|gfx|me\.all))?")


def check_profile(profile: str) -> str:
    """The profile itself, or "" for whole devices and shares of them; `Rejected` where it is no profile."""
    if profile and not _PROFILE.fullmatch(profile):
        raise Rejected(
            "malformed-profile", f"{profile[:60]!r} is not a MIG profile.", "Write it as 1g.10gb or 3g.40gb."
        )
    return profile
