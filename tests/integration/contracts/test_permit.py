"""A permit lets anybody pay the gas of a deposit, and nobody do anything else with the owner's tokens."""

from collections.abc import Iterator
from typing import Any

import boa
import pytest

from tests.fakes.in_process_market import separator_of
from tests.fakes.market_bench import PURSE, ZERO, MarketBench, Reverted, account, names

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
LOW_255 = 2**255 - 1
OWNER = "owner"


@pytest.fixture(scope="module")
def market() -> MarketBench:
    return MarketBench()


@pytest.fixture
def bench(market: MarketBench) -> MarketBench:
    """The owner holds tokens and has approved nothing."""
    market.give(OWNER)
    market.call("token", "approve", market.addresses["market"], 0, sender=OWNER)
    return market


@pytest.fixture
def another_chain() -> Iterator[None]:
    before = boa.env.evm.patch.chain_id
    boa.env.evm.patch.chain_id = before + 1
    yield
    boa.env.evm.patch.chain_id = before


def relay(bench: MarketBench, permit: list[Any], sender: str = "stranger") -> list[str]:
    return names(bench.call("market", "depositWithPermit", *permit, sender=sender))


def refused(bench: MarketBench, contract: str, function: str, *arguments: Any) -> str:
    with pytest.raises(Reverted) as refusal:
        bench.call(contract, function, *arguments, sender="stranger")
    return refusal.value.reason


def allowance(bench: MarketBench) -> int:
    return int(bench.view("token", "allowance", account(OWNER), bench.addresses["market"]))


def token_permit(bench: MarketBench, permit: list[Any]) -> list[Any]:
    """The same permit as the token itself takes it."""
    owner, amount, deadline, r, vs = permit
    word = int.from_bytes(vs, "big")
    s = (word & LOW_255).to_bytes(32, "big")
    return [owner, bench.addresses["market"], amount, deadline, 27 + (word >> 255), r, s]


def test_a_stranger_delivers_the_deposit_and_the_owner_is_credited(bench: MarketBench) -> None:
    logged = relay(bench, bench.permit(OWNER, 700, bench.at))
    assert logged == ["Approval", "Transfer", "Deposited"]
    assert bench.balance(OWNER) == 700
    assert bench.view("token", "balanceOf", account(OWNER)) == PURSE - 700
    assert (allowance(bench), bench.balance("stranger")) == (0, 0)
    assert bench.view("token", "nonces", account(OWNER)) == 1


def test_a_permit_is_used_once(bench: MarketBench) -> None:
    permit = bench.permit(OWNER, 700, bench.at)
    relay(bench, permit)
    assert refused(bench, "market", "depositWithPermit", *permit) == "token: permit signature"
    assert bench.balance(OWNER) == 700


def test_a_permit_ends_with_its_deadline(bench: MarketBench) -> None:
    permit = bench.permit(OWNER, 700, bench.at + 10)
    bench.advance(11)
    assert refused(bench, "market", "depositWithPermit", *permit) == "token: permit expired"
    bench.advance(-1)
    relay(bench, permit)


def test_a_permit_that_somebody_delivered_first_still_deposits(bench: MarketBench) -> None:
    permit = bench.permit(OWNER, 700, bench.at)
    bench.call("token", "permit", *token_permit(bench, permit), sender="rival")
    assert relay(bench, permit) == ["Transfer", "Deposited"]
    assert (bench.balance(OWNER), allowance(bench)) == (700, 0)


def test_an_allowance_of_just_the_amount_deposits_to_its_owner_alone(bench: MarketBench) -> None:
    bench.call("token", "approve", bench.addresses["market"], 700, sender=OWNER)
    relay(bench, [account(OWNER), 700, 0, ZERO, ZERO])
    assert (bench.balance(OWNER), bench.balance("stranger")) == (700, 0)


@pytest.mark.parametrize("approved", [699, 701])
def test_another_allowance_needs_the_permit(bench: MarketBench, approved: int) -> None:
    bench.call("token", "approve", bench.addresses["market"], approved, sender=OWNER)
    forged = [account(OWNER), 700, bench.at, ZERO, ZERO]
    assert refused(bench, "market", "depositWithPermit", *forged) == "token: permit signature"
    relay(bench, bench.permit(OWNER, 700, bench.at))
    assert bench.balance(OWNER) == 700


@pytest.mark.parametrize(
    "changes",
    [
        {"signed_by": "rival"},
        {"nonce": 1},
        {"spender": account("stranger")},
    ],
    ids=["of another key", "of another nonce", "for another spender"],
)
def test_a_signature_for_something_else_does_not_count(bench: MarketBench, changes: dict[str, Any]) -> None:
    permit = bench.permit(OWNER, 700, bench.at, **changes)
    assert refused(bench, "market", "depositWithPermit", *permit) == "token: permit signature"


@pytest.mark.parametrize(("place", "value"), [(0, account("rival")), (1, 701), (2, 2**256 - 1)])
def test_no_field_can_be_changed_after_signing(bench: MarketBench, place: int, value: Any) -> None:
    permit = bench.permit(OWNER, 700, bench.at)
    permit[place] = value
    assert refused(bench, "market", "depositWithPermit", *permit) == "token: permit signature"


def test_the_other_half_of_a_signature_does_not_count(bench: MarketBench) -> None:
    *words, v, r, s = token_permit(bench, bench.permit(OWNER, 700, bench.at))
    high = (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    assert refused(bench, "token", "permit", *words, 55 - v, r, high) == "token: permit signature"
    bench.call("token", "permit", *words, v, r, s, sender="stranger")


def test_nobody_owns_the_zero_address(bench: MarketBench) -> None:
    words = ["0x" + "00" * 20, bench.addresses["market"], 7, bench.at, 27, ZERO, ZERO]
    assert refused(bench, "token", "permit", *words) == "token: permit signature"


def test_a_deposit_of_nothing_or_beyond_the_purse_is_refused(bench: MarketBench) -> None:
    nothing = bench.permit(OWNER, 0, bench.at)
    assert refused(bench, "market", "depositWithPermit", *nothing) == "market: no amount"
    beyond = bench.permit(OWNER, PURSE + 1, bench.at)
    assert refused(bench, "market", "depositWithPermit", *beyond) == "token: balance too small"


def test_no_permit_is_taken_while_paused(bench: MarketBench) -> None:
    bench.call("market", "pause", sender="guardian")
    permit = bench.permit(OWNER, 700, bench.at)
    assert refused(bench, "market", "depositWithPermit", *permit) == "market: paused"


def test_a_permit_of_another_chain_does_not_count(bench: MarketBench, another_chain: None) -> None:
    there = bench.permit(OWNER, 700, bench.at)
    boa.env.evm.patch.chain_id -= 1
    assert refused(bench, "market", "depositWithPermit", *there) == "token: permit signature"


def test_the_token_tells_its_domain(bench: MarketBench) -> None:
    domain = bench.domain("token")
    assert bench.view("token", "DOMAIN_SEPARATOR") == separator_of(domain)
    told = bench.view("token", "eip712Domain")
    assert told[:5] == (b"\x0f", "Test", "1", domain["chainId"], bench.addresses["token"].lower())
    assert told[5:] == (ZERO, ())
