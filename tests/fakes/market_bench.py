"""Token, jury and market from their committed artifacts on an in-process EVM, called by bytes.

No double and no decoder of somebody else's: call data, revert reasons and logs are encoded and read with
eth-abi over the ABI, so that a test sees exactly what a wallet would. Whoever is named has a key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boa
from eth_abi.abi import decode, encode
from eth_abi.exceptions import EncodingError
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from contracts.loader import artifact
from ledger.chain.constructor import market_constructor
from ledger.market.identity import Address
from ledger.market.money import escrow_for
from ledger.market.policy import EMBEDDED, Policy
from tests.fakes.in_process_market import NOW, TYPES, a_bid, an_offer, as_abi, separator_of, words_of

Words = list[Any]
"""a struct as the ABI wants it, its fields in order"""
SUPPLY = 10**15
PURSE = 10**9
"""base units that whoever is funded has in its wallet, in its balance and (providers) as free stake"""
NOBODY = "0x" + "00" * 20
ZERO = bytes(32)
CONTRACTS = {"token": "TestToken", "jury": "ReplicaJury", "market": "ComputeMarket"}
REVERT = keccak(text="Error(string)")[:4]
WITHDRAW = "address account,address to,uint256 amount,uint64 nonce,uint40 deadline"
PERMIT = "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline"
SIGNED_TYPES = TYPES | {"Withdraw": WITHDRAW, "Permit": PERMIT}
TERMS = ("offer", "bid", "member", "provider", "buyer", "signer", "matcher", "want", "rate", "duration")
CPU_WANT, CPU_ASK = a_bid().want.pack(), an_offer().ask.pack()
RATE = 500_000 * 2_000 + 100_000 * 1_024
"""what `a_bid` of `an_offer` costs: milli-base-units an hour"""
DURATION = a_bid().duration
ESCROW = escrow_for(RATE, DURATION)
LOCK = EMBEDDED.lock_for(ESCROW)


class Reverted(Exception):
    """A call that was refused; `reason` is the contract's, "" where it gave none."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Log:
    """One event: who logged it ("market", "jury", "token"), its name and fields."""

    source: str
    name: str
    fields: dict[str, Any]


def key(name: str) -> LocalAccount:
    account: LocalAccount = Account.from_key(keccak(text=f"key of the {name}"))
    return account


def account(name: str) -> str:
    return str(key(name).address)


def raw(name: str) -> Address:
    return Address(bytes.fromhex(account(name)[2:]))


def changed(words: Words, **changes: object) -> Words:
    """Lease terms with some fields replaced."""
    return [changes.get(name, word) for name, word in zip(TERMS, words, strict=True)]


