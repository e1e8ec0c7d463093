"""What a buyer does with a node, without a terminal: the command line, the demo and tests share it.

The order of a submit keeps money safe: files first, then the signature, then the bid; a submit that is
cut off anywhere has locked nothing, and its nonces are never used for another job.
"""

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.chain.calls import market_call
from ledger.chain.client import MarketClient
from ledger.chain.documents import document_hash
from ledger.chain.keys import Signer
from ledger.chain.typed_data import Domain, bid_id, lease_id
from ledger.chain.wallet import Patience, send_and_wait
from ledger.market.bid import Bid, SignedBid
from ledger.market.errors import Broken, LostRace, Rejected, Unavailable
from ledger.market.facts import OutputFile
from ledger.market.identity import Address, BidId, LeaseId, from_text, text
from ledger.market.instructions import TerminateLease
from ledger.market.job import InputFile, Job
from ledger.market.lease import LeaseTerms
from ledger.market.lifecycle import JobState
from ledger.market.wire import bid_to_plain, signed_bid_to_plain, terms_from_plain
from node.buying.bidding import Parties, bid_for
from node.buying.client import NodeClient, Plain
from node.buying.draft import BUYER_SIGNS, NODE_SIGNS, JobDraft
from node.buying.images import SaveImage, no_engine, resolve
from node.buying.nonces import NonceCounter
from node.buying.profile import Profile
from node.buying.progress import Progress, no_progress
from node.buying.transfers import LocalBlob, download, read_blob, upload

