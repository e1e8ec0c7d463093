"""The real contract, from its committed artifact, on an in-process EVM; parties with fixed keys.

No double: what is fake here is only the chain around it. Digests, lease ids and signatures are made with
eth-account and eth-abi, not with the contract and not with `ledger.chain`, so that they are an
independent second opinion on both.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import boa
from boa.contracts.abi.abi_contract import ABIContract, ABIContractFactory
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import SignableMessage, _hash_eip191_message, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from contracts.loader import artifact
from ledger.market import events as facts
from ledger.market.bid import Bid
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED, Policy
from ledger.market.receipt import UsageReceipt
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, ANY_VENDOR, Traits
from ledger.market.withdrawal import Withdrawal
from tests.fakes.market_facts import Decoded, fact_of
from tests.fakes.recording import Call, Deployment, Event, Recording, plain

NOW = 1_800_000_000
SUPPLY = 10**15
PURSE = 10**9
"""what each party has of the token, and the parties that buy have deposited"""
STAKE = 10**9
"""free stake of each provider in a funded market"""
ARTIFACTS = {"token": "TestToken", "jury": "ReplicaJury", "market": "ComputeMarket"}
"""role in a test, and the artifact's name"""
PROVIDERS = ("provider", "rival", "third")
NAMES = (
    *PROVIDERS,
    *("buyer", "other", "signer", "matcher", "stranger", "laptop", "guardian", "arbiter"),
)
KEYS: dict[str, LocalAccount] = {name: Account.from_key(keccak(text=f"key of the {name}")) for name in NAMES}

TYPES = {
    "Offer": "address provider,uint256 capacity,uint256 ask,uint256 traits,uint32 minSeconds,"
    "uint32 maxSeconds,uint40 validUntil,uint64 epoch,uint64 salt,bytes32 document",
    "Bid": "address buyer,address signer,uint256 want,uint256 traits,uint96 limitRate,"
    "uint16 maxOverAskBps,uint32 duration,uint40 startBy,uint40 validUntil,uint40 openAfter,"
    "uint8 members,uint8 flags,uint64 epoch,uint64 nonce,bytes32 job,address provider,"
    "address matcher,bytes32 continues",
    "UsageReceipt": "bytes32 lease,uint64 milliseconds,bytes32 evidence,bool last",
    "Withdraw": "address account,address to,uint256 amount,uint64 nonce,uint40 deadline",
    "Permit": "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline",
}
TERMS = ["bytes32", "bytes32", "uint256", *["address"] * 4, *["uint256"] * 3]


def key(name: str) -> LocalAccount:
    return KEYS[name]


def party(name: str) -> Address:
    return Address(bytes.fromhex(KEYS[name].address[2:]))


def account(name: str) -> str:
    return str(KEYS[name].address)


def an_offer(**changes: object) -> Offer:
    """One CPU provider of 8 cores and 4 GiB, valid for a day, at 1 base unit a core-hour's thousandth."""
    fields: dict[str, Any] = {
        "provider": party("provider"),
        "capacity": Quantities(cpu=8_000, memory=4_096, disk=10_000),
        "ask": Quantities(cpu=500_000, memory=100_000),
        "traits": Traits(vendors=1, regions=1, features=0b11, gpu_memory_mib=80, capability=5),
        "min_seconds": 10,
        "max_seconds": 36_000,
        "valid_until": NOW + 86_400,
        "epoch": 0,
        "salt": 1,
        "document": Digest(keccak(text="offer document")),
    }
    fields.update(changes)
    return Offer(**fields)


