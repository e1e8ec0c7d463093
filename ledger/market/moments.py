"""Moments as people read them: one form for the matcher's words, the command line and job files."""

from datetime import UTC, datetime
from typing import Final

_LAST: Final = 253_402_300_799
"""the last second of the year 9999, the last that a calendar date names"""


def moment(seconds: int) -> str:
    """`2027-01-31T18:00:00Z` of seconds since 1970; what no date names as its number."""
    if not 0 <= seconds <= _LAST:
        return f"second {seconds}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
