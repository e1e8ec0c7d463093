"""Gang: several leases that open together or not at all, together in one place or apart from each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.market.bid import AGREE_SHIFT, DISTINCT, MAX_MEMBERS, MAX_REPLICAS, REPLICAS
from ledger.market.errors import Rejected
from ledger.market.plain import Reader

SAME_PROVIDER: Final = "provider"
SAME_DOMAIN: Final = "domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """`members` leases that open together or not at all. `distinct`: no two at one provider. `same`: all at
    one provider, or all in one domain. `agree` > 0 makes them replicas: each runs the same job, in distinct
    domains, and that many equal results decide."""

    members: int
    distinct: bool = False
    agree: int = 0
    same: str = ""

    def __post_init__(self) -> None:
        most = MAX_REPLICAS if self.agree else MAX_MEMBERS
        if not 2 <= self.members <= most:
            raise Rejected(
                "gang-size", f"{self.members} members are asked for.", f"Give 2 to {most}.", most=most
            )
        if self.agree and not self.members < 2 * self.agree <= 2 * self.members:
            raise Rejected(
                "quorum-size",
                f"{self.agree} of {self.members} results could agree twice over, or never.",
                "Let more than half of the replicas agree, and at most all.",
            )
        if self.same not in ("", SAME_PROVIDER, SAME_DOMAIN):
            raise Rejected(
                "unknown-sameness",
                f"The members cannot be at the same {self.same[:60]!r}.",
                f"Use {SAME_PROVIDER} or {SAME_DOMAIN}.",
            )
        if self.same and (self.agree or (self.distinct and self.same == SAME_PROVIDER)):
            raise Rejected(
                "gang-contradiction",
                "The members must be together and apart.",
                "Ask for one provider or domain, or for distinct ones.",
            )

    @property
    def flags(self) -> int:
        """What the bid's `flags` must say."""
        if self.agree:
            return REPLICAS | self.agree << AGREE_SHIFT
        return DISTINCT if self.distinct else 0

    def to_plain(self) -> dict[str, object]:
        """Its part of the document."""
        plain: dict[str, object] = {
            "members": self.members,
            "distinct": self.distinct,
            "agree": self.agree,
        }
        return plain | ({"same": self.same} if self.same else {})


def gang_from_plain(value: Mapping[str, object]) -> Gang | None:
    """The part of a job document, None where there is none."""
    if not value:
        return None
    read = Reader(value, "gang")
    gang = Gang(
        members=read.get("members", int),
        distinct=read.get("distinct", bool, False),
        agree=read.get("agree", int, 0),
        same=read.get("same", str, ""),
    )
    read.done()
    return gang
