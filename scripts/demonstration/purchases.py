"""The demo's four purchases, made with the same `Buyer` that the command line uses."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

from ledger.chain.client import MarketClient
from ledger.market.errors import Rejected
from ledger.market.identity import text
from node.buying.buyer import Buyer, PreparedJob, SubmittedJob
from node.buying.client import Plain
from node.buying.following import wait_settled
from node.cli.reading.job_file import parse_job_file
from scripts.demonstration.failures import WentWrong
from scripts.demonstration.record import Record
from scripts.demonstration.screen import Screen, short

JOBS = Path(__file__).parent / "jobs"
SETTLE_SECONDS = 30.0
CANCEL_AFTER_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One buyer, its screen and its record; `names` tells providers by account."""

    buyer: Buyer
    chain: MarketClient
    screen: Screen
    record: Record
    names: Mapping[str, str]
    folder: Path

    def digits(self, nonce: str) -> None:
        """The main job, at the cheaper of two eligible providers."""
        screen = self.screen
        screen.title("Job 1: train and evaluate a classifier of handwritten digits")
        prepared = self._prepare("digits", nonce)
        self._show_estimate(prepared)
        submitted = self._submit(prepared)
        self._follow(submitted, "harbour")
        job = self._settled(submitted)
        outputs = self.buyer.fetch_outputs(submitted.job, self.folder / "outputs")
        self._show_settlement(self.record.add("digits", job, outputs))
        for file, path in outputs:
            screen.say(f"output {file.path}: {file.size} bytes, sha256 checked")
            screen.detail(str(path))
        self._show_metrics(self.folder / "outputs", nonce)

    def elsewhere(self) -> None:
        """A constraint that only the dearer provider meets."""
        self.screen.title("Job 2: only for the domain summit-campus/*")
        prepared = self._prepare("elsewhere", "")
        self._show_estimate(prepared)
        submitted = self._submit(prepared)
        self._follow(submitted, "summit")
        self._show_settlement(self.record.add("elsewhere", self._settled(submitted), []))

    def too_cheap(self) -> None:
        """An impossible limit: refused with reason and price, before any money moves."""
        screen = self.screen
        screen.title("Job 3: an impossible limit price")
        prepared = self._prepare("too-cheap", "")
        before = self.record.balances()
        try:
            self._submit(prepared)
        except Rejected as refusal:
            rate = refusal.facts.get("would_match_at")
            if rate is None:
                raise WentWrong(f"The refusal names no price: {refusal}") from refusal
            screen.say(f"[red]refused[/red] ({refusal.code}): {escape(refusal.cause)}")
            screen.say(f"it would match now at [bold]{screen.price(int(str(rate)))}[/bold]")
            if self.record.balances() != before:
                raise WentWrong("Money moved although the bid was refused.") from refusal
            screen.say("no balance changed, no transaction was sent")
            self.record.add_refused(
                "too-cheap",
                {"code": refusal.code, "cause": refusal.cause, "would_match_at": rate},
            )
            return
        raise WentWrong("The bid with the impossible limit was accepted.")

    def cancelled(self) -> None:
        """A job that its buyer ends while it runs: it pays for its time alone."""
        screen = self.screen
        screen.title("Job 4: cancelled while it runs")
        submitted = self._submit(self._prepare("endless", ""))
        self._await_state(submitted, "running")
        until = time.monotonic() + CANCEL_AFTER_SECONDS
        for piece in self.buyer.logs(submitted.job, follow=True):
            screen.log(piece.data)
            if time.monotonic() > until:
                break
        (transaction,) = self.buyer.cancel(submitted.job).transactions
        screen.say(f"the buyer terminates the lease: transaction {short('0x' + transaction.hex())}")
        job = self._settled(submitted)
        entry = self.record.add("endless", job, [])
        self._show_settlement(entry)
        if int(entry["paid"]) * 20 > int(entry["escrow"]):
            raise WentWrong("The cancelled job paid for more than its time.")

    def _prepare(self, name: str, nonce: str) -> PreparedJob:
        source = (JOBS / f"{name}.yaml").read_text()
        draft = parse_job_file(source, self.screen.decimals, f"{name}.yaml")
        if nonce:
            draft = draft.with_envs((f"NONCE={nonce}",))
        return self.buyer.prepare(draft, self.folder / "inputs")

    def _show_estimate(self, prepared: PreparedJob) -> None:
        screen = self.screen
        found = self.buyer.estimate(prepared.job)
        for quote in found["eligible"]:
            screen.say(
                f"eligible: [bold]{self._name(quote['provider'])}[/bold] ({quote['domain']}) "
                f"at {screen.price(int(quote['rate']))}, escrow {screen.amount(int(quote['escrow']))}"
            )
        for other in found["excluded"]:
            screen.say(f"excluded: {self._name(other['provider'])}, {escape('; '.join(other['detail']))}")

    def _submit(self, prepared: PreparedJob) -> SubmittedJob:
        with self.screen.progress("uploading files", len(prepared.blobs) or 1) as bar:
            submitted = self.buyer.submit(prepared)
            bar.done("uploaded")
        lease = submitted.answer["leases"][-1]["terms"]
        self.screen.say(
            f"bid {short('0x' + submitted.job.hex())} accepted and matched: the cheapest eligible offer is "
            f"[bold]{self._name(lease['provider'])}[/bold]'s, {self.screen.price(int(lease['rate']))}"
        )
        return submitted

    def _follow(self, submitted: SubmittedJob, expected: str) -> None:
        job = self._await_state(submitted, "running", "succeeded")
        lease = job["leases"][-1]
        provider = self._name(lease["terms"]["provider"])
        if provider != expected:
            raise WentWrong(f"{provider} got the job that {expected} should have.")
        opened = lease["transactions"]["opened"]
        self.screen.say(
            f"lease {short(lease['lease'])} opened by transaction {short(opened)}, "
            f"escrow {self.screen.amount(int(lease['escrow']))}; container started"
        )
        for piece in self.buyer.logs(submitted.job, follow=True):
            self.screen.log(piece.data)
        ended = self.buyer.wait(submitted.job, SETTLE_SECONDS)
        if ended["state"] != "succeeded":
            raise WentWrong(f"The job is {ended['state']}: {ended['cause']}")

    def _await_state(self, submitted: SubmittedJob, *states: str) -> Plain:
        until = time.monotonic() + SETTLE_SECONDS
        job = self.buyer.status(submitted.job)
        while job["state"] not in states:
            if time.monotonic() > until or job["state"] in ("failed", "refused", "lost", "lapsed"):
                raise WentWrong(f"The job is {job['state']}: {job['cause']}")
            time.sleep(0.1)
            job = self.buyer.status(submitted.job)
        return job

    def _settled(self, submitted: SubmittedJob) -> Plain:
        job = wait_settled(self.buyer, submitted.job)
        if job["leases"][-1]["state"] != "closed":
            raise WentWrong("The lease was not settled in time.")
        return job

    def _show_settlement(self, entry: Mapping[str, Any]) -> None:
        screen = self.screen
        usage = entry["usage"]
        screen.say(
            f"metered {entry['milliseconds']} ms (CPU {usage['cpu_ns'] / 1e9:.2f} s, "
            f"peak memory {usage['peak_bytes'] / 2**20:.0f} MiB); receipt signed by {self._signer(entry)}"
        )
        screen.say(
            f"settled: [green]paid {screen.amount(int(entry['paid']))}[/green], "
            f"refunded {screen.amount(int(entry['refunded']))}; the node's fee of what was paid is "
            f"{screen.amount(int(entry['fee']))}"
        )
        for one in entry["transactions"]:
            names = ", ".join(one["events"])
            screen.detail(f"{one['hash']}  block {one['block']}  gas {one['gas_used']}  {names}")

    def _signer(self, entry: Mapping[str, Any]) -> str:
        return "the node" if entry["signer"] == text(self.record.profile.node) else str(entry["signer"])

    def _show_metrics(self, outputs: Path, nonce: str) -> None:
        metrics = json.loads((outputs / "metrics.json").read_text())
        self.screen.say(
            f"[bold]accuracy {metrics['accuracy']:.2%}[/bold] on {metrics['tested']} unseen digits"
            + (f", nonce {escape(metrics['nonce'])}" if nonce else "")
        )
        if metrics["nonce"] != nonce:
            raise WentWrong("The nonce did not come back in the job's output.")
        rows = (outputs / "confusion.csv").read_text().splitlines()
        self.screen.console.print("           confusion matrix (rows: digit, columns: predicted)")
        for digit, row in enumerate(rows):
            cells = " ".join(f"{cell:>3}" for cell in row.split(","))
            self.screen.console.print(f"           {digit} │ {cells}")

    def _name(self, account: str) -> str:
        return self.names.get(account, account)
