"""One purchase as a conversation: what it would cost, who would run it, what is signed, how it ends."""

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.market.errors import MarketError, Rejected
from ledger.market.identity import BidId, text
from ledger.market.money import escrow_for
from ledger.market.receipt import SignedReceipt
from node.buying.buyer import PreparedJob, SubmittedJob
from node.buying.client import Plain
from node.buying.cosigner import Cosigner
from node.buying.draft import BUYER_SIGNS, JobDraft
from node.buying.following import Observer, follow, wait_settled
from node.cli.failures import DONE, JOB_FAILED
from node.cli.reading.amounts import format_amount, format_rate
from node.cli.reading.quantities import format_seconds
from node.cli.session import Session
from node.cli.views.estimates import explained, render_estimate
from node.cli.views.job_view import figures, newest_lease
from node.cli.views.output import Output, pairs, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How far a purchase goes and how it is shown."""

    dry_run: bool = False
    attach: bool = False
    wait: bool = False
    as_json: bool = False


def read_source(path: Path) -> str:
    """The job file's text; `Rejected` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise Rejected("file-not-found", f"There is no file {path}.", "Correct its path.") from exc
    except UnicodeDecodeError as exc:
        raise Rejected("malformed-yaml", f"{path} is not UTF-8 text.", "Save it as UTF-8.") from exc
    except OSError as exc:
        raise Rejected("file-unreadable", f"{path}: {exc.strerror}.", "Correct its rights.") from exc


def buy(session: Session, draft: JobDraft, folder: Path, choice: Choice) -> int:
    """Carry a draft as far as the choice says; the exit code."""
    output = Output(as_json=choice.as_json)
    signer = BUYER_SIGNS if choice.attach else draft.signer
    with output.progress() as progress:
        prepared = session.buyer.prepare(draft, folder, progress)
    if choice.dry_run:
        _show_estimate(session, prepared, signer, draft.wait, output)
        return DONE
    _explain_signer(session, prepared, signer, output)
    submitted = _submit(session, prepared, signer, draft.wait, output)
    result = _accompany(session, submitted, choice, output)
    decimals = session.profile.decimals
    output.result(submitted_plain(submitted, result, decimals), pairs(_shown(submitted, result, decimals)))
    return DONE if result is None or result["state"] == "succeeded" else JOB_FAILED


def _show_estimate(session: Session, prepared: PreparedJob, signer: str, wait: int, output: Output) -> None:
    job, decimals = prepared.job, session.profile.decimals
    answer = session.buyer.estimate(job, signer, wait)
    rate = int(answer["eligible"][0]["rate"]) if answer["eligible"] else None
    plain = answer | {
        "rate": None if rate is None else str(rate),
        "price": None if rate is None else format_rate(rate, decimals),
        "escrow": None if rate is None else str(escrow_for(rate, job.max_seconds)),
        "limit_rate": str(job.max_rate),
        "max_seconds": job.max_seconds,
    }
    output.result(plain, render_estimate(plain, decimals))


def _explain_signer(session: Session, prepared: PreparedJob, choice: str, output: Output) -> None:
    """Before anything is signed: who will hold the pen, and what that is worth at most."""
    job, profile = prepared.job, session.profile
    signer = session.buyer.signer_of(choice)
    if signer == session.key.address:
        output.note("Usage is agreed to by your own key: keep --attach or `bingwang watch` running.")
        return
    most = format_amount(escrow_for(job.max_rate, job.max_seconds), profile.decimals)
    who = "the node" if signer == profile.node else "another account"
    output.note(
        f"Usage will be agreed to by {who}, {text(signer)}. Together with the provider it could bill for the "
        f"time that the lease stands open, at most {most} for {format_seconds(job.max_seconds)}; "
        "`bingwang cancel` ends that at once, and --attach lets your own key agree instead."
    )


def _submit(session: Session, prepared: PreparedJob, signer: str, wait: int, output: Output) -> SubmittedJob:
    try:
        with output.progress() as progress:
            return session.buyer.submit(prepared, signer=signer, wait=wait, progress=progress)
    except Rejected as error:
        if error.code == "no-match":
            raise explained(error, session.profile.decimals, output) from error
        raise


def _accompany(session: Session, submitted: SubmittedJob, choice: Choice, output: Output) -> Plain | None:
    if choice.attach:
        return attach(session, submitted.job, output)
    return wait_settled(session.buyer, submitted.job) if choice.wait else None


def attach(session: Session, job: BidId, output: Output) -> Plain:
    """Follow a job live and agree to its usage where the wallet is its signer.

    The log goes to stdout (with --json to stderr), states and receipts to stderr.
    """
    screen = _Screen(output)
    observer = Observer(log=screen.log, state=screen.state, receipt=screen.receipt, problem=screen.problem)
    cosigner = Cosigner(
        domain=session.domain, key=session.key, node=session.node, chain=session.chain, clock=time.time
    )
    try:
        return follow(session.buyer, job, observer, cosigner)
    except KeyboardInterrupt:
        output.note(f"The job goes on; come back with `bingwang watch {text(job)[:12]}`.")
        raise


class _Screen:
    """Shows what two threads tell."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lock = threading.Lock()

    def log(self, data: bytes) -> None:
        stream = sys.stderr if self._output.as_json else sys.stdout
        with self._lock:
            stream.write(data.decode("utf-8", "replace"))
            stream.flush()

    def state(self, job: Plain) -> None:
        self._note(f"● {job['state']}" + (f": {job['cause']}" if job.get("cause") else ""))

    def receipt(self, signed: SignedReceipt) -> None:
        last = ", the last" if signed.receipt.last else ""
        self._note(f"✓ agreed to {signed.receipt.milliseconds} ms{last}")

    def problem(self, error: MarketError) -> None:
        self._note(f"! {error.cause} {error.remedy} [{error.code}]")

    def _note(self, words: str) -> None:
        from rich.text import Text

        from node.cli.views.output import console

        with self._lock:
            console(stderr=True).print(Text(printable(words), style="cyan"))


def submitted_plain(submitted: SubmittedJob, result: Plain | None, decimals: int) -> dict[str, Any]:
    """The document of an accepted job; `result` is its end where it was waited for."""
    lease = newest_lease(submitted.answer)
    rate = None if lease is None else int(lease["terms"]["rate"])
    return submitted.answer | {
        "attempt_ids": [text(one) for one in submitted.attempts],
        "signer": text(submitted.signer),
        "rate": None if rate is None else str(rate),
        "price": None if rate is None else format_rate(rate, decimals),
        "result": result,
    }


def _shown(submitted: SubmittedJob, result: Plain | None, decimals: int) -> dict[str, object]:
    if result is not None:
        return figures(result, decimals)
    name = text(submitted.job)[:12]
    return figures(submitted.answer, decimals) | {"next": f"bingwang logs -f {name}"}
