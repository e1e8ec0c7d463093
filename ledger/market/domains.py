"""Domains: which administrative regions a job may run in, by allow and deny lists of patterns.

A domain is `group/location` (`tsinghua/beijing`); a pattern is a domain or ends in `*`. Deny wins; an
empty allow list allows all. The lists do not fit the contract's word, so matcher, agent and signer
each check them with this one function.
"""

import re
from dataclasses import dataclass

from ledger.market.errors import Rejected
from ledger.market.ranges import unsigned

WHOLE = 10_000
"""basis points of a bid's limit: the largest bonus"""
_DOMAIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}/[a-z0-9][a-z0-9.-]{0,62}")
_PATTERN = re.compile(r"(\*|[a-z0-9][a-z0-9./-]{0,125}\*?)")


def check_domain(domain: str) -> str:
    """The domain itself; `Rejected` where it is not `group/location` in lower case."""
    if not _DOMAIN.fullmatch(domain):
        raise Rejected(
            "malformed-domain",
            f"{domain!r} is not a domain.",
            "Write group/location in lower case, such as example-lab/berlin.",
        )
    return domain


def check_pattern(pattern: str) -> str:
    """The pattern itself; `Rejected` where it is neither a domain nor a prefix ending in `*`."""
    if not _PATTERN.fullmatch(pattern):
        raise Rejected(
            "malformed-domain-pattern",
            f"{pattern!r} is not a domain pattern.",
            "Write a domain, or a beginning of one with * at its end.",
        )
    return pattern


def matches(domain: str, pattern: str) -> bool:
    """Whether the pattern names this domain."""
    return domain.startswith(pattern[:-1]) if pattern.endswith("*") else domain == pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Domains that the buyer would rather have: one that `pattern` names may cost `bonus` basis points of
    the bid's limit more than another and is still taken first."""

    pattern: str
    bonus: int

    def __post_init__(self) -> None:
        check_pattern(self.pattern)
        unsigned("bonus", self.bonus, 14)
        if not 1 <= self.bonus <= WHOLE:
            raise Rejected(
                "bonus-out-of-range",
                f"The bonus of {self.pattern} is {self.bonus} basis points.",
                f"Give 1 to {WHOLE} basis points of the limit.",
            )


def preferred(domain: str, prefer: tuple[Preference, ...]) -> int:
    """The bonus of a domain in basis points of the limit: the largest of those that name it."""
    return max((one.bonus for one in prefer if matches(domain, one.pattern)), default=0)


def permits(domain: str, allow: tuple[str, ...], deny: tuple[str, ...]) -> bool:
    """Whether a job with these lists may run in `domain`."""
    if any(matches(domain, pattern) for pattern in deny):
        return False
    return not allow or any(matches(domain, pattern) for pattern in allow)
