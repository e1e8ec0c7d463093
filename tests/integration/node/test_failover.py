"""Several processes of one node: the end of the one that writes, under load, loses and doubles nothing."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import count

import httpx
import pytest

from ledger.books.books import open_books
from ledger.books.compare import compare
from ledger.chain.audit import audit
from ledger.chain.documents import document_hash
from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import Domain, bid_id
from ledger.market.bid import SignedBid
from ledger.market.errors import LostRace, Unavailable
from ledger.market.events import LeaseClosed, LeaseOpened
from ledger.market.facts import BidAccepted, ChainObserved, JobReported, LeasePlanned, UsageReported
from ledger.market.identity import Address, BidId, text
from ledger.market.outbox import IntentState
from node.buying.bidding import Parties, bid_for
from node.buying.client import Identity, NodeClient, SignedOrder
from tests.books_url import TAKE_ITS_CONNECTION, database_of, tamper
from tests.factories import a_job
from tests.fakes.paper_agent import PaperAgent, fund
from tests.replicated_node import ReplicatedNode, replicated_node

pytestmark = pytest.mark.timeout(400)

PROVIDER, BUYER = (LocalKey(sha256(name).digest()) for name in (b"paper provider", b"paper buyer"))
BUYERS = 2
ENDS = 3
ORDERS = 12
"""how many are sent around each end of a writer"""
BEFORE = 4
"""how many of them are acknowledged when it ends; the others meet whatever they meet"""


class Load:
    """Submits one order after another through any process, each until it is acknowledged."""

    def __init__(self, domain: Domain, operator: Address, urls: Callable[[], Sequence[str]]) -> None:
        self._domain = domain
        self._operator = operator
        self._urls = urls
        self._nonces = count(1)
        self._lock = threading.Lock()
        self._wanted = threading.Semaphore(0)
        self._enough = False
        self.acknowledged: list[BidId] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(BUYERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def want(self, orders: int) -> None:
        """Let so many more be sent."""
        self._wanted.release(orders)

    def stop(self) -> None:
        """Return once every order that was wanted is acknowledged."""
        self._enough = True
        self._wanted.release(BUYERS)
        for thread in self._threads:
            thread.join(120)

    def _run(self) -> None:
        while self._wanted.acquire():
            with self._lock:
                nonce = next(self._nonces)
            if self._enough and nonce > ENDS * ORDERS:
                return
            self._order(nonce)

    def _order(self, nonce: int) -> None:
        document = a_job(max_seconds=60).to_plain()
        parties = Parties(buyer=BUYER.address, signer=self._operator, matcher=self._operator, epoch=0)
        bid = bid_for(a_job(max_seconds=60), document_hash(document), parties, nonce, int(time.time()), 120)
        name = bid_id(self._domain, bid)
        order = SignedOrder(document=document, attempts=(SignedBid(bid=bid, signature=BUYER.sign(name)),))
        identity = Identity(domain=self._domain, key=BUYER)
        for turn in count(nonce):
            urls = self._urls()
            with closing(NodeClient(urls[turn % len(urls)], time.time, secrets.randbits, identity)) as client:
                try:
                    client.submit([order], 120)
                except Unavailable:
                    time.sleep(0.1)
                    continue
                except LostRace as known:
                    if known.code != "replayed-bid":
                        raise
            with self._lock:
                self.acknowledged.append(name)
            return


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicatedNode]:
    with replicated_node(tmp_path_factory.mktemp("node"), "one", "two") as node:
        yield node


def test_a_replica_shows_what_it_can_read_and_hands_on_the_rest(node: ReplicatedNode) -> None:
    writer = node.await_writer()
    (replica,) = node.urls.keys() - {writer}
    shown = node.health(replica)
    assert (shown["role"], shown["writer"]) == ("replica", node.urls[writer])
    assert node.health(writer)["writer"] == node.urls[writer]
    for path in ("/v1/market", "/v1/jobs", "/v1/offers", "/v1/providers", "/v1/relay/0x00", "/v1/none"):
        ours, theirs = (httpx.get(f"{node.urls[name]}{path}", timeout=10) for name in (replica, writer))
        assert ours.status_code == theirs.status_code
        assert ours.json().keys() == theirs.json().keys()
    refused = httpx.post(f"{node.urls[replica]}/v1/bids", json={}, timeout=10)
    assert (refused.status_code, refused.json()["code"]) == (401, "unsigned-request")
    twice = httpx.get(f"{node.urls[replica]}/v1/offers", headers={"Bingwang-Forwarded": "1"}, timeout=10)
    assert (twice.status_code, twice.json()["code"]) == (503, "no-writer")
    assert twice.headers["Retry-After"] == "1"


def test_the_end_of_the_writer_under_load_loses_nothing_and_doubles_nothing(node: ReplicatedNode) -> None:
    with node.chain() as client:
        fund(client, PROVIDER, staked=10_000_000)
        fund(client, BUYER)
        agent = PaperAgent(client, PROVIDER, node.running_urls)
        load = Load(client.domain(), node.operator(), node.running_urls)
        agent.start()
        load.start()
        try:
            for number, end in enumerate((kill, cut_off, kill)):
                load.want(ORDERS)
                await_orders(node, load, number * ORDERS + BEFORE)
                end(node)
                await_orders(node, load, (number + 1) * ORDERS)
            load.stop()
            jobs = load.acknowledged
            node.until("all jobs are over", lambda: all_over(node, jobs))
        finally:
            agent.stop()
        assert agent.failures == []
        assert len(set(jobs)) == len(jobs) == ENDS * ORDERS
        for url in node.running_urls():
            shown = [one["job"] for one in httpx.get(f"{url}/v1/jobs", timeout=10).json()["jobs"]]
            assert sorted(shown) == sorted(text(job) for job in jobs)
        check_the_ledgers(node, jobs)


def await_orders(node: ReplicatedNode, load: Load, number: int) -> None:
    node.until("orders are accepted", lambda: len(load.acknowledged) >= number or None)


def kill(node: ReplicatedNode) -> None:
    """Take the process that writes away, and start it again as a replica."""
    writer = node.await_writer()
    node.kill(writer)
    node.await_writer()
    node.start(writer)


def cut_off(node: ReplicatedNode) -> None:
    """Take the writer's connection away: it steps down, and somebody is elected."""
    term = node.term()
    tamper(node.books_url, TAKE_ITS_CONNECTION.format(database=database_of(node.books_url)))

    def elected() -> bool | None:
        return node.term() > term or None

    node.until("somebody is elected", elected)
    node.await_writer()


