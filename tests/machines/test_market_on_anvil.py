"""The second EVM: what the state machine did on py-evm, done again on anvil, must come out the same to the
letter; and a fork that replays calls in other blocks gives the same ids (invariant 18)."""

from collections.abc import Iterator
from dataclasses import replace

import boa
import pytest

from ledger.market.errors import Rejected
from ledger.market.money import rate_of
from scripts.fuzzing.rounds import calls_of, play, replay
from tests.fakes.anvil_market import AnvilMarket, an_anvil_market, call_data, differences, verify
from tests.fakes.in_process_market import NOW, Order, a_bid, account, an_offer
from tests.fakes.market_twin import Claim, GangOrder, MarketTwin, a_funded_market
from tests.fakes.recording import Call, Deployment, Event, Recording

ASK = rate_of(an_offer().ask, a_bid().want)
RUNS, STEPS, SEED = 6, 30, 20_260


@pytest.fixture(scope="module")
def anvil_market() -> Iterator[AnvilMarket]:
    with an_anvil_market(boa.env.evm.patch.chain_id, NOW) as market:
        yield market


@pytest.fixture
def recording() -> Recording:
    """Two leases and a gang; receipts good and bad, a claim to its end, and a refused call."""
    recording = Recording(chain_id=boa.env.evm.patch.chain_id)
    twin = MarketTwin(a_funded_market(recording))
    twin.register(an_offer())
    first, second = (twin.open(an_offer(), Order(bid=a_bid(nonce=n), rate=ASK)) for n in (1, 2))
    twin.match_gang([an_offer()], GangOrder(bid=a_bid(nonce=3, members=2), members=((0, ASK),) * 2))
    twin.chain.advance(60)
    twin.settle_many(
        [Claim(terms=first.terms, milliseconds=30_000), Claim(terms=second.terms, milliseconds=90_000)]
    )
    twin.claim(first.terms, 40_000)
    with pytest.raises(Rejected):
        twin.release(first.terms)
    twin.chain.advance(60)
    twin.finalize(first.terms)
    twin.settle(Claim(terms=second.terms, milliseconds=100_000, last=True))
    return recording


def test_the_machine_runs_alike_on_both_evms(anvil_market: AnvilMarket) -> None:
    """Every status, revert reason and log; and the last calls again in blocks of their own."""
    found: list[str] = []
    calls = 0

    def after_run(recording: Recording, _steps: int) -> None:
        nonlocal calls
        calls += calls_of(recording)
        found.extend(replay(anvil_market, recording))

    violation = play(SEED, RUNS, after_run, STEPS)
    assert violation is None, violation.cause
    assert found == []
    assert calls > RUNS * STEPS


def test_a_whole_life_is_the_same_there(anvil_market: AnvilMarket, recording: Recording) -> None:
    assert verify(anvil_market, recording) == []


def test_a_log_or_a_reason_that_differs_is_told(anvil_market: AnvilMarket, recording: Recording) -> None:
    refused = next(
        n for n, entry in enumerate(recording.entries) if isinstance(entry, Call) and entry.refusal
    )
    opened = next(
        n for n, e in enumerate(recording.entries) if isinstance(e, Call) and e.function == "matchBid"
    )
    for number, change in ((refused, {"refusal": "0x"}), (opened, {"events": []})):
        spoiled = replace(recording, entries=list(recording.entries))
        entry = spoiled.entries[number]
        assert isinstance(entry, Call)
        spoiled.entries[number] = replace(entry, **change)
        (told,) = verify(anvil_market, spoiled)
        assert told.startswith(f"{number} {entry.function}")


def test_the_same_calls_in_other_blocks_leave_the_same_storage(
    anvil_market: AnvilMarket, recording: Recording
) -> None:
    mark = anvil_market.mark()
    anvil_market.replay(recording.entries)
    in_few_blocks = anvil_market.storage()
    anvil_market.put_back(mark)
    mark = anvil_market.mark()
    outcomes = anvil_market.replay(recording.entries, block_of_each=True)
    assert differences(recording.entries, outcomes) == []
    assert anvil_market.storage() == in_few_blocks
    anvil_market.put_back(mark)


def test_a_reorganised_match_keeps_its_lease_ids_and_its_receipts_stay_good(
    anvil_market: AnvilMarket, recording: Recording
) -> None:
    """The fork opens the leases in another order, in other blocks and at another time."""
    mark = anvil_market.mark()
    matches = [e for e in recording.entries if isinstance(e, Call) and e.function.startswith("match")]
    before = recording.entries[: recording.entries.index(matches[0])]
    after = [entry for entry in recording.entries if entry.time >= NOW + 60]
    anvil_market.replay(before)
    anvil_market.ask("evm_setNextBlockTimestamp", NOW + 7)
    anvil_market.ask("evm_mine")
    later = [replace(match, time=NOW + 9 + n) for n, match in enumerate(matches)]
    original = anvil_market.replay(later, block_of_each=True)
    first, second, gang = later
    ((gang_again,), (second_again, first_again), _) = anvil_market.reorganise(
        3, [[gang], [second, first], []]
    )
    opened = [leases_of(outcome.events) for outcome in original]
    again = [leases_of(outcome.events) for outcome in (first_again, second_again, gang_again)]
    assert [[lease for lease, _ in one] for one in opened] == [[lease for lease, _ in one] for one in again]
    assert [start for one in opened for _, start in one] != [start for one in again for _, start in one]
    # What was signed before the reorganisation pays after it.
    outcomes = anvil_market.replay(after)
    assert differences(after, outcomes) == []
    buyer = anvil_market.view("market", "balanceOf", account("buyer"))
    assert buyer == balance_on_py_evm(recording)
    anvil_market.put_back(mark)


def leases_of(events: list[Event] | None) -> list[tuple[object, object]]:
    """Id and start of each that opened."""
    fields = [event.fields for event in events or []]
    return [(one["lease"], one["start"]) for one in fields if "start" in one]


def balance_on_py_evm(recording: Recording) -> int:
    """Of the buyer, on the market of the recording, which still stands there."""
    (market,) = [e.address for e in recording.entries if isinstance(e, Deployment) and e.contract == "market"]
    data = call_data("market", "balanceOf", [account("buyer")])
    done = boa.env.execute_code(to_address=market, sender=account("buyer"), data=data)
    return int.from_bytes(done.output, "big")
