"""A transaction's trace is the one that another EVM gives of it, in go-ethereum's form."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from contracts.loader import artifact
from ledger.chain.calls import Call, approve, deposit
from ledger.chain.constructor import market_constructor
from ledger.chain.embedded.debug_methods import DebugMethods
from ledger.chain.embedded.faucet import sign
from ledger.chain.embedded.grid import creation_code, initialise, open_chain
from ledger.chain.embedded.rpc_error import RpcError
from ledger.chain.embedded.transactions import TRANSACTION_GAS_CAP
from ledger.market.identity import Address
from ledger.market.policy import EMBEDDED
from tests.anvil import ask
from tests.factories import NOW
from tests.fakes.evm_assembly import assembled, calling, creating, creation, returning
from tests.fakes.two_chains import KEY, SENDER, TwoChains, debugging, two_chains

CALL_TREE = {"tracer": "callTracer", "tracerConfig": {"withLog": True}}
NOBODY = bytes.fromhex("00000000000000000000000000000000deadbeef")
SHA256 = bytes(19) + b"\x02"
STORES = "PUSH1 2a PUSH0 SSTORE PUSH1 01 PUSH0 MSTORE PUSH1 20 PUSH0 LOG0 PUSH0 SLOAD POP"
ECHOES = f"CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY {returning(64)}"
FAILURES = {
    "out of gas": "JUMPDEST PUSH0 JUMP",
    "invalid opcode: INVALID": "fe",
    "invalid opcode: opcode 0xc not defined": "0c",
    "invalid jump destination": "PUSH1 05 JUMP",
    "stack underflow": "PUSH0 ADD",
    "stack limit reached 1024 (1023)": "JUMPDEST PUSH0 PUSH0 JUMP",
    "execution reverted": "PUSH1 ff PUSH0 MSTORE PUSH1 20 PUSH0 REVERT",
    "return data out of bounds": "PUSH1 20 PUSH0 PUSH0 RETURNDATACOPY",
}
FAILED_CREATIONS = {
    "execution reverted": "PUSH1 20 PUSH0 REVERT",
    "invalid code: must not begin with 0xef": "PUSH1 ef PUSH0 MSTORE8 PUSH1 20 PUSH0 RETURN",
    "max code size exceeded": "PUSH2 6001 PUSH0 RETURN",
}
ANVIL_WORDS = {
    "StateChangeDuringStaticCall": "write protection",
    "StackUnderflow": "stack underflow",
    "Out of stack": "stack limit reached 1024 (1023)",
    "OutOfOffset": "return data out of bounds",
    "CreateContractStartingWithEF": "invalid code: must not begin with 0xef",
    "CreateContractSizeLimit": "max code size exceeded",
    "invalid opcode": "invalid opcode: opcode 0xc not defined",
}
"""anvil gives its own names to what go-ethereum has words for"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoChains]:
    with two_chains(tmp_path_factory.mktemp("two") / "chain") as both:
        yield both


@pytest.fixture(scope="module")
def debug(two: TwoChains) -> DebugMethods:
    return debugging(two.chain)


@pytest.fixture(scope="module")
def storing(two: TwoChains) -> bytes:
    return two.deploy(creation(f"{STORES} {ECHOES}"))


@pytest.fixture(scope="module")
def stored(two: TwoChains, storing: bytes) -> str:
    return two.send(to=storing, data=b"\1\2\3")


def steps_of(trace: Any) -> list[Any]:
    """What go-ethereum leaves out where it is nothing, anvil writes."""
    idle = {"refund": 0, "returnData": "0x"}
    return [
        {name: one for name, one in step.items() if idle.get(name) != one} for step in trace["structLogs"]
    ]


