"""Domains: which administrative regions a job may run in, by allow and deny lists of patterns.

A domain is `group/location` (`tsinghua/beijing`); a pattern is a domain or ends in `*`. Deny wins; an
empty allow list allows all. The lists do not fit the contract's word, so matcher, agent and signer
each check them with this one function.
"""

import re

from ledger.market.errors import Rejected

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


def permits(domain: str, allow: tuple[str, ...], deny: tuple[str, ...]) -> bool:
    """Whether a job with these lists may run in `domain`."""

    def hit(pattern: str) -> bool:
        return domain.startswith(pattern[:-1]) if pattern.endswith("*") else domain == pattern

    if any(hit(pattern) for pattern in deny):
        return False
    return not allow or any(hit(pattern) for pattern in allow)