def all_over(node: ReplicatedNode, jobs: Sequence[BidId]) -> bool | None:
    """Whether every job succeeded and is paid; a job that ended otherwise fails."""
    shown = httpx.get(f"{node.running_urls()[0]}/v1/jobs", timeout=30).json()["jobs"]
    assert {one["state"] for one in shown} <= {
        "resting", "opening", "starting", "running", "settling", "succeeded"
    }  # fmt: skip
    closed = [one for one in shown if {lease["state"] for lease in one["leases"]} == {"closed"}]
    return True if len(closed) == len(jobs) else None


def check_the_ledgers(node: ReplicatedNode, jobs: Sequence[BidId]) -> None:
    """Journal, outbox and chain, each by its own word."""
    node.until("the books have read the chain", lambda: caught_up(node))
    for name in list(node.urls):
        node.kill(name)
    with node.chain() as client:
        report = audit(client, 0)
        logged = [one.event for one in client.logs(0, client.block("latest").number)]
    opened = Counter(event.terms.bid for event in logged if isinstance(event, LeaseOpened))
    assert opened == dict.fromkeys(jobs, 1), "a job was opened twice, or not at all"
    assert len([event for event in logged if isinstance(event, LeaseClosed)]) == len(jobs)
    with open_books(node.books_url) as books:
        assert books.leads()
        assert report.findings == ()
        assert compare(books, report.state) == []
        facts = [fact for _, fact in books.queries.facts()]
        accepted = Counter(fact.job for fact in facts if isinstance(fact, BidAccepted))
        assert accepted == dict.fromkeys(jobs, 1)
        for kind in (ChainObserved, JobReported, LeasePlanned, UsageReported):
            told = [fact for fact in facts if isinstance(fact, kind)]
            assert len({repr(fact) for fact in told}) == len(told)
        assert books.queries.intents([IntentState.PENDING, IntentState.SENT, IntentState.FAILED]) == []


def caught_up(node: ReplicatedNode) -> bool | None:
    chain = node.health(node.await_writer())["parts"]["chain"]
    return True if chain["ok"] and chain["lag"] == 0 else None