def in_our_words(frame: Any, top: bool = True) -> Any:
    """anvil's tree with go-ethereum's words, and without what only it says."""
    frame = dict(frame)
    if top:  # go-ethereum shows the transaction's gas limit here, anvil what is left of it for the code
        del frame["gas"]
    if "error" in frame:
        frame["error"] = ANVIL_WORDS.get(frame["error"], frame["error"])
    if "logs" in frame:
        frame["logs"] = [{name: one for name, one in log.items() if name != "index"} for log in frame["logs"]]
    if "calls" in frame:
        frame["calls"] = [in_our_words(call, top=False) for call in frame["calls"]]
    return frame


def agreed_tree(two: TwoChains, debug: DebugMethods, key: str) -> Any:
    ours = debug.trace_transaction(key, CALL_TREE)
    assert in_our_words(ours) == in_our_words(ask(two.url, "debug_traceTransaction", key, CALL_TREE))
    return ours


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"enableMemory": True, "enableReturnData": True},
        {"disableStack": True, "disableStorage": True},
    ],
)
def test_every_step_is_the_other_evms(
    two: TwoChains, debug: DebugMethods, storing: bytes, options: dict[str, bool]
) -> None:
    program = f"PUSH1 99 PUSH0 MSTORE {calling('CALL', storing, size=32)} {STORES} {returning(32)}"
    key = two.send(data=assembled(program))
    ours, theirs = debug.trace_transaction(key, options), ask(two.url, "debug_traceTransaction", key, options)
    assert steps_of(ours) == steps_of(theirs)
    assert {name: ours[name] for name in ("gas", "failed", "returnValue")} == {
        name: theirs[name] for name in ("gas", "failed", "returnValue")
    }
    assert {step["depth"] for step in ours["structLogs"]} == {1, 2}


def test_code_without_an_end_stops_behind_it(two: TwoChains, debug: DebugMethods) -> None:
    key = two.send(data=assembled("PUSH1 01 POP PUSH32 00"))
    ours, theirs = debug.trace_transaction(key), ask(two.url, "debug_traceTransaction", key)
    assert ours["structLogs"][-1]["op"] == "STOP"
    assert [one["op"] for one in ours["structLogs"]] == [one["op"] for one in theirs["structLogs"]]


def test_a_payment_has_no_steps_and_one_frame(two: TwoChains, debug: DebugMethods) -> None:
    key = two.send(to=NOBODY, value=5, gas=21_000)
    assert steps_of(debug.trace_transaction(key)) == []
    tree = agreed_tree(two, debug, key)
    assert (tree["type"], tree["value"], tree["gas"], tree["gasUsed"]) == ("CALL", "0x5", "0x5208", "0x5208")


def test_each_kind_of_call_has_its_frame(two: TwoChains, debug: DebugMethods, storing: bytes) -> None:
    kinds = ("CALL", "STATICCALL", "DELEGATECALL", "CALLCODE")
    some = [calling(kind, storing, size=32, value=1 if kind == "CALLCODE" else 0) for kind in kinds]
    some += [calling("CALL", NOBODY, value=5), calling("CALL", SHA256, size=32)]
    key = two.send(data=assembled(f"PUSH1 99 PUSH0 MSTORE {' '.join(some)}"), value=100)
    tree = agreed_tree(two, debug, key)
    assert [frame["type"] for frame in tree["calls"]] == [*kinds, "CALL", "CALL"]
    assert [len(frame.get("logs", ())) for frame in tree["calls"]] == [1, 0, 1, 1, 0, 0]


def test_each_failure_is_named(two: TwoChains, debug: DebugMethods) -> None:
    places = [two.deploy(creation(code)) for code in FAILURES.values()]
    key = two.send(data=assembled(" ".join(calling("CALL", place) for place in places)))
    tree = agreed_tree(two, debug, key)
    assert [frame["error"] for frame in tree["calls"]] == list(FAILURES)