def a_bid(**changes: object) -> Bid:
    """Two cores and 1 GiB for an hour from whoever serves, matched by the matcher."""
    fields: dict[str, Any] = {
        "buyer": party("buyer"),
        "signer": party("signer"),
        "want": Quantities(cpu=2_000, memory=1_024),
        "traits": Traits(vendors=ANY_VENDOR, regions=ANY_REGION),
        "limit_rate": 2_000_000_000,
        "max_over_ask_bps": 500,
        "duration": 3_600,
        "start_by": NOW + 600,
        "valid_until": NOW + 600,
        "open_after": NOW + 300,
        "epoch": 0,
        "nonce": 1,
        "job": Digest(keccak(text="job document")),
        "matcher": party("matcher"),
    }
    fields.update(changes)
    return Bid(**fields)


def words_of(value: Offer | Bid | LeaseTerms | Withdrawal) -> list[Any]:
    """The struct as the ABI wants it: fields in order, quantities and traits packed."""
    return [_word(getattr(value, name)) for name in value.__slots__]


def _word(field: object) -> object:
    if isinstance(field, Quantities | Traits):
        return field.pack()
    if isinstance(field, bytes) and len(field) == 20:
        return to_checksum_address(field)
    return field


def split(signature: bytes) -> list[bytes]:
    return [signature[:32], signature[32:]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A bid, the rate to match it at and who signed it; `words` may be spoiled before the call."""

    bid: Bid
    rate: int
    signed_by: str = "buyer"
    offer_index: int = 0


class InProcessMarket:
    """Token, jury and market, freshly deployed; every party holds tokens and approved the market.

    With a `recording`, whatever is deployed and called through it is noted there.
    """

    def __init__(
        self,
        token: ABIContract | None = None,
        policy: Policy = EMBEDDED,
        recording: Recording | None = None,
    ) -> None:
        boa.env.timestamp = NOW
        self.deployer = str(boa.env.generate_address())
        self.policy, self.recording = policy, recording
        self.gas = 0
        """what the last transaction that was not refused used, its call data apart"""
        supply = encode(["string", "string", "uint8", "uint256"], ["Test", "TST", 6, SUPPLY])
        self.token = token or self._deploy("token", supply)[0]
        self.jury, _ = self._deploy("jury", b"")
        self.market, logs = self._deploy("market", self._constructor())
        (deployed,) = (fact_of(log) for log in logs)
        assert isinstance(deployed, facts.MarketDeployed)
        self.deployed = deployed
        self.domain = {
            "name": "ComputeMarket",
            "version": "1",
            "chainId": boa.env.evm.patch.chain_id,
            "verifyingContract": str(self.market.address),
        }
        self.separator = separator_of(self.domain)

    def _constructor(self) -> bytes:
        parties = [self.token.address, account("guardian"), account("arbiter"), self.jury.address]
        fixed = [getattr(self.policy, name) for name in self.policy.__slots__]
        return encode(["address"] * 4 + ["uint256"] * 8, [*map(str, parties), *fixed])

    def _deploy(self, role: str, arguments: bytes) -> tuple[ABIContract, list[Decoded]]:
        name = ARTIFACTS[role]
        built = artifact(name)
        nonce = boa.env.evm.vm.state.get_nonce(bytes.fromhex(self.deployer[2:]))
        address, done = boa.env.deploy(sender=self.deployer, bytecode=built.bytecode + arguments)
        if done.is_error:
            raise done.error
        contract = ABIContractFactory.from_abi_dict(built.abi, name).at(address)
        if self.recording:
            self.recording.entries.append(
                Deployment(
                    contract=role,
                    artifact=name,
                    address=str(address),
                    deployer=self.deployer,
                    nonce=nonce,
                    arguments="0x" + arguments.hex(),
                    time=self.at,
                )
            )
        return contract, contract.get_logs(done, strict=False)

    def fund(self, deposits: Sequence[str] = ("buyer", "other"), stakes: Sequence[str] = PROVIDERS) -> None:
        """Give every party a purse and an approval; the named ones deposit it whole, and the providers
        stake what they get beside it."""
        for name in NAMES:
            purse = PURSE + STAKE * (name in stakes)
            self.send("token", "transfer", account(name), purse, sender=self.deployer)
            self.send("token", "approve", str(self.market.address), 2**256 - 1, sender=account(name))
        for name in deposits:
            self.call("deposit", PURSE, sender=name)
        for name in stakes:
            self.call("deposit", STAKE, sender=name)
            self.call("stake", STAKE, sender=name)

    @property
    def at(self) -> int:
        return int(boa.env.timestamp)

    def advance(self, seconds: int) -> None:
        boa.env.timestamp += seconds

    @contextlib.contextmanager
    def fork(self) -> Iterator[None]:
        """What is done inside is undone at its end, clock and recording included."""
        at, recording = self.at, self.recording
        self.recording = None
        try:
            with boa.env.anchor():
                yield
        finally:
            boa.env.timestamp = at
            self.recording = recording

    def call(
        self, function: str, *arguments: object, sender: str, on: str = "market"
    ) -> list[facts.MarketEvent]:
        """Send one transaction; what market and jury logged. A revert is `boa.BoaError`."""
        logs = self.send(on, function, *arguments, sender=account(sender))
        ours = (self.market.address, self.jury.address)
        return [fact_of(log) for log in logs if getattr(log, "address", None) in ours]

    def send(self, role: str, function: str, *arguments: object, sender: str) -> list[Decoded]:
        """One transaction of any address to one of the three contracts; its decoded logs."""
        contract: ABIContract = getattr(self, role)
        logs: list[Decoded] | None = None
        try:
            getattr(contract, function)(*self.shaped(role, function, arguments), sender=sender)
            logs = contract.get_logs(strict=False)
            self.gas = int(contract._computation.get_gas_used())
        finally:
            if self.recording:
                self.recording.entries.append(self._noted(role, function, arguments, sender, logs))
        return logs

    def view(self, role: str, function: str, *arguments: object) -> Any:
        """What a view of one of the three contracts answers."""
        return getattr(getattr(self, role), function)(*self.shaped(role, function, arguments))

    def shaped(self, role: str, function: str, arguments: Sequence[object]) -> list[Any]:
        """The arguments as the artifact's ABI has them: see `as_abi`."""
        entries = (one for one in artifact(ARTIFACTS[role]).abi if one.get("name") == function)
        inputs = next(one["inputs"] for one in entries if one["type"] == "function")
        return [as_abi(entry, value) for entry, value in zip(inputs, arguments, strict=True)]

    def _noted(
        self,
        role: str,
        function: str,
        arguments: Sequence[object],
        sender: str,
        logs: Sequence[Decoded] | None,
    ) -> Call:
        return Call(
            time=self.at,
            sender=sender,
            contract=role,
            function=function,
            arguments=[plain(one) for one in self.shaped(role, function, arguments)],
            events=None if logs is None else [self._event(log) for log in logs],
            refusal="0x" + self._output(role).hex() if logs is None else "",
        )

    def _output(self, role: str) -> bytes:
        contract: ABIContract = getattr(self, role)
        return bytes(contract._computation.output)

    def _event(self, log: Decoded) -> Event:
        roles = {getattr(self, role).address: role for role in ARTIFACTS}
        fields = {name: plain(value) for name, value in log._asdict().items() if name != "address"}
        return Event(contract=roles[log.address], name=type(log).__name__, fields=fields)

    def message(
        self, kind: str, words: Sequence[Any], domain: dict[str, Any] | None = None
    ) -> SignableMessage:
        """The EIP-712 message that eth-account makes of a struct's words."""
        members = [field.split() for field in TYPES[kind].split(",")]
        types = {kind: [{"type": t, "name": n} for t, n in members]}
        values = dict(zip([n for _, n in members], words, strict=True))
        return encode_typed_data(domain or self.domain, types, values)

    def digest(self, kind: str, words: Sequence[Any]) -> bytes:
        return bytes(_hash_eip191_message(self.message(kind, words)))

    def offer_id(self, offer: Offer) -> OfferId:
        return OfferId(self.digest("Offer", words_of(offer)))

    def bid_id(self, bid: Bid) -> BidId:
        return BidId(self.digest("Bid", words_of(bid)))

    def lease_id(self, terms: LeaseTerms) -> LeaseId:
        return LeaseId(keccak(encode(["bytes32", *TERMS], [self.separator, *words_of(terms)])))

    def sign(self, kind: str, words: Sequence[Any], name: str, domain: dict[str, Any] | None = None) -> bytes:
        """A 64-byte signature (EIP-2098)."""
        signed = key(name).sign_message(self.message(kind, words, domain))
        vs = signed.s | (signed.v - 27) << 255
        return signed.r.to_bytes(32, "big") + vs.to_bytes(32, "big")

    def fill_words(self, order: Order) -> list[Any]:
        bid = words_of(order.bid)
        return [order.offer_index, order.rate, bid, *split(self.sign("Bid", bid, order.signed_by))]

    def settlement_words(
        self, terms: LeaseTerms, receipt: UsageReceipt, signed_by: str = "signer"
    ) -> list[Any]:
        words = list(astuple(receipt))
        signature = self.sign("UsageReceipt", words, signed_by)
        _, milliseconds, evidence, last = words
        return [words_of(terms), milliseconds, evidence, int(last), *split(signature)]

    def permit_words(self, owner: str, amount: int, deadline: int, signed_by: str | None = None) -> list[Any]:
        """The arguments of `depositWithPermit`, signed for the token's present nonce of the owner."""
        nonce = self.token.nonces(account(owner))
        words = [account(owner), str(self.market.address), amount, nonce, deadline]
        domain = {**self.domain, "name": "Test", "verifyingContract": str(self.token.address)}
        signature = self.sign("Permit", words, signed_by or owner, domain)
        return [account(owner), amount, deadline, *split(signature)]

    def commitment(self, terms: LeaseTerms, result: bytes, salt: bytes) -> Digest:
        """What a provider commits to: keccak256(abi.encode(lease, provider, result, salt))."""
        words = [self.lease_id(terms), to_checksum_address(terms.provider), result, salt]
        return Digest(keccak(encode(["bytes32", "address", "bytes32", "bytes32"], words)))


def separator_of(domain: dict[str, Any]) -> bytes:
    members = "string name,string version,uint256 chainId,address verifyingContract"
    hashes = [f"EIP712Domain({members})", domain["name"], domain["version"]]
    return keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [*map(_text_hash, hashes), domain["chainId"], domain["verifyingContract"]],
        )
    )


