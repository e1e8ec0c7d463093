"""An agent's word about itself as a person reads it: parts first, then leases, then what is wrong."""

from typing import TYPE_CHECKING, Any

from node.cli.views.job_view import moment
from node.cli.views.output import pairs, table

if TYPE_CHECKING:
    from rich.console import Console

SILENT_SECONDS = 15
"""the status file is rewritten every few seconds; an older one is of an agent that ended or hangs"""

_DISK_LIMITS = {
    "hard": "hard",
    "soft": "soft (without root a job can write more than it asked for)",
}


class ProviderView:
    """Draws one status; `now` is seconds since 1970."""

    def __init__(self, status: dict[str, Any], now: int) -> None:
        self._status = status
        self._now = now

    def __call__(self, out: "Console") -> None:
        pairs(self._parts())(out)
        leases = self._status["leases"]
        if leases:
            table(
                f"{len(leases)} leases", ("lease", "job", "stage", "runs", "agreed", "cause"), self._leases()
            )(out)
        for part, problem in self._status["problems"].items():
            pairs({part: f"{problem['cause']} {problem['remedy']}"})(out)

    def _parts(self) -> dict[str, object]:
        status = self._status
        age = self._now - int(status["at"])
        heard = moment(int(status["at"])) + (" (not running?)" if age > SILENT_SECONDS else "")
        return {
            "name": status["name"],
            "domain": status["domain"],
            "address": status["address"],
            "last heard": heard,
            "taking leases": "no, draining" if status["draining"] else "yes",
            "disk limits": _DISK_LIMITS[status["disk_limit"]],
            "engine": _well(status["engine"], "version"),
            "node": _well(status["node"], "url"),
            "chain": _well(status["chain"], "rpc"),
            "offers": [
                f"{name} {'on chain' if there else 'waiting'}" for name, there in status["offers"].items()
            ],
            "earned": f"{status['earned']} base units, {status['fees']} of them the nodes' fees",
            "stake": _stake(status["stake"]),
            "reputation": _reputation(status["reputation"]),
        } | _operator(status)

    def _leases(self) -> list[tuple[object, ...]]:
        return [
            (
                str(lease["lease"])[:12],
                lease["job"],
                lease["stage"],
                f"{lease['milliseconds'] / 1000:.1f} s",
                f"{lease['cosigned'] / 1000:.1f} s",
                lease["cause"],
            )
            for lease in self._status["leases"]
        ]


def _operator(status: dict[str, Any]) -> dict[str, object]:
    """The agent's own key, where it is not the provider's."""
    return {} if status["operator"] == status["address"] else {"operated by": status["operator"]}


def _stake(stake: dict[str, Any]) -> str:
    text = f"{stake['free']} base units free, {stake['locked']} locked by leases"
    if int(stake["unstaking"]):
        text += f", {stake['unstaking']} asked back until {moment(int(stake['unlock_at']))}"
    return text


def _reputation(found: dict[str, Any] | None) -> str:
    if found is None:
        return "not known"
    return f"{found['per_mille']} of 1000 ({found['completed']} leases completed)"


def _well(part: dict[str, Any], detail: str) -> str:
    return f"{'ok' if part['ok'] else 'does not answer'}  {part[detail]}".strip()