def test_failed_creations_are_named_and_have_no_address(two: TwoChains, debug: DebugMethods) -> None:
    places = [two.deploy(creation(creating(assembled(code)))) for code in FAILED_CREATIONS.values()]
    some = [calling("CALL", place, gas=120_000) for place in places]
    tree = agreed_tree(two, debug, two.send(data=assembled(" ".join(some))))
    frames = [frame["calls"][0] for frame in tree["calls"]]
    assert [frame["error"] for frame in frames] == list(FAILED_CREATIONS)
    assert not any("to" in frame for frame in frames)


def test_a_creation_that_cannot_pay_for_its_code_says_so(two: TwoChains, debug: DebugMethods) -> None:
    place = two.deploy(creation(creating(assembled("PUSH2 6000 PUSH0 RETURN"))))
    tree = debug.trace_transaction(two.send(to=place), CALL_TREE)
    assert tree["calls"][0]["error"] == "contract creation code storage out of gas"


def test_what_could_not_begin_has_a_frame_too(two: TwoChains, debug: DebugMethods) -> None:
    far = 0xFFFF_FFFF
    init = assembled(f"{returning(32)}")
    some = [calling("CALL", NOBODY, value=far), calling("CALLCODE", NOBODY, value=far)]
    some += [creating(init, value=far), creating(init, value=3), creating(init, salt=7)]
    tree = agreed_tree(two, debug, two.send(data=assembled(" ".join(some)), value=10))
    refused = "insufficient balance for transfer"
    assert [frame.get("error") for frame in tree["calls"]] == [refused, refused, refused, None, None]


def test_a_second_creation_at_one_address_collides(two: TwoChains, debug: DebugMethods) -> None:
    init = assembled(returning(32))
    place = two.deploy(creation(f"{creating(init, salt=7)} {creating(init, salt=7)}"))
    tree = debug.trace_transaction(two.send(to=place, gas=300_000), CALL_TREE)
    assert [frame.get("error") for frame in tree["calls"]] == [None, "contract address collision"]


@pytest.mark.filterwarnings("ignore:SELFDESTRUCT")
def test_a_destruction_is_a_frame_with_what_it_pays_out(two: TwoChains, debug: DebugMethods) -> None:
    place = two.deploy(creation(f"PUSH20 {NOBODY.hex()} SELFDESTRUCT"))
    tree = agreed_tree(two, debug, two.send(to=place, value=9))
    assert [(frame["type"], frame["value"]) for frame in tree["calls"]] == [("SELFDESTRUCT", "0x9")]


def test_only_the_top_call_where_that_is_asked(two: TwoChains, debug: DebugMethods, storing: bytes) -> None:
    key = two.send(data=assembled(calling("CALL", storing)))
    options = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True, "withLog": True}}
    ours = debug.trace_transaction(key, options)
    assert "calls" not in ours
    assert in_our_words(ours) == in_our_words(ask(two.url, "debug_traceTransaction", key, options))


def test_the_deepest_recursion_that_gas_buys_is_traced(two: TwoChains, debug: DebugMethods) -> None:
    place = two.deploy(creation("PUSH0 PUSH0 PUSH0 PUSH0 PUSH0 ADDRESS GAS CALL"))
    key = two.send(to=place, gas=TRANSACTION_GAS_CAP)
    frame, depth = debug.trace_transaction(key, CALL_TREE), 1
    while "calls" in frame:
        frame, depth = frame["calls"][0], depth + 1
    assert depth > 400
    assert max(step["depth"] for step in debug.trace_transaction(key)["structLogs"]) == depth


