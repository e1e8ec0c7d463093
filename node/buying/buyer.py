"""What a buyer does with a node, without a terminal: the command line, the demo and tests share it.

The order of a submit keeps money safe: files first, then the signature, then the bid; a submit that is
cut off anywhere has locked nothing, and its nonces are never used for another job.
"""

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.chain.calls import market_call
from ledger.chain.client import MarketClient
from ledger.chain.documents import document_hash
from ledger.chain.keys import Signer
from ledger.chain.typed_data import Domain, bid_id, bid_message
from ledger.chain.wallet import Patience, send_and_wait
from ledger.market.bid import Bid, SignedBid
from ledger.market.errors import LostRace, Rejected, Unavailable
from ledger.market.facts import OutputFile
from ledger.market.identity import NO_DIGEST, Address, BidId, LeaseId, from_text, text
from ledger.market.instructions import TerminateLease
from ledger.market.job import InputFile, Job
from ledger.market.lease import LeaseTerms
from ledger.market.lifecycle import JobState
from ledger.market.receipt import SignedReceipt
from ledger.market.wire import bid_to_plain
from node.buying.bidding import Parties, bid_for
from node.buying.client import NodeClient, Plain, SignedOrder
from node.buying.draft import BUYER_SIGNS, NODE_SIGNS, JobDraft
from node.buying.images import SaveImage, no_engine, resolve
from node.buying.nonces import NonceCounter
from node.buying.profile import Profile
from node.buying.progress import Progress, no_progress
from node.buying.shown import shown_terms
from node.buying.transfers import LocalBlob, download, read_blob, upload