class MarketBench:
    """A market whose buyer and provider are funded; the EVM's state is put back by boa's plugin."""

    def __init__(self, policy: Policy = EMBEDDED) -> None:
        boa.env.timestamp = NOW
        self.policy = policy
        self._creation: Any = None
        self.deployer = boa.env.generate_address()
        self.logged: list[tuple[int, Log]] = []
        """every log since the deployment, with the time of its block"""
        token = encode(["string", "string", "uint8", "uint256"], ["Test", "TST", 6, SUPPLY])
        self.addresses = {"token": self.deploy("TestToken", token), "jury": self.deploy("ReplicaJury", b"")}
        self.addresses["market"] = self.deploy("ComputeMarket", self.constructor())
        self._note(self._creation)
        for name in ("buyer", "provider"):
            self.fund(name)

    def constructor(self, policy: Policy | None = None, **changes: str) -> bytes:
        parties = {
            "token": self.addresses["token"],
            "guardian": account("guardian"),
            "arbiter": account("arbiter"),
            "jury": self.addresses["jury"],
        } | changes
        raws = {role: Address(bytes.fromhex(text[2:])) for role, text in parties.items()}
        return market_constructor(**raws, policy=policy or self.policy)

    def deploy(self, name: str, arguments: bytes) -> str:
        """The new contract's address; `Reverted` where its constructor refuses."""
        code = artifact(name).bytecode + arguments
        address, computation = boa.env.deploy(sender=self.deployer, bytecode=code)
        if computation.is_error:
            raise Reverted(_reason(bytes(computation.output)))
        self._creation = computation
        return str(address)

    # Calls.

    def call(self, contract: str, function: str, *arguments: object, sender: str) -> list[Log]:
        """What one transaction of the named party (or of one of the contracts) logged."""
        done = self._run(contract, function, arguments, self.addresses.get(sender) or account(sender))
        return self._note(done)

    def _note(self, done: Any) -> list[Log]:
        logs = [self._log(entry) for entry in done.get_raw_log_entries()]
        self.logged += [(self.at, log) for log in logs]
        return logs

    def view(self, contract: str, function: str, *arguments: object) -> Any:
        """What a view returns: one value, or a tuple of several."""
        entry = _entry(contract, function)
        output = self._run(contract, function, arguments, account("stranger")).output
        values = decode([collapse_if_tuple(one) for one in entry["outputs"]], bytes(output))
        return values[0] if len(values) == 1 else values

    def _run(self, contract: str, function: str, arguments: Sequence[object], sender: str) -> Any:
        done = boa.env.execute_code(
            to_address=self.addresses[contract],
            sender=sender,
            data=_call_data(contract, function, arguments),
        )
        if done.is_error:
            raise Reverted(_reason(bytes(done.output)))
        return done

    def _log(self, entry: Any) -> Log:
        _, emitter, topics, data = entry
        (source,) = [name for name, at in self.addresses.items() if bytes.fromhex(at[2:]) == emitter]
        words = [topic.to_bytes(32, "big") for topic in topics]
        declared = _events(source)[words[0]]
        indexed = [one for one in declared["inputs"] if one["indexed"]]
        plain = [one for one in declared["inputs"] if not one["indexed"]]
        fields = {
            one["name"]: decode([one["type"]], word)[0] for one, word in zip(indexed, words[1:], strict=True)
        }
        values = decode([one["type"] for one in plain], data)
        return Log(
            source, declared["name"], fields | dict(zip((o["name"] for o in plain), values, strict=True))
        )

    @property
    def at(self) -> int:
        return int(boa.env.timestamp)

    def advance(self, seconds: int) -> None:
        boa.env.timestamp += seconds

    # Money.

    def give(self, name: str, amount: int = PURSE) -> None:
        """Tokens for a party's wallet, and its approval of the market."""
        send = ("transfer", account(name), amount)
        self._run("token", send[0], send[1:], str(self.deployer))
        self.call("token", "approve", self.addresses["market"], 2**256 - 1, sender=name)

    def fund(self, name: str) -> None:
        self.give(name, 3 * PURSE)
        self.call("market", "deposit", 2 * PURSE, sender=name)
        self.call("market", "stake", PURSE, sender=name)

    def balance(self, name: str) -> int:
        return int(self.view("market", "balanceOf", account(name)))

    def free_stake(self, name: str) -> int:
        return int(self.view("market", "stakeOf", account(name)))

    # Signatures.

    def domain(self, contract: str = "market") -> dict[str, Any]:
        name = "ComputeMarket" if contract == "market" else "Test"
        at = to_checksum_address(self.addresses[contract])
        return {"name": name, "version": "1", "chainId": boa.env.evm.patch.chain_id, "verifyingContract": at}

    def sign(self, kind: str, words: Sequence[Any], name: str) -> list[bytes]:
        """r and vs (EIP-2098) of the named party over a struct."""
        members = [field.split() for field in SIGNED_TYPES[kind].split(",")]
        types = {kind: [{"type": t, "name": n} for t, n in members]}
        values = dict(zip([n for _, n in members], words, strict=True))
        domain = self.domain("token" if kind == "Permit" else "market")
        signed = key(name).sign_message(encode_typed_data(domain, types, values))
        vs = signed.s | (signed.v - 27) << 255
        return [signed.r.to_bytes(32, "big"), vs.to_bytes(32, "big")]

    def permit(self, owner: str, amount: int, deadline: int, **changes: Any) -> list[Any]:
        """The arguments of `depositWithPermit`; `nonce`, `spender`, `signed_by` may differ."""
        nonce = changes.get("nonce", self.view("token", "nonces", account(owner)))
        spender = changes.get("spender", self.addresses["market"])
        words = [account(owner), to_checksum_address(spender), amount, nonce, deadline]
        signature = self.sign("Permit", words, changes.get("signed_by", owner))
        return [account(owner), amount, deadline, *signature]

    def withdrawal(self, name: str, signed_by: str = "", **changes: Any) -> list[Any]:
        """The arguments of `withdrawSigned`."""
        item = {"account": account(name), "to": account("receiver"), "amount": 5, "nonce": 900}
        words = list((item | {"deadline": self.at + 60} | changes).values())
        try:
            signature = self.sign("Withdraw", words, signed_by or name)
        except EncodingError:  # a field that the signed type cannot hold
            signature = [ZERO, ZERO]
        return [words, *signature]

    # Offers, bids and leases.

    def offer(self, provider: str = "provider", **changes: object) -> Words:
        return words_of(an_offer(**({"provider": raw(provider)} | changes)))

    def register(self, provider: str = "provider", **changes: object) -> Words:
        words = self.offer(provider, **changes)
        self.call("market", "registerOffer", words, sender=provider)
        return words

    def bid(self, **changes: object) -> Words:
        return words_of(a_bid(**changes))

    def fill(self, bid: Words, rate: int = RATE, signed_by: str = "buyer", offer_index: int = 0) -> Words:
        return [offer_index, rate, bid, *self.sign("Bid", bid, signed_by)]

    def open(self, offer: Words, **changes: object) -> Words:
        """The terms of a lease that the matcher opened."""
        logs = self.call("market", "matchBid", offer, self.fill(self.bid(**changes)), sender="matcher")
        return terms_of(logs)[0]

    def gang(self, providers: Sequence[str], agree: int = 0, **changes: object) -> tuple[Words, list[Words]]:
        """A bid of one member for each provider, opened whole; its terms in order."""
        offers = []
        for name in providers:
            if self.free_stake(name) < LOCK:
                self.fund(name)
            offers.append(self.register(name, salt=len(providers)))
        flags = 2 | agree << 4 if agree else 0
        bid = self.bid(**({"members": len(providers), "flags": flags, "nonce": 40} | changes))
        members = [[index, RATE] for index in range(len(providers))]
        signature = self.sign("Bid", bid, "buyer")
        logs = self.call("market", "matchGang", offers, members, bid, *signature, ZERO, sender="matcher")
        return bid, terms_of(logs)

    def lease_id(self, terms: Words) -> bytes:
        (entry,) = _entry("market", "leaseId")["inputs"]
        words = encode([collapse_if_tuple(entry)], [as_abi(entry, terms)])
        return keccak(separator_of(self.domain()) + words)

    def state_of(self, terms: Words) -> tuple[int, int, int, int, int]:
        """Escrow, paid, start, end offset and state."""
        found: tuple[int, int, int, int, int] = self.view("market", "leaseOf", self.lease_id(terms))
        return found

    def receipt(self, terms: Words, milliseconds: int, *, last: bool = False, by: str = "signer") -> Words:
        words = [self.lease_id(terms), milliseconds, ZERO, last]
        return [terms, milliseconds, ZERO, int(last), *self.sign("UsageReceipt", words, by)]

    # The jury.

    def commitment(self, terms: Words, result: bytes, salt: bytes = ZERO) -> bytes:
        types = ["bytes32", "address", "bytes32", "bytes32"]
        return keccak(encode(types, [self.lease_id(terms), terms[3], result, salt]))

    def commit(self, terms: Words, result: bytes, sender: str) -> list[Log]:
        return self.call("jury", "commit", terms, self.commitment(terms, result), sender=sender)

    def reveal(self, bid: Words, terms: Words, result: bytes, sender: str) -> list[Log]:
        return self.call("jury", "reveal", bid, terms, result, ZERO, sender=sender)