FINAL_STATES = tuple(state.value for state in JobState if state.final)
POLL_SECONDS = 0.3
_CANCEL_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedJob:
    """A job whose files are known by their hashes, and the files that the node may not have yet."""

    job: Job
    blobs: tuple[LocalBlob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedJob:
    """An accepted job: `answer` is the node's; `attempts` are all ids it may run under."""

    job: BidId
    attempts: tuple[BidId, ...]
    signer: Address
    answer: Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPiece:
    """Bytes of the job's log, and the offset behind them."""

    data: bytes
    next_offset: int


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """One wallet at one node. `clock` gives seconds since 1970."""

    profile: Profile
    key: Signer
    node: NodeClient
    chain: MarketClient
    nonces: NonceCounter
    clock: Callable[[], float]
    save_image: SaveImage = no_engine
    sleep: Callable[[float], None] = time.sleep

    @property
    def domain(self) -> Domain:
        return Domain(chain_id=self.profile.chain_id, market=self.profile.market)

    def prepare(self, draft: JobDraft, folder: Path, progress: Progress = no_progress) -> PreparedJob:
        """Read and hash the draft's files; relative paths start at `folder`."""
        image, archive = resolve(draft.image, folder, self.save_image, progress)
        local = [read_blob(folder / item.source, progress) for item in draft.local_inputs]
        named = tuple(
            InputFile(path=item.path, sha256=blob.sha256, size=blob.size)
            for item, blob in zip(draft.local_inputs, local, strict=True)
        )
        job = draft.job(image, named + draft.stored_inputs)
        return PreparedJob(job=job, blobs=(*archive, *local))

    def _checked_chain(self) -> MarketClient:
        self.chain.check_chain(self.profile.chain_id)
        return self.chain

    def signer_of(self, choice: str) -> Address:
        """The account that co-signs usage: the node's, the buyer's own, or a named one."""
        if choice == NODE_SIGNS:
            return self.profile.node
        return self.key.address if choice == BUYER_SIGNS else Address(from_text(choice, 20))

    def bids(self, job: Job, signer: str, nonces: range, wait: int) -> tuple[Bid, ...]:
        """One unsigned bid a nonce."""
        parties = Parties(
            buyer=self.key.address,
            signer=self.signer_of(signer),
            matcher=self.profile.node,
            epoch=self._checked_chain().epoch_of(self.key.address),
        )
        document, at = document_hash(job.to_plain()), int(self.clock())
        return tuple(bid_for(job, document, parties, nonce, at, wait) for nonce in nonces)

    def estimate(self, job: Job, signer: str = NODE_SIGNS, wait: int = 0) -> Plain:
        """What the node would do with the job now; nothing is signed, no nonce is taken."""
        unused = int(self.clock() * 1000)
        (bid,) = self.bids(job, signer, range(unused, unused + 1), wait)
        return self.node.estimate(bid_to_plain(bid), job.to_plain())

    def submit(
        self,
        prepared: PreparedJob,
        *,
        signer: str = NODE_SIGNS,
        wait: int = 0,
        progress: Progress = no_progress,
    ) -> SubmittedJob:
        """Upload what is missing, sign one bid for each attempt, and post them.

        `Rejected` with the node's reason where nothing matches and the bid may not wait.
        """
        for blob in prepared.blobs:
            upload(self.node, blob, progress)
        job = prepared.job
        bids = self.bids(job, signer, self.nonces.take(1 + job.retry), wait)
        ids = tuple(bid_id(self.domain, bid) for bid in bids)
        attempts: list[Plain] = [
            signed_bid_to_plain(SignedBid(bid=bid, signature=self.key.sign(digest)))
            for bid, digest in zip(bids, ids, strict=True)
        ]
        answer = self.node.submit(job.to_plain(), attempts, wait)
        return SubmittedJob(job=ids[0], attempts=ids, signer=bids[0].signer, answer=answer)

    def status(self, job: BidId) -> Plain:
        return self.node.job(text(job))

    def wait(self, job: BidId, timeout: float | None = None) -> Plain:
        """Look until the job is final, or `timeout` seconds have passed; the last answer."""
        until = None if timeout is None else self.clock() + timeout
        while True:
            answer = self.status(job)
            if answer["state"] in FINAL_STATES or (until is not None and self.clock() >= until):
                return answer
            self.sleep(POLL_SECONDS)

    def logs(self, job: BidId, *, follow: bool = False, offset: int = 0) -> Iterator[LogPiece]:
        """The job's log in pieces; with `follow` until the job is final."""
        for event in self.node.logs(text(job), offset, follow=follow):
            if event.name == "end":
                return
            data = base64.b64decode(event.data["data"])
            yield LogPiece(data=data, next_offset=int(event.data["offset"]))

    def cancel(self, job: BidId) -> bytes | None:
        """End the job: a resting bid leaves the book (None), an open lease is terminated on chain by the
        buyer's own transaction (its hash).

        `Rejected` "job-is-final" where it ended already; `Unavailable` while a match is on its way.
        """
        until = self.clock() + _CANCEL_SECONDS
        while self.clock() < until:
            answer = self.status(job)
            if answer["state"] in FINAL_STATES:
                raise Rejected(
                    "job-is-final", f"The job is {answer['state']} already.", "There is nothing to cancel."
                )
            if answer["state"] == "resting" and self._withdrawn(job):
                return None
            if answer["lease"]:
                lease = LeaseId(from_text(str(answer["lease"]), 32))
                if self._checked_chain().lease_of(lease) is not None:
                    return self._terminate(lease)
            self.sleep(POLL_SECONDS)
        raise Unavailable("match-under-way", "The job's match is on its way to the chain.", "Try again.")

    def _withdrawn(self, job: BidId) -> bool:
        try:
            self.node.withdraw_bid(text(job))
        except LostRace:
            return False
        return True

    def _terminate(self, lease: LeaseId) -> bytes:
        terms = self.terms_of(lease)
        call = market_call(self.profile.market, [TerminateLease(lease=lease, terms=terms)])
        patience = Patience(clock=self.clock, sleep=self.sleep)
        return send_and_wait(self.chain, self.key, call, patience).transaction

    def terms_of(self, lease: LeaseId) -> LeaseTerms:
        """The lease's terms from the node, checked against the id that is their hash."""
        terms = terms_from_plain(self.node.lease(text(lease))["terms"])
        if lease_id(self.domain, terms) != lease:
            raise Broken("terms-mismatch", "The node shows other terms than the lease's.", "Leave it.")
        return terms

    def fetch_outputs(
        self, job: BidId, folder: Path, progress: Progress = no_progress
    ) -> dict[OutputFile, Path]:
        """Every output below `folder`, checked against its sha256."""
        outputs = [
            OutputFile(path=str(item["path"]), sha256=str(item["sha256"]), size=int(item["size"]))
            for item in self.status(job)["outputs"]
        ]
        return {output: download(self.node, output, folder, progress) for output in outputs}
