"""Whatever happens in whatever order, the exchange promises no core twice, no bid twice, no money twice, and
opens a gang whole or not at all."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.chain.keys import LocalKey
from ledger.chain.outcomes import Outcome
from ledger.market.errors import LostRace, MarketError, Rejected
from ledger.market.facts import JobPhase
from ledger.market.identity import Address, Digest, OfferId
from ledger.market.job import Gang
from ledger.market.lifecycle import JobState, LeaseState
from ledger.market.outbox import IntentState
from ledger.market.resource import Quantities
from node.trading.gathering import Ticket
from tests.books_url import fresh_books, grid_kind
from tests.factories import a_job
from tests.fakes.node_twin import BUYER, OTHER, NodeTwin

PROVIDERS = ("one", "two")
BUYERS = (BUYER, OTHER)
ESCROW = 834
GANGS = (None, Gang(members=2), Gang(members=2, distinct=True))
picks = st.integers(min_value=0, max_value=99)


class ExchangeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = ExitStack()
        folder = Path(self.place.enter_context(tempfile.TemporaryDirectory()))
        self.node = NodeTwin(folder, self.place.enter_context(fresh_books(grid_kind(), folder)))
        self.offers: dict[OfferId, str] = {}
        self.rewound = False

    @initialize(cores=st.integers(min_value=1, max_value=2))
    def begin(self, cores: int) -> None:
        for buyer in BUYERS:
            self.node.deposit(4 * ESCROW, buyer.address)
        for name in PROVIDERS:
            offer = self.node.lend(name, capacity=Quantities(cpu=1_000 * cores, memory=8_192, disk=8_192))
            self.offers[offer] = name
        self.node.seal()
        self.beat_all()

    @rule()
    def beat_all(self) -> None:
        for offer, name in self.offers.items():
            self.node.beat(offer, name=name)

    @rule()
    def open_all(self) -> None:
        """Everything planned is mined and observed at once."""
        self.node.mine()
        self.node.seal()

    @rule(pick=picks, draining=st.booleans())
    def beat(self, pick: int, draining: bool) -> None:
        offer, name = list(self.offers.items())[pick % len(self.offers)]
        self.node.beat(offer, name=name, draining=draining)

    @rule(
        pick=picks,
        wait=st.sampled_from((0, 60)),
        retry=st.integers(min_value=0, max_value=1),
        gangs=st.lists(st.sampled_from(GANGS), min_size=1, max_size=2, unique=True),
    )
    def submit(self, pick: int, wait: int, retry: int, gangs: list[Gang | None]) -> None:
        buyer = BUYERS[pick % 2]
        jobs = [a_job(retry=retry, gang=gang) for gang in gangs]
        with suppress(Rejected):
            self.node.exchange.submit(self.node.order_of(jobs, buyer), wait, self.node.now)
            self.promises_are_covered(buyer.address)

    def promises_are_covered(self, buyer: Address) -> None:
        """By what was followed of the chain, or, where that would not do, by the chain itself."""
        queries = self.node.books.queries
        balance = max(queries.balance(buyer), self.node.balance_of(buyer))
        assert queries.reserved(buyer) <= balance

    @rule(
        asked=st.lists(
            st.tuples(st.sampled_from(BUYERS), st.sampled_from((0, 60)), st.sampled_from(GANGS)),
            min_size=2,
            max_size=6,
        ),
        again=st.booleans(),
    )
    def submit_together(self, asked: list[tuple[LocalKey, int, Gang | None]], again: bool) -> None:
        """Orders that gathered are served in one epoch; who is put off comes in the next."""
        tickets = [
            Ticket(order=self.node.order(a_job(gang=gang), buyer), wait=wait, at=self.node.now)
            for buyer, wait, gang in asked
        ]
        if again:
            tickets.append(Ticket(order=tickets[0].order, wait=60, at=self.node.now))
        before = {job.job for job in self.node.books.queries.jobs()}
        waiting: Sequence[Ticket] = tickets
        while waiting:
            left = self.node.exchange.serve(waiting)
            assert len(left) < len(waiting)
            waiting = left
        accepted = [ticket.row.job for ticket in tickets if ticket.row is not None]
        assert all(ticket.answered for ticket in tickets)
        assert len(set(accepted)) == len(accepted)
        assert {job.job for job in self.node.books.queries.jobs()} == before | set(accepted)
        for ticket in tickets:
            if ticket.row is not None:
                assert self.node.job(ticket.row.job) == ticket.row
        for buyer in BUYERS:
            self.promises_are_covered(buyer.address)

    @rule(pick=picks, seconds=st.sampled_from((60, 1_200)))
    def go_on(self, pick: int, seconds: int) -> None:
        """The buyer of an open lease continues it, for less or for more time."""
        active = self.node.books.queries.leases(states=(LeaseState.ACTIVE,))
        if active:
            lease = active[pick % len(active)]
            buyer = next(one for one in BUYERS if one.address == lease.terms.buyer)
            order = self.node.order(a_job(max_seconds=seconds), buyer, continues=Digest(lease.id))
            with suppress(LostRace, Rejected):
                self.node.exchange.submit(order, 0, self.node.now)

    @rule()
    def mine(self) -> None:
        self.node.mine()

    @rule(detail=st.sampled_from(("CAPACITY", "FUNDS", "no-event", "BID_EPOCH")))
    def fail_oldest(self, detail: str) -> None:
        for wish in self.node.wishes()[:1]:
            if wish.key.startswith("open:"):
                failed = Outcome(intent=wish.id, state=IntentState.FAILED, detail=detail)
                self.node.settle(wish, failed)
                self.node.sending.step(self.node.now)

    @rule()
    def seal(self) -> None:
        self.node.seal()

    @rule(pick=picks, phase=st.sampled_from(JobPhase))
    def say(self, pick: int, phase: JobPhase) -> None:
        active = self.node.books.queries.leases(states=(LeaseState.ACTIVE,))
        if active:
            self.node.say(active[pick % len(active)].id, phase)

    @rule(pick=picks, last=st.booleans())
    def report(self, pick: int, last: bool) -> None:
        active = self.node.books.queries.leases(states=(LeaseState.ACTIVE,))
        if active:
            with suppress(LostRace, Rejected):
                self.node.settlement.report(
                    self.node.used(active[pick % len(active)].id, 100 * pick, last=last)
                )

    @rule(pick=picks)
    def release(self, pick: int) -> None:
        leases = list(self.node.model.state.leases.values())
        if leases:
            terms = leases[pick % len(leases)].terms
            self.node.pending += self.node.model.release(terms.provider, terms)

    @rule(pick=picks)
    def give_up(self, pick: int) -> None:
        active = self.node.books.queries.leases(states=(LeaseState.ACTIVE,))
        if active:
            self.node.settlement.give_up(active[pick % len(active)].id, self.node.now)
            self.node.exchange.clear_round(self.node.now)

    @rule(pick=picks)
    def withdraw_money(self, pick: int) -> None:
        with suppress(MarketError):
            account = BUYERS[pick % 2].address
            self.node.pending += self.node.model.withdraw(account, ESCROW)

    @rule(pick=picks)
    def withdraw_order(self, pick: int) -> None:
        resting = self.node.books.queries.resting()
        if resting:
            self.node.exchange.withdraw(resting[pick % len(resting)].job, self.node.now)

    @rule(seconds=st.sampled_from((1, 5, 61, -5)))
    def wait(self, seconds: int) -> None:
        self.node.now += seconds
        self.node.sweep()

    @precondition(lambda self: len(self.node.blocks) > 1)
    @rule()
    def rewind(self) -> None:
        self.node.rewind(1)
        self.rewound = True

    @rule()
    def restart(self) -> None:
        self.node.restart()

    @precondition(lambda self: self.offers)
    @invariant()
    def the_book_holds_what_the_books_hold_and_never_too_much(self) -> None:
        held: dict[OfferId, Quantities] = {}
        twice: set[OfferId] = set()
        for lease in self.node.books.queries.leases(states=(LeaseState.PLANNED, LeaseState.ACTIVE)):
            terms = lease.terms
            held[terms.offer] = held.get(terms.offer, Quantities()).plus(terms.want)
            if lease.continues is not None and lease.state is LeaseState.PLANNED:
                twice.add(terms.offer)
        for row in self.node.books.queries.offers():
            used = held.get(row.id, Quantities())
            # A lease that a reorganisation reopened may meet one that took its place: the contract skips it.
            # A planned continuation counts beside the lease whose place it takes, until that one closes.
            assert self.rewound or row.id in twice or used.within(row.offer.capacity)
            assert self.node.exchange.book.used(row.id) == used

    @invariant()
    def a_bid_opens_once_with_all_its_members(self) -> None:
        alive = [
            lease
            for lease in self.node.books.queries.leases()
            if lease.state is not LeaseState.SKIPPED and lease.signed is not None
        ]
        counts = Counter(lease.terms.bid for lease in alive)
        for lease in alive:
            assert lease.signed is not None
            assert counts[lease.terms.bid] == lease.signed.bid.members
            assert (
                sum(
                    lease.terms.member == one.terms.member
                    for one in alive
                    if one.terms.bid == lease.terms.bid
                )
                == 1
            )

    @invariant()
    def a_nonce_opens_in_one_way(self) -> None:
        for job in self.node.books.queries.jobs():
            ways = {
                (lease.attempt, lease.terms.bid)
                for lease in self.node.books.queries.leases(job=job.job)
                if lease.state is not LeaseState.SKIPPED and lease.continues is None
            }
            assert len({attempt for attempt, _ in ways}) == len(ways)

    @invariant()
    def what_waits_in_the_book_rests(self) -> None:
        for order in self.node.exchange.book.bids():
            row = self.node.job(order.job)
            assert row.state is JobState.RESTING
            assert order.id in {way.attempt_ids[row.next_attempt] for way in row.ways}
            assert order.exclude == row.excluded

    @invariant()
    def a_provider_that_lost_or_refused_a_job_gets_it_no_more(self) -> None:
        for job in self.node.books.queries.jobs():
            leases = [self.node.lease(lease) for lease in job.leases]
            alone = [
                one
                for one in leases
                if one.signed is not None and one.signed.bid.members == 1 and one.continues is None
            ]
            providers = [one.terms.provider for one in alone if one.state is not LeaseState.SKIPPED]
            assert len(set(providers)) == len(providers)

    def teardown(self) -> None:
        self.node.close()
        self.place.close()


TestExchangeMachine = ExchangeMachine.TestCase
TestExchangeMachine.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