def _text_hash(text: str) -> bytes:
    return keccak(text=text)


def deploy(name: str, arguments: bytes, deployer: str) -> ABIContract:
    """The committed artifact, not a fresh compilation, is what runs."""
    built = artifact(name)
    address, _ = boa.env.deploy_code(sender=deployer, bytecode=built.bytecode + arguments)
    return ABIContractFactory.from_abi_dict(built.abi, name).at(address)


def as_abi(entry: dict[str, Any], value: Any) -> Any:
    """One argument as its ABI entry wants it: an address in a word is left-padded, a fill's rate and index
    share a word, and so do a receipt's milliseconds and whether it is the last."""
    kind = entry["type"]
    if kind.startswith("tuple["):
        return [as_abi({**entry, "type": "tuple"}, one) for one in value]
    if kind == "tuple":
        fields = entry["components"]
        if fields[0]["name"] == "deal" and len(value) > len(fields):
            index, rate, *rest = value
            value = [rate | index << 96, *rest]
        if fields[1]["name"] == "usage" and len(value) > len(fields):
            terms, milliseconds, evidence, last, *rest = value
            value = [terms, milliseconds | last << 64, evidence, *rest]
        return [as_abi(field, one) for field, one in zip(fields, value, strict=True)]
    if kind == "bytes32" and isinstance(value, str):
        return bytes(12) + bytes.fromhex(value[2:])
    return value


def _raw(value: object) -> Address:
    return Address(bytes.fromhex(str(value)[2:]))
