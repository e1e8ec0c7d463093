"""A job's bill: one entry a lease, totals over all attempts; amounts as base units and as tokens."""

from typing import TYPE_CHECKING, Any

from node.cli.reading.amounts import format_amount, format_rate
from node.cli.views.job_view import milliseconds
from node.cli.views.output import Render, pairs, table

if TYPE_CHECKING:
    from rich.console import Console


def receipt_plain(job: dict[str, Any], decimals: int) -> dict[str, Any]:
    """The bill of a job as the node shows it."""
    leases = [_entry(lease, decimals) for lease in job["leases"]]
    paid = sum(int(one["paid"]) for one in leases)
    refunded = sum(int(one["refunded"]) for one in leases)
    fee = sum(int(one["fee"]) for one in leases)
    return {
        "job": job["job"],
        "state": job["state"],
        "exit_code": job["exit_code"],
        "milliseconds": sum(one["milliseconds"] for one in leases),
        "paid": str(paid),
        "fee": str(fee),
        "refunded": str(refunded),
        "paid_tokens": format_amount(paid, decimals),
        "refunded_tokens": format_amount(refunded, decimals),
        "decimals": decimals,
        "leases": leases,
        "outputs": job["outputs"],
    }


def _entry(lease: dict[str, Any], decimals: int) -> dict[str, Any]:
    rate = int(lease["terms"]["rate"])
    return {
        "lease": lease["lease"],
        "provider": lease["terms"]["provider"],
        "signer": lease["terms"]["signer"],
        "rate": str(rate),
        "price": format_rate(rate, decimals),
        "state": lease["state"],
        "because": lease.get("because"),
        "milliseconds": milliseconds(lease),
        "escrow": str(lease["escrow"] or 0),
        "paid": str(lease["paid"] or 0),
        "fee": str(lease.get("fee") or 0),
        "refunded": str(lease["refunded"] or 0),
        "transactions": lease["transactions"],
    }


def render(plain: dict[str, Any]) -> Render:
    """Totals, then leases with their transactions, then files."""
    decimals = plain["decimals"]
    totals = {
        "job": plain["job"],
        "state": plain["state"],
        "exit code": plain["exit_code"],
        "metered": f"{plain['milliseconds'] / 1000:.3f} s",
        "paid": plain["paid_tokens"],
        "refunded": plain["refunded_tokens"],
    }

    def show(out: "Console") -> None:
        pairs(totals)(out)
        for one in plain["leases"]:
            pairs(_lease_figures(one, decimals))(out)
        if plain["outputs"]:
            rows = [(one.get("file", one["path"]), one["size"], one["sha256"]) for one in plain["outputs"]]
            table("Outputs", ("file", "bytes", "sha256"), rows)(out)

    return show


def _lease_figures(lease: dict[str, Any], decimals: int) -> dict[str, object]:
    sent = lease["transactions"]
    settled = sent.get("settled") or []
    return {
        "lease": lease["lease"],
        "  provider": lease["provider"],
        "  price": lease["price"],
        "  escrow": format_amount(int(lease["escrow"]), decimals),
        "  paid": format_amount(int(lease["paid"]), decimals),
        "  of it the matcher's fee": format_amount(int(lease["fee"]), decimals),
        "  refunded": format_amount(int(lease["refunded"]), decimals),
        "  closed because": lease["because"],
        "  opened in": sent.get("opened"),
        "  terminated in": sent.get("terminated"),
        "  settled in": ", ".join(map(str, settled)),
        "  closed in": sent.get("closed"),
    }
