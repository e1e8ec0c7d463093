"""Every call that the market and its jury refuse, by whom, in which state, for which reason: one table.

Batches that skip and log instead of reverting have their own tables of reason codes (`test_matching`,
`test_settling`). `contracts/README.md` prints this table.
"""

import re
from copy import copy
from pathlib import Path
from typing import Any

import boa
import pytest

import contracts
from contracts.loader import artifact
from tests.fakes.market_bench import CONTRACTS, MarketBench, Reverted, account
from tests.fakes.refusal_table import ROWS
from tests.fakes.refusals import Row, Scene

FOLDER = Path(contracts.__file__).parent
README = (FOLDER / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def staged() -> Scene:
    return Scene()


@pytest.fixture
def scene(staged: Scene) -> Scene:
    """A copy: boa puts back the EVM, not what Python knows of it."""
    mine = copy(staged)
    mine.bench = copy(staged.bench)
    return mine


REFUSES_NOTHING = {"market.settle"}
"""skips and logs whatever it is given"""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.contract}.{row.function} {row.when}")
def test_a_call_is_refused_for_its_reason(scene: Scene, row: Row) -> None:
    row.after(scene)
    given = row.given(scene)
    with pytest.raises(Reverted) as refusal:
        attempt(scene.bench, row, given)
    assert refusal.value.reason == row.reason


def attempt(bench: MarketBench, row: Row, given: list[Any]) -> None:
    if row.function == "__init__":
        bench.deploy("ComputeMarket", *given)
    else:
        bench.call(row.contract, row.function, *given, sender=row.by)


def called(contract: str) -> list[str]:
    """The functions of a contract that change its state."""
    return [
        f"{contract}.{entry['name']}"
        for entry in artifact(CONTRACTS[contract]).abi
        if entry["type"] == "function" and entry["stateMutability"] != "view"
    ]


def test_every_function_that_changes_state_is_in_the_table() -> None:
    functions = {f"{row.contract}.{row.function}" for row in ROWS} - {"market.__init__"}
    assert functions == {*called("market"), *called("jury")} - REFUSES_NOTHING


def test_every_reason_in_the_sources_is_in_the_table() -> None:
    sources = " ".join(path.read_text("utf-8") for path in sorted(FOLDER.glob("*.vy")))
    written = set(re.findall(r'"((?:market|accounts|jury|token): [^"]+)"', sources))
    elsewhere = {"token: no receiver"}
    assert {row.reason for row in ROWS} - {""} == written - elsewhere


@pytest.mark.parametrize("function", [*called("market"), *called("jury")])
def test_no_function_takes_coin(scene: Scene, function: str) -> None:
    contract, _, name = function.partition(".")
    identifiers = artifact(CONTRACTS[contract]).method_identifiers
    (selector,) = [s for signature, s in identifiers.items() if signature.startswith(f"{name}(")]
    boa.env.set_balance(account("stranger"), 10)
    data = bytes.fromhex(selector[2:]) + bytes(20_000)
    to = scene.bench.addresses[contract]
    done = boa.env.execute_code(to, sender=account("stranger"), value=1, data=data)
    assert (done.is_error, bytes(done.output)) == (True, b"")


def test_the_table_is_printed_in_the_readme() -> None:
    printed = re.findall(r"^\| `((?:market|jury)\.\w+)` \| (.*) \| (.*) \|$", README, re.M)
    wanted = [(f"{row.contract}.{row.function}", row.when, reason_text(row)) for row in ROWS]
    assert printed == wanted, "\n" + "\n".join(f"| `{f}` | {w} | {r} |" for f, w, r in wanted)


def reason_text(row: Row) -> str:
    return f"`{row.reason}`" if row.reason else "the call data does not decode"