def test_the_market_is_traced_from_its_creation_to_a_refused_deposit(
    two: TwoChains, debug: DebugMethods
) -> None:
    token = two.deploy(creation_code(artifact("TestToken"), ("Test", "TST", 6, 10**15)))
    jury = two.deploy(artifact("ReplicaJury").bytecode)
    owner = Address(bytes.fromhex(SENDER[2:]))
    arguments = market_constructor(Address(token), owner, owner, Address(jury), EMBEDDED)
    market = Address(two.deploy(artifact("ComputeMarket").bytecode + arguments))
    created = agreed_tree(two, debug, _last(two))
    assert created["type"] == "CREATE"

    def send(call: Call) -> Any:
        return agreed_tree(two, debug, two.send(to=bytes(call.to), data=call.data))

    refused = send(deposit(market, 500))
    assert refused["error"] == "execution reverted"
    assert refused["revertReason"]
    assert len(send(approve(Address(token), market, 500))["logs"]) == 1
    paid = send(deposit(market, 500))
    assert [frame["to"] for frame in paid["calls"]].count(f"0x{token.hex()}") > 0
    assert "error" not in paid


def _last(two: TwoChains) -> str:
    with two.chain.store.reading() as query:
        return f"0x{query.transactions_of(query.head().hash)[-1].hash.hex()}"


def test_a_call_is_traced_as_it_would_run_now(two: TwoChains, debug: DebugMethods, storing: bytes) -> None:
    request = {"from": SENDER, "to": f"0x{storing.hex()}", "data": "0x0102", "gas": hex(10**6)}
    ours = debug.trace_call(request, "latest", CALL_TREE)
    assert in_our_words(ours) == in_our_words(ask(two.url, "debug_traceCall", request, "latest", CALL_TREE))
    steps = debug.trace_call(request, "latest")
    theirs = ask(two.url, "debug_traceCall", request, "latest", {})
    assert (steps_of(steps), steps["gas"]) == (steps_of(theirs), theirs["gas"])


def test_a_call_nobody_can_pay_for_is_refused(debug: DebugMethods, storing: bytes) -> None:
    request = {"from": f"0x{NOBODY.hex()}", "to": f"0x{storing.hex()}", "value": hex(10**30)}
    with pytest.raises(RpcError, match="insufficient funds") as refusal:
        debug.trace_call(request)
    assert refusal.value.code == -32000


def test_a_call_is_traced_under_overrides(debug: DebugMethods) -> None:
    request = {
        "from": f"0x{NOBODY.hex()}",
        "to": f"0x{bytes(SHA256[:-1] + bytes([77])).hex()}",
        "value": "0xff",
    }
    code = assembled(f"NUMBER PUSH0 MSTORE {returning(32)}")
    options = {
        "tracer": "callTracer",
        "stateOverrides": {request["from"]: {"balance": "0xff"}, request["to"]: {"code": f"0x{code.hex()}"}},
        "blockOverrides": {"number": "0x4d"},
    }
    assert int(debug.trace_call(request, "latest", options)["output"], 16) == 77
    with pytest.raises(RpcError, match="insufficient funds"):
        debug.trace_call(request, "latest", {"tracer": "callTracer"})


def test_a_pending_call_sees_what_waits(two: TwoChains, debug: DebugMethods) -> None:
    setting = two.deploy(creation(f"PUSH0 SLOAD PUSH0 MSTORE CALLDATASIZE PUSH0 SSTORE {returning(32)}"))
    request = {"to": f"0x{setting.hex()}"}
    two.waiting(to=setting, data=bytes(9))
    seen = [debug.trace_call(request, tag, CALL_TREE)["output"] for tag in ("latest", "pending")]
    assert [int(one, 16) for one in seen] == [0, 9]
    two.chain.seal()


def test_a_blocks_traces_are_those_of_its_transactions(two: TwoChains, debug: DebugMethods) -> None:
    counter = two.deploy(
        creation("PUSH0 SLOAD PUSH1 01 ADD DUP1 PUSH0 SSTORE PUSH0 MSTORE PUSH1 20 PUSH0 RETURN")
    )
    keys = [two.waiting(to=counter) for _ in range(3)]
    sealed = two.chain.seal()
    assert sealed is not None
    by_number = debug.trace_block_by_number(hex(sealed.number), CALL_TREE)
    assert by_number == debug.trace_block_by_hash(f"0x{sealed.hash.hex()}", CALL_TREE)
    assert [one["txHash"] for one in by_number] == keys
    assert [int(one["result"]["output"], 16) for one in by_number] == [1, 2, 3]
    assert [debug.trace_transaction(key, CALL_TREE) for key in keys] == [one["result"] for one in by_number]


