"""What a failure asks of the caller: every error of Bingwang is one of four kinds.

`Rejected` (fix the request), `LostRace` (the world moved, look again), `Unavailable` (try later) and
`Broken` (stop and call the operator). Each carries a stable code, one cause and one remedy; the command
line turns the kind into an exit code and the HTTP API into a problem document (RFC 9457). Modules
define leaves of these where the failure is known, and translate a vendor's errors once, at its door.
"""

from typing import ClassVar


class MarketError(Exception):
    """An expected failure, with `code` (stable, kebab-case), `cause` and `remedy` (one sentence each)."""

    exit_code: ClassVar[int] = 5
    http_status: ClassVar[int] = 500

    def __init__(self, code: str, cause: str, remedy: str, **facts: object) -> None:
        super().__init__(f"{cause} {remedy}")
        self.code = code
        self.cause = cause
        self.remedy = remedy
        self.facts = facts


class Rejected(MarketError):
    """The request is wrong; the same request will be refused again."""

    exit_code = 3
    http_status = 422


class LostRace(MarketError):
    """The request was right when made, but the world moved; look again before retrying."""

    exit_code = 6
    http_status = 409


class Unavailable(MarketError):
    """A part that is needed does not answer; the same request may succeed later."""

    exit_code = 4
    http_status = 503


class Broken(MarketError):
    """An invariant does not hold; stop, nothing may be decided from here on."""

    exit_code = 5
    http_status = 500
