"""What a market was told can be read back, and told to another market, which then does the same."""

from pathlib import Path

import boa

from tests.fakes.in_process_market import ARTIFACTS, NOW, Order, a_bid, account, an_offer
from tests.fakes.market_twin import Claim, MarketTwin, a_funded_market
from tests.fakes.recording import Deployment, Recording


def a_recorded_market() -> Recording:
    """One lease that is opened and settled, and a call that is refused."""
    recording = Recording(chain_id=boa.env.evm.patch.chain_id)
    twin = MarketTwin(a_funded_market(recording))
    offer = an_offer()
    twin.register(offer)
    lease = twin.open(offer, Order(bid=a_bid(), rate=1_102_400_000))
    twin.chain.advance(600)
    twin.settle(Claim(terms=lease.terms, milliseconds=600_000, last=True))
    with twin.chain.fork():
        twin.chain.call("withdraw", 1, sender="buyer")
    try:
        twin.chain.call("withdraw", 10**12, sender="buyer")
    except boa.BoaError:
        return recording
    raise AssertionError("more than the balance came out")


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    recording = a_recorded_market()
    recording.write(tmp_path / "calls.jsonl")
    assert Recording.read(tmp_path / "calls.jsonl") == recording


def test_it_names_what_was_deployed_what_came_of_each_call_and_nothing_of_a_fork() -> None:
    recording = a_recorded_market()
    deployed = [entry for entry in recording.entries if isinstance(entry, Deployment)]
    assert [one.contract for one in deployed] == list(ARTIFACTS)
    assert [one.nonce for one in deployed] == [0, 1, 2]
    *_, settle, refused = recording.calls
    assert settle.function == "settle"
    assert settle.time == NOW + 600
    assert settle.events is not None
    assert [event.name for event in settle.events] == ["UsageSettled", "LeaseClosed", "FeePaid"]
    assert (refused.function, refused.events, refused.sender) == ("withdraw", None, account("buyer"))
    assert len(refused.refusal) > 2
    assert settle.refusal == ""