def test_gas_is_the_receipts_after_refunds(two: TwoChains, debug: DebugMethods) -> None:
    clears = two.deploy(creation("PUSH0 PUSH0 SSTORE"))
    setting = two.deploy(creation("CALLDATASIZE PUSH0 SSTORE"))
    two.send(to=setting, data=b"\1")
    for place in (clears, setting):
        key = two.send(to=place)
        receipt = ask(two.url, "eth_getTransactionReceipt", key)
        assert debug.trace_transaction(key)["gas"] == int(receipt["gasUsed"], 16)
        assert agreed_tree(two, debug, key)["gasUsed"] == receipt["gasUsed"]


def test_a_limit_ends_the_list_of_steps(debug: DebugMethods, stored: str) -> None:
    whole = debug.trace_transaction(stored)
    short = debug.trace_transaction(stored, {"limit": 4})
    assert short["structLogs"] == whole["structLogs"][:4]
    assert short["gas"] == whole["gas"]


def test_what_is_not_there_has_no_trace(debug: DebugMethods) -> None:
    nothing = f"0x{'77' * 32}"
    refusals: list[tuple[Callable[[], Any], str]] = [
        (lambda: debug.trace_transaction(nothing), "transaction not found"),
        (lambda: debug.trace_block_by_hash(nothing), "not found"),
        (lambda: debug.trace_block_by_number("0xffff"), "not found"),
        (lambda: debug.trace_block_by_number("earliest"), "genesis is not traceable"),
    ]
    for ask_for, message in refusals:
        with pytest.raises(RpcError, match=message) as refusal:
            ask_for()
        assert refusal.value.code == -32000


def test_a_trace_that_takes_too_long_is_ended(two: TwoChains, stored: str) -> None:
    loops = two.deploy(creation("JUMPDEST PUSH0 JUMP"))
    key = two.send(to=loops, gas=100_000)
    for spent, wanted in [(stored, {"timeout": "1ms"}), (key, {"timeout": "3s"})]:
        with pytest.raises(RpcError, match="execution timeout"):
            debugging(two.chain, clock=partial(next, count())).trace_transaction(spent, wanted)


def test_few_traces_run_at_once(two: TwoChains, stored: str) -> None:
    readings = count(1)

    def clock() -> float:
        if next(readings) % 2 == 0:  # asked while a trace runs: start another
            busy.trace_transaction(stored)
        return 0.0

    busy = debugging(two.chain, clock)
    with pytest.raises(RpcError, match="4 traces run already") as refusal:
        busy.trace_transaction(stored)
    assert refusal.value.code == -32005
    assert next(readings) == 10


def test_a_block_whose_parents_state_was_dropped_has_no_trace(tmp_path: Path) -> None:
    initialise(tmp_path / "chain", chain_id=7, at=NOW, faucet_key=KEY)
    chain = open_chain(tmp_path / "chain", lambda: NOW, keep_states=3)
    try:
        keys = []
        for _ in range(8):
            keys.append(f"0x{chain.submit(sign(chain, to=NOBODY, value=1, gas=21_000)).hex()}")
            chain.seal()
        debug = debugging(chain)
        assert debug.trace_transaction(keys[-1], CALL_TREE)["value"] == "0x1"
        for ask_for in (
            lambda: debug.trace_transaction(keys[0]),
            lambda: debug.trace_block_by_number("0x1"),
            lambda: debug.trace_call({"to": f"0x{NOBODY.hex()}"}, "0x1"),
        ):
            with pytest.raises(RpcError, match="required historical state unavailable") as refusal:
                ask_for()
            assert refusal.value.code == -32000
    finally:
        chain.close()