def terms_of(logs: Sequence[Log]) -> list[Words]:
    """The terms of the leases that opened, in the order of the log."""
    opened = [log.fields for log in logs if log.name == "LeaseOpened"]
    return [
        [to_checksum_address(f[n]) if str(f[n]).startswith("0x") else f[n] for n in TERMS] for f in opened
    ]


def names(logs: Sequence[Log]) -> list[str]:
    return [log.name for log in logs]


def only(logs: Sequence[Log], name: str) -> dict[str, Any]:
    """The fields of the one event of that name."""
    (found,) = [log.fields for log in logs if log.name == name]
    return found


def _reason(output: bytes) -> str:
    if output[:4] != REVERT:
        return ""
    return str(decode(["string"], output[4:])[0])


def _entry(contract: str, function: str) -> dict[str, Any]:
    (entry,) = [one for one in artifact(CONTRACTS[contract]).abi if one.get("name") == function]
    return entry


def _call_data(contract: str, function: str, arguments: Sequence[object]) -> bytes:
    inputs = _entry(contract, function)["inputs"]
    types = [collapse_if_tuple(one) for one in inputs]
    selector = keccak(text=f"{function}({','.join(types)})")[:4]
    return selector + encode(types, [as_abi(*pair) for pair in zip(inputs, arguments, strict=True)])


def _events(contract: str) -> dict[bytes, dict[str, Any]]:
    return {topic0(one): one for one in artifact(CONTRACTS[contract]).abi if one["type"] == "event"}


def topic0(event: dict[str, Any]) -> bytes:
    """The first topic of an event of the ABI."""
    return keccak(text=f"{event['name']}({','.join(one['type'] for one in event['inputs'])})")
