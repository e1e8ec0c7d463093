"""Terms of a job that no word of the bid holds: whom it may go to, how near its data, when, and whether it
yields. They stand in the signed document; matcher, agent and the buyer's pen each hold them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.market.domains import Preference
from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text, text
from ledger.market.latency import check_reach
from ledger.market.plain import Reader
from ledger.market.ranges import exact_bytes, unsigned

MOST_PARTIES: Final = 256
MOST_NOTICE: Final = 86_400
MOST_WAIT: Final = 7 * 86_400
"""seconds that a bid may rest at a node"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The providers that may have the job, none named: all; and those that may not. Deny wins; both are
    sorted, each account once."""

    allow: tuple[Address, ...] = ()
    deny: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        for name, accounts in (("allow", self.allow), ("deny", self.deny)):
            for account in accounts:
                exact_bytes(f"providers.{name}", account, 20)
            if list(accounts) != sorted(set(accounts)) or len(accounts) > MOST_PARTIES:
                raise Rejected(
                    "providers-unsorted",
                    f"providers.{name} has {len(accounts)} accounts, not sorted or not each once.",
                    f"Name at most {MOST_PARTIES} accounts, sorted, each once.",
                )

    def permit(self, provider: Address) -> bool:
        """Whether this provider may have the job."""
        return provider not in self.deny and (not self.allow or provider in self.allow)

    def to_plain(self) -> dict[str, object]:
        lists = {"allow": self.allow, "deny": self.deny}
        return {name: [text(one) for one in accounts] for name, accounts in lists.items() if accounts}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlace:
    """Where the job's data lies, and the most milliseconds that it may be away; "" and 0 for anywhere."""

    region: str = ""
    max_latency: int = 0

    def __post_init__(self) -> None:
        check_reach(self.region, self.max_latency)

    def to_plain(self) -> dict[str, object]:
        return {"region": self.region, "max_latency": self.max_latency} if self.region else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When the job may run, in seconds since 1970, 0 for any: not before `start_at`, begun by `start_by`,
    over by `deadline`."""

    start_at: int = 0
    start_by: int = 0
    deadline: int = 0

    def __post_init__(self) -> None:
        for name in ("start_at", "start_by", "deadline"):
            unsigned(name, getattr(self, name), 40)

    def check(self, seconds: int) -> None:
        """`Rejected` where a job of `seconds` could never keep these times."""
        latest = self.latest_start(seconds)
        if latest is not None and latest < max(self.start_at, 1):
            raise Rejected(
                "times-contradict",
                f"A job of {seconds} s that may start at {self.start_at} cannot start by {latest}.",
                "Give a later deadline or start_by, or a shorter duration.",
            )

    def latest_start(self, seconds: int) -> int | None:
        """The last second at which a job of `seconds` may begin, None for any."""
        bounds = [self.start_by] if self.start_by else []
        bounds += [self.deadline - seconds] if self.deadline else []
        return min(bounds, default=None)


ANY_PROVIDER: Final = Providers()
ANY_PLACE: Final = DataPlace()
ANY_TIME: Final = Times()


def read_providers(value: Mapping[str, object]) -> Providers:
    read = Reader(value, "providers")
    lists = {name: _accounts(read.texts(name)) for name in ("allow", "deny")}
    read.done()
    return Providers(**lists)


def _accounts(texts: Sequence[str]) -> tuple[Address, ...]:
    accounts = tuple(Address(from_text(one, 20)) for one in texts)
    if any(text(account) != one for account, one in zip(accounts, texts, strict=True)):
        raise Rejected("account-not-lower", "An account is not in lower case.", "Write 0x and small letters.")
    return accounts


def read_data(value: Mapping[str, object]) -> DataPlace:
    if not value:
        return DataPlace()
    read = Reader(value, "data")
    place = DataPlace(region=read.get("region", str), max_latency=read.get("max_latency", int))
    read.done()
    return place


def read_notice(value: Mapping[str, object]) -> int:
    """Seconds of notice of an interruptible job, 0 for one that never yields."""
    if not value:
        return 0
    read = Reader(value, "interruptible")
    notice: int = read.get("notice", int)
    read.done()
    return check_notice(notice, least=1)


def check_notice(notice: int, least: int = 0) -> int:
    """The notice itself; `Rejected` outside a day."""
    unsigned("notice", notice, 32)
    if not least <= notice <= MOST_NOTICE:
        raise Rejected("notice-out-of-range", f"The notice is {notice} s.", f"Give 1 to {MOST_NOTICE} s.")
    return notice


def read_preferences(values: Sequence[object]) -> tuple[Preference, ...]:
    return tuple(_read_preference(value) for value in values)


def _read_preference(value: object) -> Preference:
    read = Reader(value, "prefer")
    preference = Preference(pattern=read.get("pattern", str), bonus=read.get("bonus", int))
    read.done()
    return preference


def preferences_to_plain(prefer: Sequence[Preference]) -> list[object]:
    return [{"pattern": one.pattern, "bonus": one.bonus} for one in prefer]
