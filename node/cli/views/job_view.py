"""A job as a person reads it: state, place, time and money; amounts in tokens, exactly."""

from datetime import UTC, datetime
from typing import Any

from node.cli.reading.amounts import format_amount, format_rate

COLUMNS = ("job", "state", "lease", "price", "paid", "accepted")


def cells(job: dict[str, Any], decimals: int) -> tuple[str, ...]:
    """One row of the list of jobs."""
    lease = newest_lease(job)
    return (
        str(job["job"])[:12],
        str(job["state"]),
        str(job["lease"] or "")[:12],
        format_rate(int(lease["terms"]["rate"]), decimals) if lease else "",
        format_amount(paid(job), decimals),
        moment(int(job["accepted_at"])),
    )


def figures(job: dict[str, Any], decimals: int) -> dict[str, object]:
    """One job by name and value; empty values are not shown."""
    lease = newest_lease(job)
    shown: dict[str, object] = {
        "job": job["job"],
        "state": job["state"],
        "cause": job.get("cause"),
        "code": job.get("code"),
        "exit code": job.get("exit_code"),
        "accepted": moment(int(job["accepted_at"])),
        "your limit": format_rate(int(job["limit_rate"]), decimals),
        "leases": len(job["leases"]) or None,
    }
    if lease is not None:
        shown |= {
            "lease": lease["lease"],
            "provider": lease["terms"]["provider"],
            "price": format_rate(int(lease["terms"]["rate"]), decimals),
            "metered": f"{milliseconds(lease) / 1000:.3f} s",
            "escrow": format_amount(int(lease["escrow"] or 0), decimals),
            "paid": format_amount(paid(job), decimals),
            "refunded": None
            if lease["refunded"] is None
            else format_amount(int(lease["refunded"]), decimals),
        }
    return shown | _replicas(job.get("replicas"))


def _replicas(replicas: dict[str, Any] | None) -> dict[str, object]:
    """How many results agreed, and what the jury says of each provider."""
    if not replicas:
        return {}
    wanted = f"{replicas['agree']} of {replicas['members']} must agree"
    shown: dict[str, object] = {"replicas": f"{replicas['agreed']} agree; {wanted}"}
    for one in replicas["results"]:
        shown[f"  {str(one['provider'])[:12]}"] = one["verdict"] or (
            "committed" if one["committed"] else "no result yet"
        )
    return shown | {"drawn by": replicas["seed"]}


def newest_lease(job: dict[str, Any]) -> dict[str, Any] | None:
    """The lease of the job's last attempt."""
    leases: list[dict[str, Any]] = job["leases"]
    return leases[-1] if leases else None


def paid(job: dict[str, Any]) -> int:
    """Base units that all of the job's leases paid."""
    return sum(int(lease["paid"] or 0) for lease in job["leases"])


def milliseconds(lease: dict[str, Any]) -> int:
    """What was settled, agreed to, or else reported, of a lease's running time; the first that is known."""
    agreed = lease.get("receipt") or lease.get("usage") or {}
    return int(lease["settled_milliseconds"] or agreed.get("milliseconds", 0))


def moment(seconds: int) -> str:
    """A point in time, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