FINAL_STATES = tuple(state.value for state in JobState if state.final)
POLL_SECONDS = 0.3
_CANCEL_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedJob:
    """A job whose files are known by their hashes, in each of its forms (the most wanted first), and the
    files that the node may not have yet."""

    forms: tuple[Job, ...]
    blobs: tuple[LocalBlob, ...] = ()

    @property
    def job(self) -> Job:
        """The most wanted form."""
        return self.forms[0]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """How a job was ended, and the wallet's transactions that did it."""

    how: str
    transactions: tuple[bytes, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """One wallet at one node. `clock` gives seconds since 1970; `behalf` is the account whose money is
    spent where the wallet is only that account's delegate."""

    profile: Profile
    key: Signer
    node: NodeClient
    chain: MarketClient
    nonces: NonceCounter
    clock: Callable[[], float]
    save_image: SaveImage = no_engine
    sleep: Callable[[float], None] = time.sleep
    behalf: Address | None = None

    @property
    def account(self) -> Address:
        """Who pays."""
        return self.behalf or self.key.address

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
        forms = tuple(form.job(image, named + draft.stored_inputs) for form in draft.forms)
        return PreparedJob(forms=forms, blobs=(*archive, *local))

    def _checked_chain(self) -> MarketClient:
        self.chain.check_chain(self.profile.chain_id)
        return self.chain

    def signer_of(self, choice: str) -> Address:
        """The account that co-signs usage: the node's, the buyer's own, or a named one."""
        if choice == NODE_SIGNS:
            return self.profile.node
        return self.key.address if choice == BUYER_SIGNS else Address(from_text(choice, 20))

    def parties(self, signer: str) -> Parties:
        """Who stands behind this buyer's bids."""
        return Parties(
            buyer=self.account,
            signer=self.signer_of(signer),
            matcher=self.profile.node,
            epoch=self._checked_chain().epoch_of(self.account),
        )

    def bids(self, job: Job, parties: Parties, nonces: Sequence[int], wait: int) -> tuple[Bid, ...]:
        """One unsigned bid a nonce."""
        document, at = document_hash(job.to_plain()), int(self.clock())
        return tuple(bid_for(job, document, parties, nonce, at, wait) for nonce in nonces)

    def _signed(self, bid: Bid) -> SignedBid:
        return SignedBid(bid=bid, signature=self.key.sign_typed(bid_message(self.domain, bid)))

    def estimate(self, job: Job, signer: str = NODE_SIGNS, wait: int = 0) -> Plain:
        """What the node would do with the job now; nothing is signed, no nonce is taken."""
        (bid,) = self.bids(job, self.parties(signer), [self.nonces.peek()], wait)
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
        return self.post(prepared.forms, self.parties(signer), wait)

    def post(
        self, forms: Sequence[Job], parties: Parties, wait: int, receipt: SignedReceipt | None = None
    ) -> SubmittedJob:
        """Sign each form of a job, with the same nonces, and post the order, with the last receipt of the
        lease that it continues where that is the buyer's to sign.

        Of bids with one nonce the contract opens one, so only one of the forms can ever run.
        """
        nonces = self.nonces.take(1 + forms[0].retry)
        orders = [
            SignedOrder(
                document=job.to_plain(),
                attempts=tuple(self._signed(bid) for bid in self.bids(job, parties, nonces, wait)),
            )
            for job in forms
        ]
        answer = self.node.submit(orders, wait, receipt)
        ids = tuple(bid_id(self.domain, signed.bid) for order in orders for signed in order.attempts)
        # A bid that continues a lease belongs to the job of that lease, which the node knows.
        followed = parties.continues != NO_DIGEST
        job = BidId(from_text(str(answer["job"]), 32)) if followed else ids[0]
        return SubmittedJob(job=job, attempts=ids, signer=parties.signer, answer=answer)

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

    def cancel(self, job: BidId) -> Cancelled:
        """End the job: a resting bid leaves the book; open leases, all of a gang's, are terminated on chain
        by the wallet's own transactions. For a wallet without coin the node ends it, where it is the signer.

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
                return Cancelled(how="withdrawn")
            if standing := self._standing(answer):
                return self._end(job, standing)
            self.sleep(POLL_SECONDS)
        raise Unavailable("match-under-way", "The job's match is on its way to the chain.", "Try again.")

    def _standing(self, answer: Plain) -> list[LeaseId]:
        """The job's leases that the chain shows open and not terminated."""
        named = [
            LeaseId(from_text(str(lease["lease"]), 32))
            for lease in answer["leases"]
            if lease["state"] != "closed"
        ]
        chain = self._checked_chain()
        found = [(lease, chain.lease_of(lease)) for lease in named]
        return [lease for lease, held in found if held is not None and held.ended_after is None]

    def _withdrawn(self, job: BidId) -> bool:
        try:
            self.node.withdraw_bid(text(job))
        except LostRace:
            return False
        return True

    def _end(self, job: BidId, leases: Sequence[LeaseId]) -> Cancelled:
        if self.chain.coin_balance(self.key.address) == 0:
            self.node.end_job(text(job))
            return Cancelled(how="ended by the node")
        return Cancelled(how="terminated", transactions=tuple(self._terminate(lease) for lease in leases))

    def _terminate(self, lease: LeaseId) -> bytes:
        terms = self.terms_of(lease)
        call = market_call(self.profile.market, [TerminateLease(lease=lease, terms=terms)])
        patience = Patience(clock=self.clock, sleep=self.sleep)
        return send_and_wait(self.chain, self.key, call, patience).transaction

    def terms_of(self, lease: LeaseId) -> LeaseTerms:
        """The lease's terms from the node, checked against the id that is their hash."""
        return shown_terms(self.node.lease(text(lease)), lease, self.domain)

    def fetch_outputs(
        self, job: BidId, folder: Path, progress: Progress = no_progress
    ) -> list[tuple[OutputFile, Path]]:
        """Every output below `folder`, checked against its sha256; those of a gang's members in a folder
        each, `member-0` and so on."""
        answer = self.status(job)
        named = [(folder, item) for item in answer["outputs"]]
        if len(answer["members"]) > 1 and not answer["replicas"]:
            named = [
                (folder / f"member-{lease['terms']['member']}", item)
                for lease in answer["members"]
                for item in lease["outputs"]
            ]
        return [self._fetched(item, below, progress) for below, item in named]

    def _fetched(self, item: Plain, below: Path, progress: Progress) -> tuple[OutputFile, Path]:
        output = OutputFile(path=str(item["path"]), sha256=str(item["sha256"]), size=int(item["size"]))
        return output, download(self.node, output, below, progress)
