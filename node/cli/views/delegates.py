"""A delegate as a person reads it: which key, what it may, how much is left, until when."""

from typing import Any

from ledger.market.delegation import Delegation, Role
from ledger.market.identity import text
from node.cli.reading.amounts import format_amount
from node.cli.views.job_view import moment

COLUMNS = ("key", "may", "allowance left", "until (UTC)")


def cells(shown: dict[str, Any], decimals: int) -> tuple[str, ...]:
    """One row of the list, from the node's view."""
    return (
        str(shown["key"]),
        roles_text(Role(int(shown["roles"]))),
        format_amount(int(shown["allowance"]), decimals),
        moment(int(shown["until"])),
    )


def delegation_plain(delegation: Delegation, decimals: int) -> dict[str, Any]:
    """What was set."""
    return {
        "key": text(delegation.key),
        "may": roles_text(delegation.roles),
        "allowance": format_amount(delegation.allowance, decimals),
        "until": moment(delegation.until),
    }


def roles_text(roles: Role) -> str:
    """`spend`, `operate` or both."""
    return " and ".join(str(role.name).lower() for role in Role if role in roles)
